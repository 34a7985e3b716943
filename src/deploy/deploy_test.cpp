// SPDX-License-Identifier: Apache-2.0
// The capability as a whole, over fakes.
#include <gtest/gtest.h>

#include "deploy/bench_test.hpp"

namespace tow::deploy {
namespace {

using Phase = Deployment::Phase;
using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Deploy, ANewProjectGetsItsUsersAndItsEnvironments) {
  Bench bench;
  bench.create_project();
  bench.create(draft<Project>({}, "blog", {}));
  bench.settle();
  EXPECT_EQ(bench.get<Project>("shop")->status.user_base, 1'000'000u);
  EXPECT_EQ(bench.get<Project>("blog")->status.user_base, 1'065'536u);
  EXPECT_EQ(bench.get<Environment>("development")->spec.branch, "main");
  EXPECT_EQ(bench.get<Environment>("production")->spec.branch, "");
  EXPECT_EQ(bench.list<EnvironmentType>().size(), 2u);
}

TEST(Deploy, AReleaseIsLiveAtItsHost) {
  Bench bench;
  bench.create_project();
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
  const auto revision = bench.get<Revision>("web.development.1");
  ASSERT_TRUE(revision);
  EXPECT_EQ(revision->status.phase, Revision::Phase::Serving);
  EXPECT_EQ(revision->spec.by, "ann");
  const auto instances = bench.list<Instance>();
  ASSERT_EQ(instances.size(), 1u);
  EXPECT_EQ(instances[0].status.phase, "Ready");
}

}  // namespace
}  // namespace tow::deploy
