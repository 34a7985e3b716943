// SPDX-License-Identifier: Apache-2.0
// Components that are deployed together, over fakes: each after those that it depends on.
#include <gtest/gtest.h>

#include "deploy/bench_test.hpp"

namespace tow::deploy {
namespace {

using Phase = Deployment::Phase;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

std::string score_of(const std::string& component) {
  return "{apiVersion: score.dev/v1b1, metadata: {name: " + component +
         "}, service: {ports: {http: {port: 80, targetPort: 8080}}}, containers: {main: {image: .}}}";
}

// web depends on api, api on db.
class Order : public testing::Test {
 protected:
  void SetUp() override {
    bench.create_project();
    for (int i = 1; i <= 3; ++i) {
      release("db", i, {});
      release("api", i, {"db"});
      release("web", i, {"api"});
    }
  }
  void release(const std::string& component, int number, std::vector<std::string> depends_on) {
    bench.create(draft<Release>("shop", fmt::format("{}.{}", component, number),
                                {.component = component,
                                 .image = fmt::format("image-{}", number),
                                 .score = parse_yaml(score_of(component)),
                                 .depends_on = std::move(depends_on),
                                 .by = "ann"}));
  }
  DeployOutput ask(const std::string& component, int number,
                   std::vector<std::string> with = {"db", "api", "web"},
                   std::optional<Strategy> strategy = {}, const std::string& environment = "development") {
    DeployInput input{.component = component, .environment = environment};
    input.release = fmt::format("{}.{}", component, number);
    input.strategy = std::move(strategy);
    input.with = std::move(with);
    return bench.run(bench.deployments_->deploy(bench.call("Deployment", ""), input));
  }
  void ask_all(int number) {
    for (const auto* component : {"db", "api", "web"}) ask(component, number);
  }
  bool all_healthy() {
    return bench.until([&] {
      return std::ranges::all_of(std::vector<std::string>{"db", "api", "web"}, [&](const auto& each) {
        const auto now = bench.get<Deployment>(each + ".development");
        return now && now->status.phase == Phase::Healthy && !now->spec.next &&
               now->status.observed_generation == now->record->generation;
      });
    });
  }
  std::string message(const std::string& component) {
    return bench.status(component + ".development").message;
  }
  int serving(const std::string& component) { return bench.status(component + ".development").serving; }
  std::string serving_release(const std::string& component) {
    const auto revision =
        bench.get<Revision>(fmt::format("{}.development.{}", component, serving(component)));
    return revision ? revision->spec.release : "";
  }

