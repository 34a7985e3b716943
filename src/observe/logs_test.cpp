// SPDX-License-Identifier: Apache-2.0
#include "observe/harness_test.hpp"

namespace tow::observe {
namespace {

using Texts = std::vector<std::string>;
using std::chrono::seconds;

std::string instance(const Record& revision, int ordinal) {
  return revision.uid + "-" + std::to_string(ordinal);
}

class Logs : public testing::Test {
 protected:
  void SetUp() override {
    web = h.deployment("web.development", 2);
    first = h.revision(*web, 1, Revision::Phase::Retired);
    second = h.revision(*web, 2);
  }
  void say(const Record& revision, int ordinal, const std::string& text, Duration before = seconds{1}) {
    h.advance(before);
    h.world().say(instance(revision, ordinal), text);
  }
  Harness h;
  RecordPtr web, first, second;
};

TEST_F(Logs, MergesInstancesAndRevisionsInOrderOfTime) {
  h.ensure(*first, 1);
  h.ensure(*second, 2);
  say(*second, 1, "a");
  say(*first, 0, "b");
  say(*second, 0, "c");
  say(*first, 0, "d");
  say(*second, 1, "e");
  EXPECT_EQ(h.logs("web.development"), (Texts{"a", "b", "c", "d", "e"}));
  const auto reading = h.read_logs("deployments.logs", "web.development", {});
  EXPECT_EQ(reading->entries[1].source, first->uid.substr(21) + "-0");
  EXPECT_EQ(reading->entries[4].source, second->uid.substr(21) + "-1");
}

TEST_F(Logs, KeepsWhatEndedInstancesWrote) {
  h.ensure(*first, 1);
  say(*first, 0, "last words");
  h.retire(*first);
  EXPECT_EQ(h.logs("web.development"), Texts{"last words"});
}

TEST_F(Logs, ChoosesLines) {
  h.ensure(*first, 1);
  h.ensure(*second, 2);
  for (int i = 0; i < 10; ++i) say(*second, i % 2, "line " + std::to_string(i));
  say(*first, 0, "GET /x 500");
  h.advance(seconds{1});  // 11 s after the first line
  struct Case {
    std::string reason;
    LogInput input;
    Texts lines;
  };
  const Case cases[] = {
      {"the last of all together", {.tail = 3}, {"line 8", "line 9", "GET /x 500"}},
      {"an expression, not a text", {.grep = "5\\d\\d$"}, {"GET /x 500"}},
      {"the last of those that match", {.tail = 2, .grep = "line"}, {"line 8", "line 9"}},
      {"nothing matches", {.grep = "no such"}, {}},
      {"only young ones", {.since = std::chrono::milliseconds{2500}}, {"line 9", "GET /x 500"}},
      {"of the revision before", {.previous = true}, {"GET /x 500"}},
  };
  for (const auto& c : cases) EXPECT_EQ(h.logs("web.development", c.input), c.lines) << c.reason;
}

TEST_F(Logs, RefusesWhatItCannotDo) {
  struct Case {
    std::string reason, target;
    LogInput input;
    Code code;
    std::string says;
  };
  const Case cases[] = {
      {"a broken expression", "web.development", {.grep = "a("}, Code::Invalid, "grep: \"a(\" is not"},
      {"nothing is called so", "api.development", {}, Code::NotFound, "there is no deployment:shop/api"},
      {"nothing came before", "new.development", {.previous = true}, Code::NotFound, "no revision before"},
  };
  h.revision(*h.deployment("new.development", 1), 1);
  for (const auto& c : cases) try {
      h.logs(c.target, c.input);
      ADD_FAILURE() << c.reason;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), c.code) << c.reason;
      EXPECT_NE(error.message().find(c.says), std::string::npos) << c.reason << ": " << error.message();
    }
}

TEST_F(Logs, HasNoneOfWhatNeverRan) { EXPECT_EQ(h.logs("web.development"), Texts{}); }

TEST_F(Logs, FollowsWithoutLossOrRepetition) {
  h.ensure(*second, 2);
  for (int i = 0; i < 5; ++i) say(*second, i % 2, "past " + std::to_string(i));
  h.world().say(instance(*second, 0), "present");  // at the same millisecond as the last one
  const auto reading = h.read_logs("deployments.logs", "web.development", {.tail = 3, .follow = true});
  h.settle();
  EXPECT_EQ(reading->texts(), (Texts{"past 3", "past 4", "present"}));
  h.world().say(instance(*second, 1), "future");
  h.settle();
  EXPECT_EQ(reading->texts(), (Texts{"past 3", "past 4", "present", "future"}));
  EXPECT_FALSE(reading->ended);
  h.hang_up();
  EXPECT_TRUE(reading->ended);
}

TEST_F(Logs, FollowsRevisionsThatComeLater) {
  h.ensure(*second, 1);
  const auto reading = h.read_logs("deployments.logs", "web.development", {.follow = true});
  const auto third = h.revision(*web, 3, Revision::Phase::Pending);
  h.settle();
  h.ensure(*third, 1);  // after its record, as deploy does
  say(*third, 0, "new");
  say(*second, 0, "old");
  h.settle();
  EXPECT_EQ(reading->texts(), (Texts{"new", "old"}));
  h.retire(*second);
  say(*third, 0, "still here");
  h.settle();
  EXPECT_EQ(reading->texts().back(), "still here");
  EXPECT_FALSE(reading->ended);
  h.hang_up();
}

TEST_F(Logs, EndsWithTheDeployment) {
  h.ensure(*second, 1);
  const auto reading = h.read_logs("deployments.logs", "web.development", {.follow = true});
  say(*second, 0, "farewell");
  h.retire(*second);
  EXPECT_FALSE(reading->ended) << "a deployment without instances may get some";
  store::Transaction transaction;
  transaction.erase(web->key);
  h.commit(std::move(transaction));
  h.until("the stream ends", [&] { return reading->ended; });
  EXPECT_FALSE(reading->failure);
  EXPECT_EQ(reading->texts(), Texts{"farewell"});
}

TEST_F(Logs, FollowsAJobToItsEnd) {
  const auto job = h.create<Job>(
      "web.development.j1",
      {.deployment = "web.development", .revision = "web.development.2", .command = {"migrate"}}, {},
      web->uid);
  const auto reading = h.read_logs("jobs.logs", job->key.name, {.follow = true});
  EXPECT_FALSE(reading->ended) << "it has not begun";
  h.world().behave("web", {.ends_after = seconds{5}, .says = {"migrating"}});
  engine::Workload workload{.project = "shop",
                            .component = "web",
                            .environment = "e1",
                            .user_base = 100000,
                            .containers = {{.image = "i1"}}};
  h.run(h.engine().run_job({.id = job->uid, .workload = workload, .command = {"migrate"}}));
  h.until("the stream ends", [&] { return reading->ended; });
  EXPECT_FALSE(reading->failure);
  EXPECT_EQ(reading->texts(), Texts{"migrating"});
}

}  // namespace
}  // namespace tow::observe
