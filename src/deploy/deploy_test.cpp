// SPDX-License-Identifier: Apache-2.0
// The capability as a whole, over fakes: releases, rollouts, rollbacks, scale, ends.
#include <gtest/gtest.h>

#include "deploy/bench_test.hpp"

namespace tow::deploy {
namespace {

using Phase = Deployment::Phase;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

class Deploy : public testing::Test {
 protected:
  void SetUp() override { bench.create_project(); }

  void first_release() {
    bench.release("web.1", "web", kPlainScore);
    bench.deploy("web", "web.1");
    ASSERT_TRUE(bench.until_healthy()) << bench.status().message;
  }
  Revision::Phase phase_of(int number, const std::string& deployment = "web.development") {
    const auto revision = bench.get<Revision>(fmt::format("{}.{}", deployment, number));
    return revision ? revision->status.phase : Revision::Phase::Pending;
  }
  std::string uid_of(int number) {
    return bench.get<Revision>(fmt::format("web.development.{}", number))->uid();
  }
  Node rollback(Node input = Node::Map{}) {
    return bench.invoke("deployments.rollback", "web.development", std::move(input));
  }

  Bench bench;
};

TEST_F(Deploy, ANewProjectGetsItsUsersAndItsEnvironments) {
  bench.create(draft<Project>({}, "blog", {}));
  bench.settle();
  EXPECT_EQ(bench.get<Project>("shop")->status.user_base, 1'000'000u);
  EXPECT_EQ(bench.get<Project>("blog")->status.user_base, 1'065'536u);
  EXPECT_EQ(bench.get<Environment>("development")->spec.branch, "main");
  EXPECT_EQ(bench.get<Environment>("production")->spec.branch, "");
  EXPECT_EQ(bench.list<EnvironmentType>().size(), 2u);
}

TEST_F(Deploy, AnEnvironmentThatWasDestroyedIsNotMadeAgain) {
  bench.erase(key<Environment>("shop", "development"));
  bench.advance(minutes{1});
  EXPECT_FALSE(bench.get<Environment>("development"));
  bench.restart();
  bench.advance(minutes{1});
  EXPECT_FALSE(bench.get<Environment>("development"));
}

TEST_F(Deploy, AReleaseIsLiveAtItsHost) {
  bench.release("web.1", "web", kPlainScore);
  const auto output = bench.deploy("web", "web.1");
  EXPECT_EQ(output.deployment, "web.development");
  const auto began = bench.now();
  ASSERT_TRUE(bench.until_healthy()) << bench.status().message;
  EXPECT_EQ(bench.answers(), 1);
  EXPECT_LE(bench.now() - began, milliseconds{30}) << "nothing but the application's own start takes time";
  const auto status = bench.status();
  EXPECT_EQ(status.serving, 1);
  EXPECT_EQ(status.ready, 1);
  EXPECT_EQ(status.urls, std::vector<std::string>{"http://web--development--shop.localhost"});
  EXPECT_EQ(bench.get<Revision>("web.development.1")->spec.by, "ann");
  bench.advance(seconds{1});
  const auto instances = bench.list<Instance>();
  ASSERT_EQ(instances.size(), 1u);
  EXPECT_EQ(instances[0].status.phase, "Ready");
  EXPECT_EQ(bench.list<Route>().at(0).spec.port, 8080);
}

TEST_F(Deploy, ItsServiceIsBalancedByTheProxy) {
  first_release();
  const auto service = bench.world_.service(bench.get<Environment>("development")->uid(), "web");
  ASSERT_TRUE(service);
  EXPECT_EQ(service->endpoints.size(), 1u);
  EXPECT_TRUE(service->ports.at(0).http);
  EXPECT_EQ(bench.plane_.request_internal(bench.status().address, 80).status, 200);
}

TEST_F(Deploy, ANewReleaseTakesOverWithoutAGapAndTheOldOneIsRetired) {
  first_release();
  bench.release("web.2", "web", kPlainScore, "image-2");
  bench.deploy("web", "web.2");
  std::vector<int> answered;
  bench.until([&] {
    const int now = bench.answers();
    if (answered.empty() || answered.back() != now) answered.push_back(now);
    return phase_of(1) == Revision::Phase::Retired;
  });
  EXPECT_EQ(answered, (std::vector<int>{1, 2}));
  EXPECT_EQ(phase_of(2), Revision::Phase::Serving);
  EXPECT_FALSE(bench.engine_->group(uid_of(1)));
  EXPECT_EQ(bench.status().phase, Phase::Healthy);
}

TEST_F(Deploy, OpenSessionsAreWaitedForUntilTheDrainLimit) {
  first_release();
  const auto site = bench.get<Deployment>("web.development")->uid();
  bench.plane_.set_sessions(site, uid_of(1) + "-0", 2);
  bench.release("web.2", "web", kPlainScore, "image-2");
  bench.deploy("web", "web.2");
  ASSERT_TRUE(bench.until([&] { return phase_of(1) == Revision::Phase::Draining; }));
  bench.advance(seconds{20});
  EXPECT_TRUE(bench.engine_->group(uid_of(1))) << "somebody is still served";
  bench.plane_.set_sessions(site, uid_of(1) + "-0", 0);
  bench.advance(seconds{2});
  EXPECT_EQ(phase_of(1), Revision::Phase::Retired);

  bench.plane_.set_sessions(site, uid_of(2) + "-0", 1);
  bench.release("web.3", "web", kPlainScore, "image-3");
  bench.deploy("web", "web.3");
  ASSERT_TRUE(bench.until([&] { return phase_of(2) == Revision::Phase::Draining; }));
  bench.advance(seconds{31});
  EXPECT_EQ(phase_of(2), Revision::Phase::Retired) << "but not for ever";
}

TEST_F(Deploy, ABadReleaseFailsAndTheOldOneGoesOn) {
  first_release();
  bench.world_.behave("web", {.ready = seconds{1}, .ends_after = milliseconds{200}, .exit_code = 3});
  bench.release("web.2", "web", kPlainScore, "image-2");
  bench.deploy("web", "web.2");
  bool gap = false;
  bench.until([&] {
    gap = gap || bench.answers() == 0;
    return phase_of(2) == Revision::Phase::Failed;
  });
  ASSERT_TRUE(bench.until_phase(Phase::Failed));
  EXPECT_FALSE(gap);
  EXPECT_EQ(bench.status().message, "revision 2 failed: exited with 3; revision 1 goes on serving");
  EXPECT_EQ(bench.status().failed, 2);
  bench.advance(minutes{5});
  EXPECT_EQ(bench.answers(), 1);
  EXPECT_EQ(bench.list<Revision>().size(), 2u) << "it is not tried again and again";
  EXPECT_FALSE(bench.engine_->group(uid_of(2)));
}

TEST_F(Deploy, AReleaseThatIsNeverReadySaysWhy) {
  bench.world_.behave("web",
                      {.never_ready = true, .unready_reason = "listens on 3000, not on the declared 8080"});
  bench.release("web.1", "web", kPlainScore);
  bench.deploy("web", "web.1");
  ASSERT_TRUE(bench.until_phase(Phase::Failed));
  EXPECT_EQ(bench.status().message,
            "revision 1 failed: not ready within 1m: listens on 3000, not on the declared 8080");
  EXPECT_EQ(bench.plane_.request("web--development--shop.localhost").status, 503) << "the host is known";
}

TEST_F(Deploy, WhatFailedIsTriedAgainWhenItIsAskedForAgain) {
  bench.world_.behave("web", {.ends_after = milliseconds{1}, .exit_code = 1});
  bench.release("web.1", "web", kPlainScore);
  bench.deploy("web", "web.1");
  ASSERT_TRUE(bench.until_phase(Phase::Failed));
  bench.world_.behave("web", {});
  bench.deploy("web", "web.1");
  ASSERT_TRUE(bench.until_healthy());
  EXPECT_EQ(bench.answers(), 2);
}

TEST_F(Deploy, DeployingWhatRunsChangesNothing) {
  first_release();
  const auto output = bench.deploy("web", "web.1");
  bench.advance(seconds{1});
  EXPECT_EQ(output.generation, bench.get<Deployment>("web.development")->record->generation);
  EXPECT_EQ(bench.list<Revision>().size(), 1u);
}

TEST_F(Deploy, TheNewestOfTwoDeploysWins) {
  first_release();
  bench.release("web.2", "web", kPlainScore, "image-2");
  bench.release("web.3", "web", kPlainScore, "image-3");
  bench.deploy("web", "web.2");
  bench.advance(milliseconds{3});
  bench.deploy("web", "web.3");
  ASSERT_TRUE(bench.until_healthy());
  EXPECT_EQ(bench.get<Revision>("web.development.3")->spec.release, "web.3");
  EXPECT_EQ(bench.answers(), 3);
  bench.advance(seconds{1});
  EXPECT_EQ(phase_of(2), Revision::Phase::Retired);
  EXPECT_EQ(bench.engine_->groups().size(), 1u);
}

TEST_F(Deploy, AnEnvironmentCanTakeWhatAnotherRuns) {
  first_release();
  bench.invoke("deployments.deploy", "",
               Node::Map{{"component", "web"}, {"environment", "production"}, {"from", "development"}});
  ASSERT_TRUE(bench.until_healthy("web.production"));
  EXPECT_EQ(bench.answers("web--production--shop.localhost"), 1);
  EXPECT_EQ(bench.get<Deployment>("web.production")->spec.release, "web.1");
}

TEST_F(Deploy, AnImageBecomesARelease) {
  bench.images_.add("nginx:1");
  const auto output =
      bench.invoke("deployments.deploy", "",
                   Node::Map{{"component", "web"}, {"environment", "development"}, {"image", "nginx:1"}});
  ASSERT_TRUE(bench.until_healthy());
  EXPECT_NE(output.find("message")->string()->find("no Score document"), std::string::npos);
  const auto release = bench.get<Component>("web")->status.release;
  EXPECT_EQ(*output.find("release")->string(), release);
  const auto again =
      bench.invoke("deployments.deploy", "",
                   Node::Map{{"component", "web"}, {"environment", "production"}, {"image", "nginx:1"}});
  EXPECT_EQ(*again.find("release")->string(), release) << "the same image and document are the same release";
}

TEST_F(Deploy, WhatCannotBeDeployedIsRefusedBeforeAnythingIsChanged) {
  bench.release("web.1", "web", kPlainScore);
  bench.release("api.1", "api", kPlainScore);
  bench.release("greedy.1", "greedy", R"({apiVersion: score.dev/v1b1, metadata: {name: greedy},
      containers: {main: {image: ., resources: {limits: {memory: 10Gi}}}}})");
  const auto deploy = [&](Node::Map input) {
    return refused([&] { bench.invoke("deployments.deploy", "", std::move(input)); });
  };
  const auto error = [&](Node::Map input) { return deploy(std::move(input)).message(); };
  EXPECT_EQ(error({{"component", "web"}, {"environment", "staging"}, {"release", "web.1"}}),
            "there is no environment staging in shop; there is development, production");
  EXPECT_EQ(error({{"component", "web"}, {"environment", "development"}, {"release", "web.9"}}),
            "there is no release web.9 in shop");
  EXPECT_EQ(error({{"component", "web"}, {"environment", "development"}, {"release", "api.1"}}),
            "the release api.1 is of api, not of web");
  EXPECT_NE(error({{"component", "web"}, {"environment", "development"}}).find("nothing is named"),
            std::string::npos);
  EXPECT_NE(error({{"component", "Web"}, {"environment", "development"}, {"release", "web.1"}})
                .find("no component's name"),
            std::string::npos);
  EXPECT_NE(error({{"component", "greedy"}, {"environment", "development"}, {"release", "greedy.1"}})
                .find("10Gi is more than development allows"),
            std::string::npos);
  EXPECT_EQ(deploy({{"component", "web"}, {"environment", "development"}, {"image", "no/such:1"}}).code(),
            Code::NotFound);
  EXPECT_TRUE(bench.list<Deployment>().empty());
  EXPECT_TRUE(bench.list<Component>().empty());
}

TEST_F(Deploy, ARollbackBringsBackAnEarlierReleaseAndStaysThroughOtherChanges) {
  first_release();
  bench.release("web.2", "web", kPlainScore, "image-2");
  bench.deploy("web", "web.2");
  ASSERT_TRUE(bench.until_healthy());
  const auto output = rollback();
  EXPECT_EQ(*output.find("revision")->integer(), 1);
  ASSERT_TRUE(bench.until_healthy());
  EXPECT_EQ(bench.answers(), 3);
  const auto third = bench.get<Revision>("web.development.3");
  EXPECT_EQ(third->spec.release, "web.1");
  EXPECT_EQ(third->spec.restores, 1);
  EXPECT_EQ(third->spec.cause, "rollback");

  bench.invoke("deployments.scale", "web.development", Node::Map{{"count", 2}});
  ASSERT_TRUE(bench.until_healthy());
  EXPECT_EQ(bench.get<Revision>("web.development.3")->status.phase, Revision::Phase::Serving);

  const auto pushed = bench.deploy("web", "web.2", "development", "push");
  EXPECT_NE(pushed.message.find("rolled back to revision 1"), std::string::npos) << "the next push says so";
  ASSERT_TRUE(bench.until_healthy());
  EXPECT_EQ(bench.answers(), 4);
}

TEST_F(Deploy, ARollbackThatHoldsRefusesPushesUntilAPersonDeploys) {
  first_release();
  bench.release("web.2", "web", kPlainScore, "image-2");
  bench.deploy("web", "web.2", "development", "push");
  ASSERT_TRUE(bench.until_healthy());
  rollback(Node::Map{{"hold", true}});
  ASSERT_TRUE(bench.until_healthy());
  const auto push = refused([&] { bench.deploy("web", "web.2", "development", "push"); });
  EXPECT_EQ(push.code(), Code::FailedPrecondition);
  EXPECT_NE(push.message().find("held"), std::string::npos);
  bench.invoke("deployments.unhold", "web.development");
  bench.deploy("web", "web.2", "development", "push");
  ASSERT_TRUE(bench.until_healthy());
  rollback(Node::Map{{"hold", true}});
  bench.deploy("web", "web.2");
  EXPECT_FALSE(bench.get<Deployment>("web.development")->spec.hold) << "a person's deploy lifts it";
}

TEST_F(Deploy, ARollbackAfterAFailureKeepsWhatServes) {
  first_release();
  bench.world_.behave("web", {.ends_after = milliseconds{1}, .exit_code = 1});
  bench.release("web.2", "web", kPlainScore, "image-2");
  bench.deploy("web", "web.2");
  ASSERT_TRUE(bench.until_phase(Phase::Failed));
  rollback(Node::Map{{"revision", 1}});
  ASSERT_TRUE(bench.until_healthy());
  EXPECT_EQ(bench.answers(), 1);
  EXPECT_EQ(bench.list<Revision>().size(), 2u) << "what serves is what is wanted: nothing is started";
}

TEST_F(Deploy, ThereIsNothingToRollBackToAtFirst) {
  first_release();
  EXPECT_EQ(refused([&] { rollback(); }).code(), Code::FailedPrecondition);
  EXPECT_EQ(refused([&] { rollback(Node::Map{{"revision", 9}}); }).message(),
            "web.development has no revision 9; there is 1");
}

TEST_F(Deploy, APersonsScaleIsNotResetByAPush) {
  first_release();
  const auto push = [&](std::optional<int> scale) {
    DeployInput input{.component = "web", .environment = "development", .release = "web.1", .scale = scale};
    input.cause = "push";
    bench.run(bench.deployments_->deploy(bench.call("Deployment", ""), input));
    return bench.get<Deployment>("web.development")->spec.scale;
  };
  EXPECT_EQ(push(2), 2) << "towpath.yaml decides where nobody else did";
  EXPECT_EQ(push({}), 1) << "and where it says nothing more, the default";
  bench.invoke("deployments.scale", "web.development", Node::Map{{"count", 3}});
  EXPECT_EQ(push(2), 3);
  EXPECT_EQ(push({}), 3);
  ASSERT_TRUE(bench.until_healthy());
  EXPECT_EQ(bench.status().ready, 3);
}

TEST_F(Deploy, ScalingDownTakesTheTrafficAwayFirst) {
  first_release();
  bench.invoke("deployments.scale", "web.development", Node::Map{{"count", 3}});
  ASSERT_TRUE(bench.until_healthy());
  const auto site = bench.get<Deployment>("web.development")->uid();
  bench.plane_.set_sessions(site, uid_of(1) + "-2", 1);
  bench.invoke("deployments.scale", "web.development", Node::Map{{"count", 1}});
  bench.advance(seconds{10});
  EXPECT_EQ(bench.engine_->group(uid_of(1))->instances.size(), 3u) << "one of them is still busy";
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(bench.plane_.request("web--development--shop.localhost").server, uid_of(1) + "-0");
  bench.plane_.set_sessions(site, uid_of(1) + "-2", 0);
  bench.advance(seconds{5});
  EXPECT_EQ(bench.engine_->group(uid_of(1))->instances.size(), 1u);
  bench.invoke("deployments.scale", "web.development", Node::Map{{"count", 0}});
  bench.advance(seconds{5});
  EXPECT_EQ(bench.status().message, "scaled to 0");
  EXPECT_EQ(bench.answers(), 0);
}

TEST_F(Deploy, ARestartIsANewRevisionOfTheSameContent) {
  first_release();
  bench.invoke("deployments.restart", "web.development");
  ASSERT_TRUE(bench.until_healthy());
  EXPECT_EQ(bench.answers(), 2);
  EXPECT_EQ(bench.get<Revision>("web.development.2")->spec.release, "web.1");
  EXPECT_EQ(bench.get<Revision>("web.development.2")->spec.cause, "restart");
}

TEST_F(Deploy, AnUnwellInstanceGetsNoTrafficAndIsSpokenOf) {
  first_release();
  bench.invoke("deployments.scale", "web.development", Node::Map{{"count", 2}});
  ASSERT_TRUE(bench.until_healthy());
  bench.world_.set_passing(uid_of(1) + "-0", false);
  bench.settle();
  EXPECT_EQ(bench.status().phase, Phase::Degraded);
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(bench.plane_.request("web--development--shop.localhost").server, uid_of(1) + "-1");
  bench.world_.kill_for_memory(uid_of(1) + "-1");
  bench.settle();
  EXPECT_EQ(bench.status().message, "0 of 2 instances ready: killed for memory: the limit is 512Mi");
  EXPECT_EQ(bench.answers(), 0);
  bench.world_.set_passing(uid_of(1) + "-0", true);
  ASSERT_TRUE(bench.until_healthy());
}

TEST_F(Deploy, RetiredRevisionsAreKeptAsFarAsTheirHistoryGoes) {
  auto type = bench.get<EnvironmentType>("development", "");
  type->spec.history = 2;
  store::Transaction transaction;
  transaction.put_spec(type->key(), encode_spec<EnvironmentType>(type->spec));
  bench.run([](store::Store& store, store::Transaction t) -> Task<> { co_await store.commit(std::move(t)); }(
                                                              *bench.store_, std::move(transaction)));
  first_release();
  for (int i = 0; i < 5; ++i) {
    bench.invoke("deployments.restart", "web.development");
    ASSERT_TRUE(bench.until_healthy());
    bench.advance(seconds{2});
  }
  std::vector<int> numbers;
  for (const auto& revision : bench.list<Revision>()) numbers.push_back(revision.spec.number);
  std::ranges::sort(numbers);
  EXPECT_EQ(numbers, (std::vector<int>{4, 5, 6}));
}

TEST_F(Deploy, TheHistorySaysWhatEachRevisionChanged) {
  first_release();
  bench.release("web.2", "web", kWebScore, "image-2");
  bench.invoke("configurations.set", "",
               Node::Map{{"scope", "development"}, {"set", Node::Map{{"GREETING", "hi"}}}}, "bob");
  bench.deploy("web", "web.2");
  ASSERT_TRUE(bench.until_healthy());
  bench.invoke("configurations.set", "",
               Node::Map{{"scope", "development"}, {"set", Node::Map{{"GREETING", "ho"}}}}, "bob");
  ASSERT_TRUE(bench.until([&] { return bench.status().serving == 3; }));
  const auto history = bench.invoke("deployments.history", "web.development");
  const auto& revisions = *history.find("revisions")->list();
  ASSERT_EQ(revisions.size(), 3u);
  EXPECT_EQ(to_json(*revisions[0].find("changes")), R"(["config GREETING changed"])");
  EXPECT_EQ(*revisions[0].find("cause")->string(), "configuration");
  EXPECT_EQ(*revisions[0].find("by")->string(), "bob");
  EXPECT_EQ(to_json(*revisions[1].find("changes")),
            R"(["image","score containers.main.variables","score resources.env","config GREETING set"])");
}

TEST_F(Deploy, FollowTellsHowItGoesUntilItHasEnded) {
  bench.release("web.1", "web", kPlainScore);
  const auto output = bench.deploy("web", "web.1");
  std::vector<std::string> lines;
  std::optional<WorkPhase> end;
  const auto& operations = bench.api_->operations();
  const auto follow = std::ranges::find(operations, "deployments.follow", &api::AnyOperation::name);
  bench.run(follow->stream(bench.call("Deployment", "web.development"),
                           Node::Map{{"generation", output.generation}}, [&](const Node& item) -> Task<> {
                             const auto progress = read_document<Progress>(item, "progress");
                             lines.push_back(progress.text);
                             end = progress.phase;
                             co_return;
                           }));
  EXPECT_EQ(end, WorkPhase::Succeeded);
  EXPECT_EQ(lines.back(), "revision 1 serves at http://web--development--shop.localhost");
  EXPECT_GE(lines.size(), 2u);
}

}  // namespace
}  // namespace tow::deploy
