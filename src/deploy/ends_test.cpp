// SPDX-License-Identifier: Apache-2.0
// Ends: what is destroyed leaves nothing behind, whenever that happens, and whatever crashes meanwhile.
// Volumes, recreation, jobs, neighbours and hosts.
#include <gtest/gtest.h>

#include "deploy/bench_test.hpp"

namespace tow::deploy {
namespace {

using Phase = Deployment::Phase;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const std::string kWorkerScore = R"(
apiVersion: score.dev/v1b1
metadata: { name: worker }
containers: { main: { image: ., volumes: { /data: { source: "${resources.data}" } } } }
resources: { data: { type: volume } }
)";

class Ends : public testing::Test {
 protected:
  void SetUp() override { bench.create_project(); }
  void deployed(const std::string& component = "web", const std::string& score = kPlainScore) {
    bench.release(component + ".1", component, score);
    bench.deploy(component, component + ".1");
    ASSERT_TRUE(bench.until_healthy(component + ".development"))
        << bench.status(component + ".development").message;
  }
  std::vector<std::string> left() {
    std::vector<std::string> all;
    for (const auto& record : bench.store_->snapshot()->list({}))
      if (record->key.kind != "EnvironmentType") all.push_back(to_string(record->key));
    for (const auto& kind : {"Release", "Build", "PipelineRun"})
      for (const auto& record : bench.run(bench.store_->query({.filter = {.kind = kind}})))
        all.push_back(to_string(record->key));
    for (const auto& group : bench.engine_->groups()) all.push_back("group " + group.id);
    for (const auto& [id, site] : bench.plane_.sites()) all.push_back("site " + id);
    return all;
  }
  bool called(const std::string& what) {
    const auto calls = bench.world_.calls();
    return std::ranges::any_of(calls, [&](const auto& call) { return call.starts_with(what); });
  }

