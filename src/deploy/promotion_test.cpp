// SPDX-License-Identifier: Apache-2.0
// A release that goes to another environment brings along what towpath.yaml says of its component there.
#include <gtest/gtest.h>

#include "deploy/bench_test.hpp"

namespace tow::deploy {
namespace {

struct Promotion : testing::Test {
  void SetUp() override {
    bench.create_project();
    std::map<std::string, EnvironmentSetting> settings;
    settings["development"] = {};
    settings["production"].scale = 3;
    settings["production"].strategy = Strategy{.type = StrategyType::Recreate};
    settings["production"].overrides = parse_yaml("{containers: {main: {variables: {A: there}}}}");
    bench.create(draft<Release>("shop", "web.1",
                                {.component = "web",
                                 .image = "image-1",
                                 .score = parse_yaml(kPlainScore),
                                 .settings = settings,
                                 .by = "ann"}));
    bench.deploy("web", "web.1", "development", "push");
    ASSERT_TRUE(bench.until_healthy());
  }
  Deployment::Spec promote() {
    bench.run(
        bench.deployments_->deploy(bench.call("Deployment", ""),
                                   {.component = "web", .environment = "production", .from = "development"}));
    return bench.get<Deployment>("web.production")->spec;
  }
  Bench bench;
};

TEST_F(Promotion, TakesScaleStrategyAndOverridesOfThatEnvironment) {
  const auto spec = promote();
  EXPECT_EQ(spec.scale, 3);
  EXPECT_EQ(spec.scale_by, SetBy::Manifest);
  EXPECT_EQ(spec.strategy.type, StrategyType::Recreate);
  EXPECT_EQ(to_json(spec.overrides), R"({"containers":{"main":{"variables":{"A":"there"}}}})");
  ASSERT_TRUE(bench.until_healthy("web.production"));
  EXPECT_EQ(bench.status("web.production").ready, 3);
  EXPECT_EQ(bench.get<Deployment>("web.development")->spec.scale, 1);
}

TEST_F(Promotion, APersonsScaleWins) {
  promote();
  bench.invoke("deployments.scale", "web.production", Node::Map{{"count", 2}});
  EXPECT_EQ(promote().scale, 2);
}

TEST_F(Promotion, AReleaseThatCameWithoutTowpathYamlLeavesThemAsTheyAre) {
  promote();
  bench.release("web.2", "web", kPlainScore, "image-2");
  bench.deploy("web", "web.2", "production");
  const auto spec = bench.get<Deployment>("web.production")->spec;
  EXPECT_EQ(spec.scale, 3);
  EXPECT_EQ(spec.strategy.type, StrategyType::Recreate);
}

}  // namespace
}  // namespace tow::deploy