  Bench bench;
};

TEST_F(Order, ARolloutBeginsWhenThoseThatItDependsOnAreLive) {
  ask_all(1);
  ASSERT_TRUE(all_healthy()) << message("web");
  for (const auto* each : {"db", "api", "web"}) bench.world_.behave(each, {.ready = seconds{10}});
  ask_all(2);
  bench.settle();
  EXPECT_EQ(message("api"), "waits for db; revision 1 goes on serving");
  EXPECT_EQ(message("web"), "waits for api; revision 1 goes on serving");
  EXPECT_EQ(bench.status("web.development").waits_for, std::vector<std::string>{"api"});
  EXPECT_EQ(bench.status("web.development").phase, Phase::Progressing);
  std::vector<std::string> began;
  ASSERT_TRUE(bench.until([&] {
    for (const auto* each : {"db", "api", "web"}) {
      if (!bench.get<Revision>(fmt::format("{}.development.2", each))) continue;
      if (std::ranges::find(began, each) != began.end()) continue;
      began.emplace_back(each);
      if (began.size() == 2) EXPECT_EQ(serving("db"), 2);
      if (began.size() == 3) EXPECT_EQ(serving("api"), 2);
    }
    return serving("web") == 2;
  }));
  EXPECT_EQ(began, (std::vector<std::string>{"db", "api", "web"}));
  EXPECT_TRUE(bench.status("web.development").waits_for.empty());
}

TEST_F(Order, AnEnvironmentThatIsNewFollowsItToo) {
  for (const auto* each : {"db", "api", "web"}) bench.world_.behave(each, {.ready = seconds{10}});
  const auto began = bench.now();
  ask_all(1);
  bench.settle();
  EXPECT_EQ(message("web"), "waits for api");
  EXPECT_TRUE(bench.get<Deployment>("web.development")->spec.release.empty());
  ASSERT_TRUE(all_healthy()) << message("web");
  EXPECT_GE(bench.now() - began, seconds{30}) << "one after the other";
}

TEST_F(Order, AFailureIsToldByNameAndWhatRunsGoesOn) {
  ask_all(1);
  ASSERT_TRUE(all_healthy());
  bench.world_.behave("api", {.ends_after = milliseconds{1}, .exit_code = 1});
  ask_all(2);
  ASSERT_TRUE(bench.until_phase(Phase::Failed, "web.development"));
  EXPECT_EQ(message("web"), "not deployed: api, which it depends on, failed; revision 1 goes on serving");
  EXPECT_EQ(serving_release("db"), "db.2");
  EXPECT_EQ(serving_release("web"), "web.1");
  EXPECT_EQ(bench.status("web.development").ready, 1);
  EXPECT_FALSE(bench.get<Revision>("web.development.2"));
  // That api is mended, or brought back, does not deploy web behind everybody's back.
  bench.world_.behave("api", {});
  ask("api", 2, {});
  ASSERT_TRUE(bench.until_healthy("api.development"));
  bench.advance(minutes{1});
  EXPECT_EQ(serving_release("web"), "web.1");
  ask("web", 2);
  ASSERT_TRUE(bench.until_healthy("web.development"));
  EXPECT_EQ(serving_release("web"), "web.2");
}

TEST_F(Order, WhatDependsOnWhatWasNotDeployedIsNotEither) {
  bench.world_.behave("db", {.ends_after = milliseconds{1}, .exit_code = 1});
  ask_all(1);
  ASSERT_TRUE(bench.until_phase(Phase::Failed, "web.development"));
  EXPECT_EQ(message("api"), "not deployed: db, which it depends on, failed");
  EXPECT_EQ(message("web"), "not deployed: api, which it depends on, was not deployed");
}

TEST_F(Order, WhatWaitsCanBeChangedAsItRuns) {
  ask_all(1);
  ASSERT_TRUE(all_healthy());
  bench.world_.behave("api", {.never_ready = true});
  ask_all(2);
  bench.advance(seconds{5});
  bench.invoke("deployments.scale", "web.development", Node::Map{{"count", 2}});
  bench.invoke("deployments.restart", "web.development");
  ASSERT_TRUE(bench.until([&] { return bench.status("web.development").ready == 2; }));
  EXPECT_EQ(serving_release("web"), "web.1");
  EXPECT_EQ(message("web"), "waits for api; revision 2 goes on serving");
}

TEST_F(Order, ARollbackOfTheOneEndsTheWaitOfTheOther) {
  ask_all(1);
  ASSERT_TRUE(all_healthy());
  ask_all(2);
  ASSERT_TRUE(all_healthy());
  bench.world_.behave("api", {.ready = seconds{30}});
  ask_all(3);
  bench.advance(seconds{5});
  EXPECT_EQ(message("web"), "waits for api; revision 2 goes on serving");
  bench.invoke("deployments.rollback", "api.development", Node::Map{{"revision", 2}});
  ASSERT_TRUE(bench.until_phase(Phase::Failed, "web.development"));
  EXPECT_EQ(message("web"),
            "not deployed: api, which it depends on, was given another release; revision 2 goes on serving");
  bench.invoke("deployments.rollback", "web.development", Node::Map{{"revision", 1}});
  ASSERT_TRUE(bench.until_healthy("web.development")) << message("web");
  EXPECT_EQ(serving_release("web"), "web.1");
}

TEST_F(Order, ARolloutThatWaitsForAPersonIsSaidOn) {
  ask_all(1);
  ASSERT_TRUE(all_healthy());
  ask("api", 2, {}, Strategy{.type = StrategyType::Canary, .steps = {{.set_weight = 10, .pause = Pause{}}}});
  ask("web", 2, {"api"});
  ASSERT_TRUE(bench.until([&] { return bench.status("web.development").waits_for_person; }));
  EXPECT_EQ(message("web"),
            "waits for api, which tow rollout continue api.development takes on; revision 1 goes on serving");
  bench.advance(minutes{10});
  EXPECT_EQ(serving_release("web"), "web.1");
  bench.invoke("deployments.continue", "api.development");
  ASSERT_TRUE(bench.until_healthy("web.development")) << message("web");
  EXPECT_EQ(serving_release("web"), "web.2");
}

TEST_F(Order, OnlyWhatIsDeployedAlongIsWaitedFor) {
  bench.world_.behave("api", {.never_ready = true});
  ask("api", 1, {});
  ask("web", 1, {});
  ASSERT_TRUE(bench.until_healthy("web.development")) << message("web");
}

TEST_F(Order, AnOrderSurvivesARestartAndARebootFollowsNone) {
  for (const auto* each : {"db", "api", "web"}) bench.world_.behave(each, {.ready = seconds{10}});
  ask_all(1);
  bench.advance(seconds{5});
  bench.restart();
  ASSERT_TRUE(all_healthy()) << message("web");
  bench.world_.behave("db", {.never_ready = true});
  bench.world_.reboot();
  bench.restart();
  ASSERT_TRUE(bench.until([&] { return bench.status("web.development").ready == 1; }));
  EXPECT_EQ(bench.status("db.development").ready, 0);
}

TEST_F(Order, WhatIsNotPossibleAnyMoreIsSaid) {
  ask_all(1);
  ASSERT_TRUE(all_healthy());
  bench.world_.behave("api", {.ready = seconds{30}});
  ask("api", 2);
  ask("web", 2);
  bench.invoke("deployments.lock", "web.development", Node::Map{{"why", "the audit"}});
  ASSERT_TRUE(bench.until_phase(Phase::Failed, "web.development"));
  EXPECT_TRUE(message("web").starts_with("not deployed: web.development is locked by ann")) << message("web");
}

// Every step is a place to die at.
TEST_F(Order, ACrashAtAnyStepConverges) {
  ask_all(1);
  ASSERT_TRUE(all_healthy());
  for (int crash_after = 1; crash_after < 160; crash_after += 3) {
    ask_all(2 + crash_after % 2);
    bench.go(crash_after);
    bench.restart();
    ASSERT_TRUE(all_healthy()) << "crash after " << crash_after << ": " << message("web");
    for (const auto* each : {"db", "api", "web"})
      EXPECT_EQ(serving_release(each), fmt::format("{}.{}", each, 2 + crash_after % 2))
          << "crash after " << crash_after;
  }
}

}  // namespace
}  // namespace tow::deploy