  Bench bench;
};

TEST_F(Ends, AProjectLeavesNothingBehind) {
  deployed();
  deployed("worker", kWorkerScore);
  bench.invoke("configurations.set", "", Node::Map{{"scope", "project"}, {"set", Node::Map{{"A", "1"}}}});
  bench.invoke("secrets.set", "", Node::Map{{"scope", "web.development"}, {"name", "B"}, {"value", "1"}});
  bench.erase(key<Project>({}, "shop"));
  bench.advance(minutes{2});
  EXPECT_EQ(left(), std::vector<std::string>{});
  EXPECT_TRUE(called("remove_environment"));
  EXPECT_TRUE(called("remove_volume"));
  EXPECT_TRUE(called("remove_service"));
  bench.create_project();
  EXPECT_EQ(bench.get<Project>("shop")->status.user_base, 1'000'000u) << "the name can be used again";
  deployed();
}

TEST_F(Ends, AnEnvironmentTakesItsDeploymentsAlongAndLeavesTheOthers) {
  deployed();
  bench.deploy("web", "web.1", "production");
  ASSERT_TRUE(bench.until_healthy("web.production"));
  bench.erase(key<Environment>("shop", "development"));
  bench.advance(minutes{1});
  EXPECT_FALSE(bench.get<Deployment>("web.development"));
  EXPECT_EQ(bench.answers(), 0);
  EXPECT_EQ(bench.answers("web--production--shop.localhost"), 1);
  EXPECT_EQ(bench.engine_->groups().size(), 1u);
}

TEST_F(Ends, AComponentGoesFromEveryEnvironment) {
  deployed();
  bench.deploy("web", "web.1", "production");
  ASSERT_TRUE(bench.until_healthy("web.production"));
  bench.erase(key<Component>("shop", "web"));
  bench.advance(minutes{1});
  EXPECT_TRUE(bench.list<Deployment>().empty());
  EXPECT_TRUE(bench.engine_->groups().empty());
  EXPECT_TRUE(bench.plane_.sites().empty());
  EXPECT_EQ(bench.list<Environment>().size(), 2u);
}

TEST_F(Ends, ADestroyDuringARolloutWorks) {
  deployed();
  bench.release("web.2", "web", kPlainScore, "image-2");
  bench.deploy("web", "web.2");
  bench.advance(milliseconds{3});
  bench.erase(key<Deployment>("shop", "web.development"));
  bench.advance(minutes{1});
  EXPECT_TRUE(bench.engine_->groups().empty());
  EXPECT_TRUE(bench.plane_.sites().empty());
  EXPECT_TRUE(bench.list<Revision>().empty());
  EXPECT_TRUE(bench.list<Instance>().empty());
  EXPECT_TRUE(bench.list<Route>().empty());
}

// Every step of a rollout and of an end is a place to die at.
TEST_F(Ends, ACrashAtAnyStepConverges) {
  for (int crash_after = 1; crash_after < 400; crash_after += 3) {
    Bench each;
    each.create_project();
    each.release("web.1", "web", kPlainScore);
    each.deploy("web", "web.1");
    ASSERT_TRUE(each.until_healthy());
    each.release("web.2", "web", kPlainScore, "image-2");
    each.deploy("web", "web.2");
    each.go(crash_after);
    each.restart();
    ASSERT_TRUE(each.until_healthy()) << "crash after " << crash_after << ": " << each.status().message;
    EXPECT_EQ(each.answers(), 2) << "crash after " << crash_after;
    each.advance(minutes{1});
    EXPECT_EQ(each.engine_->groups().size(), 1u) << "crash after " << crash_after;
    EXPECT_EQ(each.list<Instance>().size(), 1u) << "crash after " << crash_after;

    each.erase(key<Project>({}, "shop"));
    each.go(crash_after);
    each.restart();
    each.advance(minutes{2});
    EXPECT_TRUE(each.engine_->groups().empty()) << "crash after " << crash_after;
    EXPECT_TRUE(each.plane_.sites().empty()) << "crash after " << crash_after;
    EXPECT_EQ(each.store_->snapshot()->list({.kind = {}, .project = "shop"}).size(), 0u)
        << "crash after " << crash_after;
  }
}

TEST_F(Ends, TrafficGoesOnOverARestartOfTheControlPlane) {
  deployed();
  const auto changes = bench.plane_.changes();
  bench.crash();
  EXPECT_EQ(bench.plane_.request("web--development--shop.localhost").status, 200);
  bench.start();
  for (int i = 0; i < 200 && bench.step(); ++i)
    ASSERT_EQ(bench.plane_.request("web--development--shop.localhost").status, 200);
  bench.advance(seconds{10});
  EXPECT_EQ(bench.answers(), 1);
  EXPECT_EQ(bench.plane_.changes(), changes) << "nothing had changed";
}

TEST_F(Ends, WhatNobodyKnowsOfIsRemovedAfterAStart) {
  deployed();
  engine::Workload stray{.project = "shop",
                         .environment_name = "development",
                         .component = "web",
                         .environment = "e",
                         .containers = {{.image = "i", .command = {"x"}}}};
  stray.user_base = 2'000'000;
  bench.run(bench.engine_->ensure({.id = "stray", .workload = stray, .count = 1}));
  bench.run(
      bench.router_->apply({.id = "stray", .title = "stray", .matches = {{.host = "stray.localhost"}}}));
  bench.restart();
  bench.advance(seconds{30});
  EXPECT_FALSE(bench.engine_->group("stray"));
  EXPECT_FALSE(bench.plane_.site("stray"));
  EXPECT_EQ(bench.answers(), 1);
}

TEST_F(Ends, ARebootBringsEverythingBack) {
  deployed();
  bench.world_.reboot();
  bench.restart();
  ASSERT_TRUE(bench.until_healthy());
  EXPECT_EQ(bench.answers(), 1);
  EXPECT_EQ(bench.list<Revision>().size(), 1u);
}

TEST_F(Ends, AnEngineThatDoesNotAnswerIsAskedAgain) {
  bench.world_.refuse(Error{Code::Unavailable, "the engine is busy"});
  bench.release("web.1", "web", kPlainScore);
  bench.deploy("web", "web.1");
  bench.advance(seconds{30});
  EXPECT_EQ(bench.answers(), 0);
  bench.world_.refuse({});
  ASSERT_TRUE(bench.until_healthy());
}

TEST_F(Ends, AProxyThatFailsKeepsTheOldRevisionServing) {
  deployed();
  bench.plane_.set_hook([](std::string_view call, const route::SiteId&) -> Task<> {
    if (call == "apply") throw Error{Code::Unavailable, "the proxy does not answer"};
    co_return;
  });
  bench.release("web.2", "web", kPlainScore, "image-2");
  bench.deploy("web", "web.2");
  bench.advance(minutes{2});
  EXPECT_EQ(bench.answers(), 1);
  EXPECT_EQ(bench.status().message, "the proxy does not answer");
  EXPECT_EQ(bench.get<Revision>("web.development.1")->status.phase, Revision::Phase::Serving);
  bench.plane_.set_hook({});
  ASSERT_TRUE(bench.until_healthy());
  EXPECT_EQ(bench.answers(), 2);
}

TEST_F(Ends, AWritableVolumeIsNeverMountedTwice) {
  deployed("worker", kWorkerScore);
  ASSERT_TRUE(bench.get<Volume>("worker.development.data"));
  bench.invoke("deployments.restart", "worker.development");
  std::size_t most = 0;
  ASSERT_TRUE(bench.until([&] {
    most = std::max(most, bench.engine_->groups().size());
    return bench.status("worker.development").serving == 2;
  }));
  EXPECT_EQ(most, 1u);
  EXPECT_THROW(bench.invoke("deployments.scale", "worker.development", Node::Map{{"count", 2}}), Error);
}

TEST_F(Ends, AfterAFailedRecreationTheOldOneComesBack) {
  deployed("worker", kWorkerScore);
  bench.world_.behave("worker", {.ready = seconds{1}, .ends_after = milliseconds{100}, .exit_code = 1});
  bench.release("worker.2", "worker", kWorkerScore, "image-2");
  bench.deploy("worker", "worker.2");
  ASSERT_TRUE(bench.until([&] {
    const auto second = bench.get<Revision>("worker.development.2");
    return second && second->status.phase == Revision::Phase::Failed;
  }));
  bench.world_.behave("worker", {});
  ASSERT_TRUE(bench.until([&] { return bench.status("worker.development").serving == 1; }));
  EXPECT_EQ(bench.status("worker.development").phase, Phase::Failed);
  EXPECT_EQ(bench.status("worker.development").message,
            "revision 2 failed: exited with 1; revision 1 goes on serving");
  EXPECT_EQ(bench.status("worker.development").ready, 1);
}

TEST_F(Ends, AVolumeOutlivesRevisionsAndGoesWithItsDeployment) {
  deployed("worker", kWorkerScore);
  const auto uid = bench.get<Volume>("worker.development.data")->uid();
  bench.invoke("deployments.restart", "worker.development");
  ASSERT_TRUE(bench.until([&] { return bench.status("worker.development").serving == 2; }));
  EXPECT_EQ(bench.get<Volume>("worker.development.data")->uid(), uid);
  EXPECT_FALSE(called("remove_volume"));
  bench.erase(key<Deployment>("shop", "worker.development"));
  bench.advance(minutes{1});
  EXPECT_FALSE(bench.get<Volume>("worker.development.data"));
  EXPECT_TRUE(called("remove_volume " + uid));
}

TEST_F(Ends, AVolumeThatIsInUseIsNotRemovedUnderIt) {
  deployed("worker", kWorkerScore);
  bench.erase(key<Volume>("shop", "worker.development.data"));
  bench.advance(seconds{10});
  EXPECT_TRUE(bench.get<Volume>("worker.development.data"));
  EXPECT_FALSE(called("remove_volume"));
}

const std::string kNeighbourScore = R"(
apiVersion: score.dev/v1b1
metadata: { name: web }
service: { ports: { http: { port: 80, targetPort: 8080 } } }
containers: { main: { image: ., variables: { API: "http://${resources.api.hostname}:${resources.api.port}" } } }
resources:
  api: { type: service-port, params: { workload: api, port: http } }
  route: { type: route, params: { port: http } }
)";
const std::string kApiScore = R"(
apiVersion: score.dev/v1b1
metadata: { name: api }
service: { ports: { http: { port: 8000 } } }
containers: { main: { image: . } }
)";

