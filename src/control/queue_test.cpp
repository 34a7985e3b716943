// SPDX-License-Identifier: Apache-2.0
#include "control/queue.hpp"

#include <gtest/gtest.h>

namespace tow::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint kNow{Duration{1'000'000}};
Key named(std::string project, std::string name) {
  return {"Deployment", std::move(project), std::move(name)};
}

TEST(Queue, MergesWhatIsAskedForTwice) {
  Queue queue{{}, 1};
  queue.add(named("p", "a"));
  queue.add(named("p", "a"));
  EXPECT_EQ(queue.take(kNow)->name, "a");
  EXPECT_FALSE(queue.take(kNow));
}

TEST(Queue, AKeyThatRunsIsNotGivenOutTwiceButRunsOnceMore) {
  Queue queue{{}, 1};
  queue.add(named("p", "a"));
  const Key key = *queue.take(kNow);
  queue.add(key);
  queue.add(key);
  EXPECT_FALSE(queue.take(kNow));
  queue.done(key);
  EXPECT_EQ(queue.take(kNow), key);
  queue.done(key);
  EXPECT_TRUE(queue.idle());
}

TEST(Queue, ProjectsTakeTurns) {
  Queue queue{{}, 1};
  for (const char* name : {"a", "b", "c"}) queue.add(named("large", name));
  queue.add(named("small", "z"));
  std::string order;
  while (const auto key = queue.take(kNow)) order += key->name;
  EXPECT_EQ(order, "azbc");
}

TEST(Queue, BacksOffWithJitterUpToABound) {
  Queue queue{{.first = milliseconds{100}, .last = seconds{10}}, 7};
  const Key key = named("p", "a");
  auto now = kNow;
  queue.add(key);
  for (const double most : {100., 200., 400., 800., 1600., 3200., 6400., 10000., 10000.}) {
    ASSERT_TRUE(queue.take(now));
    const auto wait = queue.failed(key, now);
    EXPECT_LE(static_cast<double>(wait.count()), most);
    EXPECT_GE(static_cast<double>(wait.count()), most * 2 / 3 - 1);
    EXPECT_FALSE(queue.take(now + wait - milliseconds{1})) << "not before its time";
    now += wait;
  }
}

TEST(Queue, SuccessForgetsFailures) {
  Queue queue{{.first = milliseconds{100}, .last = seconds{10}}, 7};
  const Key key = named("p", "a");
  for (int i = 0; i < 5; ++i) queue.add(key), queue.take(kNow), queue.failed(key, kNow);
  queue.add(key), queue.take(kNow), queue.done(key);
  queue.add(key), queue.take(kNow);
  EXPECT_LE(queue.failed(key, kNow), milliseconds{100});
}

TEST(Queue, AChangeCutsABackoffShort) {
  Queue queue{{.first = seconds{10}, .last = seconds{10}}, 7};
  const Key key = named("p", "a");
  queue.add(key);
  queue.take(kNow);
  queue.failed(key, kNow);
  queue.add(key);
  EXPECT_TRUE(queue.take(kNow));
  queue.done(key);
  EXPECT_FALSE(queue.next()) << "the old time is forgotten";
}

TEST(Queue, TheEarlierOfTwoTimesCounts) {
  Queue queue{{}, 1};
  const Key key = named("p", "a");
  queue.add_at(key, kNow + seconds{5});
  queue.add_at(key, kNow + seconds{9});
  queue.add_at(key, kNow + seconds{2});
  EXPECT_EQ(queue.next(), kNow + seconds{2});
  EXPECT_FALSE(queue.take(kNow + seconds{1}));
  EXPECT_TRUE(queue.take(kNow + seconds{2}));
}

}  // namespace
}  // namespace tow::control
