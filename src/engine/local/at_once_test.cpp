// SPDX-License-Identifier: Apache-2.0
#include "engine/local/at_once.hpp"

#include <gtest/gtest.h>

#include <barrier>
#include <stdexcept>

namespace tow::engine::local {
namespace {

TEST(AtOnce, SomeRunTogetherAndNoMore) {
  // Each waits for two others: with fewer at once none would end, with more the count would tell.
  std::barrier together{3};
  std::atomic<int> running = 0, most = 0, done = 0;
  for_each_at_once(std::vector<int>{1, 2, 3, 4, 5, 6}, 3, [&](int) {
    const int now = ++running;
    for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
    }
    together.arrive_and_wait();
    --running;
    together.arrive_and_wait();
    ++done;
  });
  EXPECT_EQ(done, 6);
  EXPECT_EQ(most, 3);
}

TEST(AtOnce, AllAreTriedAndTheFailureIsTold) {
  std::atomic<int> tried = 0;
  EXPECT_THROW(for_each_at_once(std::vector<int>{1, 2, 3, 4}, 2,
                                [&](int item) {
                                  ++tried;
                                  if (item == 2) throw std::runtime_error{"two"};
                                }),
               std::runtime_error);
  EXPECT_EQ(tried, 4);
  for_each_at_once(std::vector<int>{}, 2, [&](int) { ++tried; });
  EXPECT_EQ(tried, 4);
}

}  // namespace
}  // namespace tow::engine::local