TEST_F(Ends, AComponentWaitsForTheOneThatItRefersTo) {
  bench.release("web.1", "web", kNeighbourScore);
  bench.deploy("web", "web.1");
  bench.advance(seconds{20});
  EXPECT_EQ(bench.status().phase, Phase::Progressing);
  EXPECT_EQ(bench.status().message, "it refers to api, which is not deployed in development");
  bench.release("api.1", "api", kApiScore);
  bench.deploy("api", "api.1");
  const auto began = bench.now();
  ASSERT_TRUE(bench.until_healthy());
  EXPECT_LE(bench.now() - began, milliseconds{100});
}

TEST_F(Ends, AndDoesNotWaitForEver) {
  bench.release("web.1", "web", kNeighbourScore);
  bench.deploy("web", "web.1");
  bench.advance(minutes{6});
  EXPECT_EQ(bench.status().phase, Phase::Failed);
}

TEST_F(Ends, AHostLeadsToTheOneThatWasFirst) {
  const auto score = [](const std::string& name) {
    return R"({apiVersion: score.dev/v1b1, metadata: {name: )" + name +
           R"(}, service: {ports: {http: {port: 80}}},
        containers: {main: {image: .}}, resources: {host: {type: dns, id: shared},
        route: {type: route, params: {port: http, host: "${resources.host.host}"}}}})";
  };
  bench.release("web.1", "web", score("web"));
  bench.deploy("web", "web.1");
  ASSERT_TRUE(bench.until_healthy());
  bench.release("api.1", "api", score("api"));
  try {
    bench.deploy("api", "api.1");
    FAIL() << "it was taken";
  } catch (const Error& error) {
    EXPECT_NE(error.message().find("leads to web.development of project shop already"), std::string::npos)
        << error.message();
  }
  bench.erase(key<Deployment>("shop", "web.development"));
  bench.advance(minutes{1});
  bench.deploy("api", "api.1");
  ASSERT_TRUE(bench.until_healthy("api.development"));
}

