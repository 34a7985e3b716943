// SPDX-License-Identifier: Apache-2.0
// Rollouts in steps and batches, their commands and locks, with the store, the controllers and the fakes.
#include <gtest/gtest.h>

#include "deploy/bench_test.hpp"

namespace tow::deploy {
namespace {

using Phase = Deployment::Phase;
using std::chrono::minutes;
using std::chrono::seconds;

const char* const kHost = "web--development--shop.localhost";

struct Steps : testing::Test {
  void SetUp() override {
    bench.create_project();
    for (int i = 1; i <= 5; ++i)
      bench.release(fmt::format("web.{}", i), "web", kPlainScore, fmt::format("image-{}", i));
  }
  /// As a push with these lines in towpath.yaml.
  void deploy(int release, const std::string& strategy = "rolling", int scale = 1,
              const std::string& hooks = "{}") {
    DeployInput input{
        .component = "web", .environment = "development", .release = fmt::format("web.{}", release)};
    input.cause = "push";
    input.scale = scale;
    input.strategy = read_document<Strategy>(parse_yaml(strategy), "strategy");
    input.hooks = read_document<Hooks>(parse_yaml(hooks), "hooks");
    bench.run(bench.deployments_->deploy(bench.call("Deployment", ""), input));
  }
  void serves_first(int scale = 1) {
    deploy(1, "rolling", scale);
    ASSERT_TRUE(bench.until_healthy()) << bench.status().message;
  }
  std::optional<RolloutStatus> rollout() { return bench.status().rollout; }
  bool until_step(int step) {
    return bench.until([&] { return rollout() && rollout()->step == step; }, minutes{5});
  }
  /// Of 100 requests, those that the revision answers.
  int share(int revision) {
    int met = 0;
    for (int i = 0; i < 100; ++i) met += bench.answers(kHost) == revision;
    return met;
  }
  std::string uid(int revision) {
    return bench.get<Revision>(fmt::format("web.development.{}", revision))->uid();
  }
  void errors(int revision, std::uint64_t all, std::uint64_t bad) {
    route::Signals signals;
    signals.requests = all;
    signals.responses[2] = all - bad;
    signals.responses[5] = bad;
    for (const auto& instance : bench.engine_->group(uid(revision))->instances)
      bench.plane_.set_server_signals(instance.id, signals);
  }
  Revision::Phase phase(int revision) {
    return bench.get<Revision>(fmt::format("web.development.{}", revision))->status.phase;
  }
  Bench bench;
};

TEST_F(Steps, ACanaryGoesFromStepToStep) {
  serves_first();
  deploy(2, "{type: canary, steps: [10, 50], pause: 2m}");
  ASSERT_TRUE(until_step(1)) << bench.status().message;
  bench.settle();
  EXPECT_NEAR(share(2), 10, 1);
  bench.advance(minutes{2} + seconds{1});
  EXPECT_EQ(rollout()->step, 2);
  EXPECT_NEAR(share(2), 50, 1);
  bench.advance(minutes{2} + seconds{1});
  EXPECT_EQ(share(2), 100);
  ASSERT_TRUE(bench.until_healthy());
  EXPECT_FALSE(rollout());
}

TEST_F(Steps, ARestartedServerGoesOnInTheMiddleOfAStep) {
  serves_first();
  deploy(2, "{type: canary, steps: [10, 50], pause: 2m}");
  ASSERT_TRUE(until_step(1));
  const auto since = rollout()->since;
  bench.advance(seconds{60});
  bench.restart();
  bench.settle();
  EXPECT_EQ(rollout()->since, since);
  EXPECT_NEAR(share(2), 10, 1);
  bench.advance(seconds{50});
  EXPECT_EQ(rollout()->step, 1);
  bench.advance(seconds{15});
  EXPECT_EQ(rollout()->step, 2) << "the step began before the restart";
}

TEST_F(Steps, AStepWithoutATimeWaitsForAPerson) {
  serves_first();
  deploy(2, "{type: canary, steps: [{setWeight: 25}, {pause: {}}, {setWeight: 60, pause: {duration: 10s}}]}");
  ASSERT_TRUE(bench.until([&] { return rollout() && rollout()->waiting; }));
  bench.advance(minutes{10});
  EXPECT_EQ(rollout()->step, 1);
  EXPECT_NEAR(share(2), 25, 1);
  bench.invoke("deployments.continue", "web.development");
  bench.settle();
  EXPECT_EQ(rollout()->step, 2);
  bench.advance(seconds{11});
  ASSERT_TRUE(bench.until_healthy());
  EXPECT_EQ(bench.status().serving, 2);
}

TEST_F(Steps, ACanaryWithErrorsIsTakenBack) {
  serves_first();
  deploy(2, "{type: canary, steps: [10], pause: 5m}");
  ASSERT_TRUE(until_step(1));
  bench.advance(seconds{3});
  errors(1, 900, 1);
  errors(2, 100, 20);
  bench.advance(seconds{3});
  EXPECT_EQ(share(2), 0);
  ASSERT_TRUE(bench.until_phase(Phase::Failed));
  EXPECT_NE(bench.status().message.find("20.0% of its 100 answers were errors"), std::string::npos)
      << bench.status().message;
  bench.advance(minutes{1});
  EXPECT_FALSE(bench.engine_->group(uid(2)));
  EXPECT_EQ(share(1), 100);
}

TEST_F(Steps, ErrorsOfTheStepBeforeAreForgotten) {
  serves_first();
  deploy(2, "{type: canary, steps: [10, 50], pause: 2m, maxErrorPercent: 30}");
  ASSERT_TRUE(until_step(1));
  bench.advance(seconds{3});
  errors(2, 100, 20);
  bench.advance(seconds{3});
  EXPECT_EQ(rollout()->errors, 20u);
  bench.advance(minutes{2});
  EXPECT_EQ(rollout()->step, 2);
  EXPECT_EQ(rollout()->errors, 0u);
}

TEST_F(Steps, AnAbortReturnsAtEveryPoint) {
  serves_first();
  for (int step = 0; step <= 3; ++step) {
    bench.world_.behave("web", {.ready = seconds{5}});
    const int number = bench.status().latest + 1;
    deploy(2 + step % 2,
           "{type: canary, steps: [10, 50, {setWeight: 100, pause: {duration: 2m}}], pause: 2m}");
    ASSERT_TRUE(bench.until([&] {
      return rollout() && rollout()->revision == number && rollout()->step == step;
    })) << step
        << bench.status().message;
    bench.settle();
    bench.invoke("deployments.abort", "web.development");
    bench.settle();
    EXPECT_EQ(share(1), 100) << step;
    ASSERT_TRUE(bench.until_phase(Phase::Failed)) << step;
    EXPECT_NE(bench.status().message.find("aborted by ann"), std::string::npos) << bench.status().message;
    bench.advance(minutes{1});
    EXPECT_EQ(bench.engine_->groups().size(), 1u) << step;
  }
}

TEST_F(Steps, ARollbackTakesNoSteps) {
  serves_first();
  deploy(2, "{type: canary, steps: [10], pause: 1s}");
  ASSERT_TRUE(bench.until_healthy());
  bench.invoke("deployments.rollback", "web.development", Node::Map{});
  ASSERT_TRUE(bench.until([&] { return bench.status().serving == 3; }, seconds{1}));
}

TEST_F(Steps, BlueGreenCanBeLookedAtBeforeTheSwitch) {
  serves_first(2);
  deploy(2, "{type: blue-green, autoPromotionEnabled: false}", 2);
  ASSERT_TRUE(bench.until([&] { return rollout() && rollout()->waiting; })) << bench.status().message;
  bench.settle();
  EXPECT_EQ(rollout()->previews,
            std::vector<std::string>{"http://preview--web--development--shop.localhost"});
  EXPECT_EQ(bench.answers("preview--web--development--shop.localhost"), 2);
  EXPECT_EQ(share(1), 100);
  bench.restart();
  bench.settle();
  EXPECT_EQ(bench.answers("preview--web--development--shop.localhost"), 2) << "after a restart, too";
  bench.invoke("deployments.continue", "web.development");
  bench.settle();
  EXPECT_EQ(share(2), 100);
  ASSERT_TRUE(bench.until_healthy());
  EXPECT_EQ(bench.answers("preview--web--development--shop.localhost"), 0);
}

TEST_F(Steps, BlueGreenSwitchesAtOnceUnlessToldOtherwise) {
  serves_first();
  deploy(2, "blue-green");
  ASSERT_TRUE(bench.until([&] { return bench.status().serving == 2; }, seconds{1}));
}

TEST_F(Steps, BatchesKeepWithinTheirBounds) {
  serves_first(4);
  deploy(2, "{type: rolling, maxSurge: 1, maxUnavailable: 0}", 4);
  int most = 0, fewest = 100;
  ASSERT_TRUE(bench.until([&] {
    int exist = 0;
    for (const auto& group : bench.engine_->groups()) exist += group.retiring ? 0 : group.wanted;
    most = std::max(most, exist);
    int open = 0;
    const auto site = bench.plane_.site(bench.get<Deployment>("web.development")->uid());
    for (const auto& server : site->servers) open += server.weight > 0;
    fewest = std::min(fewest, open);
    return bench.status().serving == 2;
  }));
  EXPECT_EQ(most, 5);
  EXPECT_EQ(fewest, 4);
}

TEST_F(Steps, ABatchThatFailsGivesBackWhatItTook) {
  serves_first(4);
  deploy(2, "{type: rolling, maxSurge: 1, maxUnavailable: 1}", 4);
  ASSERT_TRUE(bench.until([&] { return rollout() && rollout()->weight > 30; }));
  bench.invoke("deployments.abort", "web.development");
  int fewest = 100;
  ASSERT_TRUE(bench.until([&] {
    int open = 0;
    const auto site = bench.plane_.site(bench.get<Deployment>("web.development")->uid());
    for (const auto& server : site->servers) open += server.weight > 0;
    fewest = std::min(fewest, open);
    return bench.engine_->groups().size() == 1 && bench.status().ready == 4;
  }));
  EXPECT_GE(fewest, 3);
  EXPECT_EQ(bench.status().ready, 4);
  EXPECT_EQ(share(1), 100);
  EXPECT_EQ(phase(2), Revision::Phase::Failed);
}

// --- commands ---

TEST_F(Steps, ACommandBeforeRunsOnceAndBeforeTheTraffic) {
  serves_first();
  bench.world_.behave("web", {.ends_after = seconds{5}});
  deploy(2, "rolling", 1, "{before: [[migrate, --now]]}");
  bench.advance(seconds{2});
  EXPECT_EQ(bench.list<Job>().size(), 1u);
  EXPECT_NE(bench.status().message.find("hook 1 of 1 runs: migrate --now"), std::string::npos)
      << bench.status().message;
  EXPECT_FALSE(bench.engine_->group(uid(2)));
  bench.world_.behave("web", {});
  bench.restart();
  ASSERT_TRUE(bench.until_healthy()) << bench.status().message;
  EXPECT_EQ(bench.list<Job>().size(), 1u);
  EXPECT_EQ(bench.list<Job>()[0].name(), "web.development.2.before-1");
  EXPECT_EQ(bench.answers(), 2);
}

TEST_F(Steps, ACommandWhoseRevisionIsSupersededIsEndedBeforeTheNextOneBegins) {
  serves_first();
  bench.world_.behave("web", {.ends_after = minutes{30}});
  deploy(2, "rolling", 1, "{before: [[migrate]]}");
  bench.advance(seconds{2});
  bench.world_.behave("web", {});
  deploy(3, "rolling", 1, "{before: [[migrate]]}");
  std::size_t most = 0;
  ASSERT_TRUE(bench.until([&] {
    std::size_t open = 0;
    for (const auto& job : bench.list<Job>()) open += !ended(job.status.phase);
    most = std::max(most, open);
    return bench.answers() == 3;
  })) << bench.status().message;
  EXPECT_EQ(most, 1u);
  const auto first = bench.get<Job>("web.development.2.before-1");
  EXPECT_EQ(first->status.phase, WorkPhase::Cancelled);
  EXPECT_EQ(first->status.message, "another revision took the place of its own");
  EXPECT_FALSE(bench.engine_->job(first->uid()));
  EXPECT_EQ(bench.get<Job>("web.development.3.before-1")->status.phase, WorkPhase::Succeeded);
}

TEST_F(Steps, ACommandOfARolloutThatIsAbortedIsEnded) {
  serves_first();
  bench.world_.behave("web", {.ends_after = minutes{30}});
  deploy(2, "rolling", 1, "{before: [[migrate]]}");
  bench.advance(seconds{2});
  bench.invoke("deployments.abort", "web.development");
  bench.advance(seconds{1});
  EXPECT_EQ(bench.list<Job>().at(0).status.phase, WorkPhase::Cancelled);
  EXPECT_EQ(bench.list<Job>().at(0).status.message, "aborted by ann");
}

TEST_F(Steps, ACommandThatFailsStopsTheRolloutWithItsLastLines) {
  serves_first();
  bench.world_.behave("web", {.exit_code = 3, .says = {"no such table: users"}});
  deploy(2, "rolling", 1, "{before: [[migrate]]}");
  ASSERT_TRUE(bench.until_phase(Phase::Failed));
  const auto message = bench.status().message;
  EXPECT_NE(message.find("the hook \"migrate\" failed"), std::string::npos) << message;
  EXPECT_NE(message.find("no such table: users"), std::string::npos) << message;
  EXPECT_EQ(bench.answers(), 1);
  EXPECT_FALSE(bench.engine_->group(uid(2)));
}

TEST_F(Steps, ACommandAfterThatFailsIsToldAndTheRevisionServes) {
  serves_first();
  bench.world_.behave("web", {});
  deploy(2, "rolling", 1, "{after: [[warm, up]]}");
  ASSERT_TRUE(bench.until([&] { return bench.status().serving == 2; }));
  bench.world_.behave("web", {.exit_code = 1});
  ASSERT_TRUE(bench.until([&] { return bench.status().phase != Phase::Progressing; }));
  const auto jobs = bench.list<Job>();
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(bench.status().phase,
            jobs[0].status.phase == WorkPhase::Failed ? Phase::Degraded : Phase::Healthy);
  EXPECT_EQ(bench.answers(), 2);
}

// --- locks and orders ---

TEST_F(Steps, WhileItIsLockedNothingIsDeployedAndTheReasonIsSaid) {
  serves_first();
  bench.invoke("deployments.lock", "web.development", Node::Map{{"why", "the audit"}});
  for (const std::function<void()>& attempt :
       std::vector<std::function<void()>>{[&] { deploy(2); }, [&] { bench.deploy("web", "web.2"); },
                                          [&] { bench.invoke("deployments.restart", "web.development"); }}) {
    try {
      attempt();
      ADD_FAILURE() << "it was not refused";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::FailedPrecondition);
      EXPECT_NE(error.message().find("locked by ann since"), std::string::npos) << error.message();
      EXPECT_NE(error.message().find("the audit"), std::string::npos) << error.message();
    }
  }
  bench.invoke("deployments.unlock", "web.development");
  deploy(2);
  EXPECT_TRUE(bench.until([&] { return bench.status().serving == 2; }));
}

TEST_F(Steps, WhereNoRolloutIsUnderWayThereIsNothingToSteer) {
  serves_first();
  for (const auto* word : {"deployments.pause", "deployments.continue", "deployments.abort"}) {
    try {
      bench.invoke(word, "web.development");
      ADD_FAILURE() << word;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::FailedPrecondition) << word;
    }
  }
}

TEST_F(Steps, APausedRolloutStaysAndGoesOn) {
  serves_first();
  bench.world_.behave("web", {.ready = seconds{10}});
  deploy(2);
  ASSERT_TRUE(bench.until([&] { return rollout().has_value(); }));
  bench.invoke("deployments.pause", "web.development");
  bench.advance(minutes{10});
  EXPECT_EQ(bench.answers(), 1);
  EXPECT_TRUE(rollout()->waiting);
  bench.invoke("deployments.continue", "web.development");
  bench.settle();
  EXPECT_EQ(bench.answers(), 2);
}

}  // namespace
}  // namespace tow::deploy
