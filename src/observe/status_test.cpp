// SPDX-License-Identifier: Apache-2.0
#include "observe/harness_test.hpp"

namespace tow::observe {
namespace {

using std::chrono::seconds;

class Status : public testing::Test {
 protected:
  void SetUp() override {
    web = h.deployment("web.development", 1);
    revision = h.revision(*web, 1);
    h.create<Release>(
        "r1", {.component = "web", .commit = Commit{.id = "c0ffee"}, .image = "i", .score = Node{}}, {});
    h.ensure(*revision, 2, Bytes{64 << 20});
  }
  std::string id(int ordinal) const { return revision->uid + "-" + std::to_string(ordinal); }
  DeploymentStatus status() { return h.call<DeploymentStatus>("deployments.status", "web.development"); }
  void use(int ordinal, double cpu_seconds, std::uint64_t memory) {
    h.world().set_usage(id(ordinal), {.cpu_seconds = cpu_seconds,
                                      .memory = Bytes{memory},
                                      .memory_limit = Bytes{64 << 20},
                                      .processes = 1});
  }
  Harness h;
  RecordPtr web, revision;
};

TEST_F(Status, ShowsTheDeploymentAndItsInstances) {
  use(1, 0, 5 << 20);
  const auto seen = status();
  EXPECT_EQ(seen.deployment, "web.development");
  EXPECT_EQ(seen.phase, Deployment::Phase::Healthy);
  EXPECT_EQ(seen.commit->id, "c0ffee");
  EXPECT_EQ(seen.serving, 1);
  EXPECT_EQ(seen.scale, 2);
  ASSERT_EQ(seen.instances.size(), 2u);
  EXPECT_EQ(seen.instances[1].name, revision->uid.substr(21) + "-1");
  EXPECT_EQ(seen.instances[1].phase, "ready");
  EXPECT_EQ(seen.instances[1].revision, 1);
  EXPECT_EQ(seen.instances[1].memory.count, 5u << 20);
  EXPECT_EQ(seen.instances[1].memory_limit.count, 64u << 20);
  EXPECT_FALSE(seen.signals) << "nothing comes by way of the proxy";
}

TEST_F(Status, ComputesCoresSinceTheLastSample) {
  use(0, 10, 1);
  use(1, 100, 1);
  h.pass_to_sample();
  EXPECT_EQ(status().instances[0].cpu, 0) << "it has not been seen for long enough";
  use(0, 12.5, 1);
  h.advance(seconds{5});
  EXPECT_NEAR(status().instances[0].cpu, 0.5, 1e-9);
  EXPECT_NEAR(status().instances[1].cpu, 0, 1e-9);
  use(0, 1, 1);
  EXPECT_NEAR(status().instances[0].cpu, 0.2, 1e-9) << "it was started again and counts from zero";
  h.pass_to_sample();
  EXPECT_NEAR(status().instances[0].cpu, 0.1, 1e-9) << "right after a sample: since the one before";
}

TEST_F(Status, ShowsTheGoldenSignalsOfTheLastMinute) {
  h.proxy().set_signals(web->uid, {.requests = 1000, .responses = {0, 0, 900, 0, 0, 100}});
  h.proxy().set_signals(web->uid + "p9090", {});
  h.advance(seconds{300});
  h.pass_to_sample();
  h.proxy().set_signals(
      web->uid,
      {.requests = 1600, .responses = {0, 0, 1470, 0, 0, 130}, .average_response_ms = 12.5, .sessions = 3});
  // Another port of the same deployment, and a site of somebody else.
  h.proxy().set_signals(web->uid + "p9090", {.requests = 60, .responses = {0, 0, 60}, .sessions = 1});
  h.proxy().set_signals(std::string(26, 'z'), {.requests = 1000000});
  h.pass_to_sample();
  const auto signals = status().signals;
  ASSERT_TRUE(signals);
  EXPECT_NEAR(signals->requests_per_second, 10 + 1, 1e-9) << "of a minute";
  EXPECT_NEAR(signals->error_ratio, 30.0 / 660, 1e-9);
  EXPECT_NEAR(signals->response_ms, 12.5 * 600 / 660, 1e-9);
  EXPECT_EQ(signals->sessions, 4);
}

TEST_F(Status, KnowsTheRatesAfterARestart) {
  h.proxy().set_signals(web->uid, {.requests = 1000, .responses = {0, 0, 1000}});
  h.advance(seconds{100});
  h.proxy().set_signals(web->uid, {.requests = 1600, .responses = {0, 0, 1600}});
  h.reopen();
  const auto signals = status().signals;
  ASSERT_TRUE(signals);
  EXPECT_NEAR(signals->requests_per_second, 10, 2);
}

TEST_F(Status, AnswersWhenTheProxyDoesNot) {
  h.proxy().set_signals(web->uid, {.requests = 1000});
  h.advance(seconds{5});
  h.proxy().fail_next(Error{Code::Unavailable, "no answer"});
  EXPECT_FALSE(status().signals);
  EXPECT_TRUE(status().signals);
}

}  // namespace
}  // namespace tow::observe