TEST_F(Ends, AnotherDomainMovesEveryHost) {
  deployed();
  bench.domain = "apps.example.org";
  bench.restart();
  ASSERT_TRUE(bench.until([&] { return bench.status().serving == 2; }));
  EXPECT_EQ(bench.answers("web--development--shop.apps.example.org"), 2);
  EXPECT_EQ(bench.answers(), 0);
}

// The caller's side of a terminal, in memory.
class Screen final : public api::Terminal {
 public:
  explicit Screen(bool goes = false) : goes_{goes} {}
  Task<std::optional<Input>> read() override {
    if (goes_) co_return std::nullopt;
    co_await hung_up_.wait();
    co_return std::nullopt;
  }
  Task<> write(std::string_view bytes) override {
    text += bytes;
    co_return;
  }
  std::string text;

 private:
  bool goes_;
  Signal hung_up_;
};

int terminal(Bench& bench, std::string_view operation, ExecInput input, Screen& screen) {
  const auto& operations = bench.api_->operations();
  const auto found = std::ranges::find(operations, operation, &api::AnyOperation::name);
  return bench.run(found->terminal(bench.call("Deployment", "web.development"), write(input), screen));
}

TEST_F(Ends, ACommandRunsInAReadyInstance) {
  deployed();
  bench.world_.set_exec([](const engine::InstanceId& instance, const std::vector<std::string>& command) {
    return std::pair{instance + " " + command[0], 7};
  });
  Screen screen;
  EXPECT_EQ(terminal(bench, "deployments.exec", {.command = {"ls"}}, screen), 7);
  EXPECT_EQ(screen.text, bench.get<Revision>("web.development.1")->uid() + "-0 ls");
  Screen other;
  EXPECT_THROW(terminal(bench, "deployments.exec", {.command = {"ls"}, .instance = "nobody"}, other), Error);
}

TEST_F(Ends, AJobRunsBesideItAndItsOutputIsSeen) {
  deployed();
  bench.world_.behave("web", {.exit_code = 4, .says = {"migrating", "done"}});
  Screen screen;
  EXPECT_EQ(terminal(bench, "deployments.run", {.command = {"migrate"}}, screen), 4);
  EXPECT_EQ(screen.text, "migrating\ndone\n");
  const auto jobs = bench.list<Job>();
  ASSERT_EQ(jobs.size(), 1u);
  EXPECT_EQ(jobs[0].status.phase, WorkPhase::Failed);
  EXPECT_EQ(jobs[0].status.exit_code, 4);
  EXPECT_EQ(bench.answers(), 1) << "what serves is left alone";
}

TEST_F(Ends, AJobEndsWithItsCaller) {
  deployed();
  bench.world_.behave("web", {.ends_after = minutes{30}});
  Screen screen{true};
  EXPECT_EQ(terminal(bench, "deployments.run", {.command = {"sleep"}}, screen), 1);
  bench.advance(minutes{1});
  EXPECT_TRUE(bench.list<Job>().empty());
}

TEST_F(Ends, JobsGoWithTheirDeployment) {
  deployed();
  Screen screen;
  terminal(bench, "deployments.run", {.command = {"x"}}, screen);
  bench.erase(key<Deployment>("shop", "web.development"));
  bench.advance(minutes{1});
  EXPECT_TRUE(bench.list<Job>().empty());
  EXPECT_FALSE(bench.get<Deployment>("web.development"));
}

}  // namespace
}  // namespace tow::deploy
