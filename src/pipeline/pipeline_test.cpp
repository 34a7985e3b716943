// SPDX-License-Identifier: Apache-2.0
// What a push sets in motion, from its documents to what is deployed.
#include "model/identity.hpp"
#include "pipeline/bench_test.hpp"

namespace tow::pipeline {
namespace {

using testing::Test;

class Plans : public Bench {
 protected:
  /// The components that a run built anew.
  std::set<std::string> built_by(const std::string& run) {
    std::set<std::string> names;
    for (const auto& component : until_ended(run).components)
      if (component.build.starts_with(run + ".")) names.insert(component.component);
    return names;
  }
};

TEST_F(Plans, OnlyWhatChangedIsBuilt) {
  const auto first = push_files(shop());
  EXPECT_EQ(built_by(first), (std::set<std::string>{"api", "web"})) << "the first push builds all";
  const struct {
    const char* reason;
    std::function<void(Files&)> change;
    std::set<std::string> built;
  } rows[] = {
      {"nothing", [](Files&) {}, {}},
      {"a file that belongs to nobody", [](Files& f) { f["README.md"] = "the shop"; }, {}},
      {"a file of one", [](Files& f) { f["api/index.html"] = "API"; }, {"api"}},
      {"a new file in a subfolder", [](Files& f) { f["web/img/logo.svg"] = "<svg/>"; }, {"web"}},
      {"what one of them watches", [](Files& f) { f["shared/colours.css"] = "blue"; }, {"web"}},
      {"a file that goes", [](Files& f) { f.erase("web/img/logo.svg"); }, {"web"}},
      {"a file under another name",
       [](Files& f) {
         f["api/start.html"] = f["api/index.html"];
         f.erase("api/index.html");
         f["api/index.html"] = "moved";
       },
       {"api"}},
      {"a build argument in towpath.yaml",
       [](Files& f) {
         f["towpath.yaml"] =
             "apiVersion: towpath.dev/v1\ncomponents:\n  web: { path: web, watch: [web, shared] }\n"
             "  api: { path: api, buildArgs: { A: b } }\n";
       },
       {"api"}},
      {"a component's name and folder",
       [](Files& f) {
         f["towpath.yaml"] =
             "apiVersion: towpath.dev/v1\ncomponents:\n  web: { path: web, watch: [web, shared] }\n"
             "  core: { path: core }\n";
         f["core/score.yaml"] = score_of("core");
         f["core/index.html"] = "core";
         f.erase("api/score.yaml");
       },
       {"core"}},
  };
  Files files = shop();
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    row.change(files);
    EXPECT_EQ(built_by(push_files(files)), row.built);
  }
}

TEST_F(Plans, WhatGoesBackToWhatWasThereIsNotBuiltAgain) {
  Files files = shop();
  until_ended(push_files(files));
  files["web/index.html"] = "other";
  until_ended(push_files(files));
  const auto back = push_files(shop());
  EXPECT_TRUE(built_by(back).empty());
  EXPECT_EQ(images.builds().size(), 3U);
}

TEST_F(Plans, WhatCannotBeIsSaidWholeAndNothingIsBuilt) {
  const std::string ten =
      "apiVersion: score.dev/v9\nmetadata: { name: \"No Name\" }\nservise: {}\nservice: { ports: { http: { "
      "port: "
      "70000, prot: TCP } } }\ncontainers:\n  main:\n    imagge: x\n    command: word\n    resources: { "
      "limits: { "
      "memory: lots, cpu: many } }\n    readinessProbe: { httpGet: { path: / } }\nresources: { db: { class: "
      "3 } }\n";
  const struct {
    const char* reason;
    Files files;
    std::size_t faults;
    std::string said;
  } rows[] = {
      {"ten at once", {{"score.yaml", ten}, {"index.html", "x"}}, 10, "score.yaml:"},
      {"malformed YAML", {{"score.yaml", "apiVersion: [x\n"}}, 1, "score.yaml:"},
      {"a component whose folder is not there",
       {{"towpath.yaml", "apiVersion: towpath.dev/v1\ncomponents: { web: { path: wep } }\n"}},
       1,
       "wep, which is not in the commit"},
      {"a path that leaves the repository",
       {{"towpath.yaml", "apiVersion: towpath.dev/v1\ncomponents: { web: { path: ../web } }\n"}},
       1,
       "towpath.yaml:"},
      {"another name than towpath.yaml has",
       {{"towpath.yaml", "apiVersion: towpath.dev/v1\ncomponents: { web: { path: web } }\n"},
        {"web/score.yaml", score_of("api")}},
       1,
       "is \"api\""},
      {"a file that is mounted and not there",
       {{"score.yaml",
         "apiVersion: score.dev/v1b1\nmetadata: { name: shop }\ncontainers: { main: { image: ., files: { "
         "/etc/x: { "
         "source: x.conf } } } }\n"},
        {"index.html", "x"}},
       1,
       "mounts x.conf, which is not in the commit"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    const auto status = until_ended(push_files(row.files));
    EXPECT_EQ(status.phase, WorkPhase::Failed);
    std::string all;
    for (const auto& note : status.notes) all += note + "\n";
    EXPECT_GE(status.notes.size(), row.faults) << all;
    EXPECT_NE(all.find(row.said), std::string::npos) << all;
    EXPECT_NE(status.message.find("Nothing was built or deployed"), std::string::npos) << status.message;
  }
  EXPECT_TRUE(images.builds().empty());
  EXPECT_TRUE(deployed.empty());
}

TEST_F(Plans, ARepositoryWithNothingToBuildSaysSo) {
  const auto status = until_ended(push_files({{"notes.txt", "nothing here"}}));
  EXPECT_EQ(status.phase, WorkPhase::Failed);
  ASSERT_EQ(status.components.size(), 1U);
  EXPECT_NE(status.components[0].message.find("nothing to build"), std::string::npos)
      << status.components[0].message;
  EXPECT_TRUE(deployed.empty());
}

TEST_F(Plans, MissingConfigurationIsNamedBeforeTheBuildWhichGoesOnWhenItIsSet) {
  missing = {"ALPHA", "BETA"};
  const auto name = push_files(shop());
  const auto told = fmt::format("{}", fmt::join(told_of(name), "\n"));
  EXPECT_NE(told.find("tow config set ALPHA"), std::string::npos) << told;
  EXPECT_NE(told.find("tow config set BETA"), std::string::npos) << told;
  EXPECT_NE(told.find("Nothing was built or deployed"), std::string::npos) << told;
  EXPECT_EQ(get<PipelineRun>(name).status.phase, WorkPhase::Queued);
  EXPECT_TRUE(images.builds().empty());

  const auto set = [&](const std::string& scope) {
    store::Transaction transaction;
    transaction.create(draft<Configuration>("shop", scope, {}));
    commit(std::move(transaction));
    settle();
  };
  missing = {"BETA"};
  set("development");
  EXPECT_EQ(get<PipelineRun>(name).status.phase, WorkPhase::Queued) << "one of them is not set yet";
  missing = {};
  set("project");
  EXPECT_EQ(until_ended(name).phase, WorkPhase::Succeeded);
  EXPECT_EQ(deployed.size(), 2u);
}

TEST_F(Plans, ALaterPushTakesThePlaceOfOneThatLacksConfiguration) {
  missing = {"ALPHA"};
  const auto first = push_files(shop());
  settle();
  missing = {};
  const auto second = push_files(shop());
  EXPECT_EQ(until_ended(second).phase, WorkPhase::Succeeded);
  EXPECT_EQ(until_ended(first).phase, WorkPhase::Cancelled);
}

TEST_F(Plans, ABranchGoesToItsEnvironmentOrNowhereAndSaysSo) {
  Files files = shop();
  files["towpath.yaml"] +=
      "environments:\n  development: { branch: main }\n  production: { branch: release, components: { web: { "
      "scale: 3 "
      "} } }\n";
  const struct {
    const char* reason;
    std::string branch;
    std::string environment;
  } rows[] = {
      {"main", "main", "development"}, {"release", "release", "production"}, {"any other", "fix/one", ""}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    deployed.clear();
    const auto status = until_ended(push_files(files, row.branch));
    EXPECT_EQ(status.phase, WorkPhase::Succeeded) << status.message;
    EXPECT_EQ(status.environment, row.environment);
    EXPECT_EQ(deployed.size(), row.environment.empty() ? 0U : 2U);
    for (const auto& input : deployed) EXPECT_EQ(input.environment, row.environment);
    const bool says = !status.notes.empty() &&
                      status.notes[0].find("no environment is deployed from the branch fix/one") == 0;
    EXPECT_EQ(says, row.environment.empty());
  }
}

class Runs : public Bench {};

TEST_F(Runs, APushIsToldFromItsFirstLineToItsLast) {
  const auto run = push_files(shop());
  until_ended(run);
  const auto told = told_of(run);
  const auto has = [&](const std::string& line) {
    return std::ranges::any_of(told, [&](const auto& each) { return each.starts_with(line); });
  };
  EXPECT_TRUE(has("web: building"));
  EXPECT_TRUE(has("web:   STEP 1/1"));
  EXPECT_TRUE(has("web: built in"));
  EXPECT_TRUE(has("web: live as revision 1 in development"));
  EXPECT_TRUE(has("api: live as revision 1 in development"));
}

TEST_F(Runs, ADeploymentThatFailsFailsItsRunWithTheReason) {
  outcome = Deployment::Phase::Failed;
  const auto status = until_ended(push_files(shop()));
  EXPECT_EQ(status.phase, WorkPhase::Failed);
  EXPECT_EQ(status.components[0].message, "it exited with 7");
}

Files ordered() {
  auto files = shop();
  files["towpath.yaml"] =
      "apiVersion: towpath.dev/v1\ncomponents:\n  web: { path: web }\n  aid: { path: aid, dependsOn: [web] "
      "}\n";
  files["aid/score.yaml"] = score_of("aid");
  files["aid/index.html"] = "aid";
  return files;
}

TEST_F(Runs, WhatDependsOnAnotherIsAskedForAfterItThoughItIsBuiltBefore) {
  const auto run = push_files(ordered());
  EXPECT_EQ(until_ended(run).phase, WorkPhase::Succeeded);
  ASSERT_EQ(deployed.size(), 2U);
  EXPECT_EQ(deployed[0].component, "web");
  EXPECT_EQ(deployed[1].component, "aid");
  EXPECT_EQ(deployed[1].with, std::vector<std::string>{"web"});
  EXPECT_EQ(get<Component>("aid").spec.depends_on, std::vector<std::string>{"web"});
  EXPECT_EQ(get<Release>(deployed[1].release).spec.depends_on, std::vector<std::string>{"web"});
}

TEST_F(Runs, WhatDependsOnWhatWasNotBuiltIsNotDeployed) {
  until_ended(push_files(ordered()));
  deployed.clear();
  images.fail_builds(Error{Code::Invalid, "step 3 failed"});
  auto files = ordered();
  files["web/index.html"] = "changed";
  const auto status = until_ended(push_files(files));
  EXPECT_EQ(status.phase, WorkPhase::Failed);
  EXPECT_EQ(status.components.at(0).component, "aid");
  EXPECT_EQ(status.components.at(0).message, "not deployed: web, which it depends on, failed");
  EXPECT_TRUE(deployed.empty());
}

TEST_F(Runs, AChangeOfTheOrderAloneMakesNoOtherReleaseAndCounts) {
  until_ended(push_files(ordered()));
  const auto before = deployed.at(1).release;
  auto files = ordered();
  files["towpath.yaml"] =
      "apiVersion: towpath.dev/v1\ncomponents:\n  web: { path: web, dependsOn: [aid] }\n  aid: { path: aid "
      "}\n";
  until_ended(push_files(files));
  EXPECT_EQ(deployed.at(2).component, "aid");
  EXPECT_EQ(deployed.at(2).release, before);
  EXPECT_TRUE(get<Release>(before).spec.depends_on.empty());
}

TEST_F(Runs, TheOlderOfTwoPushesIsNeverDeployedLast) {
  images.take(std::chrono::seconds{10});
  Files files = shop();
  const auto older = push_files(files);
  advance(std::chrono::seconds{3});
  files["web/index.html"] = "newer";
  files["api/index.html"] = "newer";
  const auto newer_commit = commit_of(files);
  const auto newer = push(newer_commit);
  const auto status = until_ended(newer);
  EXPECT_EQ(status.phase, WorkPhase::Succeeded) << status.message;
  const auto before = until_ended(older);
  EXPECT_EQ(before.phase, WorkPhase::Cancelled);
  EXPECT_EQ(before.components[0].message, "superseded by " + newer_commit.substr(0, 8));
  ASSERT_EQ(deployed.size(), 2U) << "of the newer alone";
  for (const auto& input : deployed) EXPECT_EQ(get<Release>(input.release).spec.commit->id, newer_commit);
}

TEST_F(Runs, TheOlderThatWasNotBegunIsNotBegun) {
  const auto one = commit_of(shop());
  Files files = shop();
  files["web/index.html"] = "newer";
  const auto two = commit_of(files);
  run(runtime->stop());  // both come while nobody looks
  const auto older = push(one);
  const auto newer = push(two);
  restart();
  EXPECT_EQ(until_ended(older).phase, WorkPhase::Cancelled);
  EXPECT_EQ(until_ended(newer).phase, WorkPhase::Succeeded);
  EXPECT_EQ(list<Build>().size(), 2U);
}

TEST_F(Runs, BranchesDoNotSupersedeOneAnother) {
  images.take(std::chrono::seconds{10});
  const auto main = push_files(shop());
  Files files = shop();
  files["web/index.html"] = "fix";
  const auto fix = push_files(files, "fix");
  EXPECT_EQ(until_ended(main).phase, WorkPhase::Succeeded);
  EXPECT_EQ(until_ended(fix).phase, WorkPhase::Succeeded);
}

TEST_F(Runs, ADestroyedComponentEndsItsBuildAndItsRun) {
  images.take(std::chrono::minutes{5});
  const auto run = push_files(shop());
  advance(std::chrono::seconds{1});
  ASSERT_EQ(images.running(), 2U);
  erase(key<Component>("shop", "web"));
  EXPECT_TRUE(until([&] { return images.running() == 1U; }, std::chrono::seconds{1}))
      << "its build is stopped at once";
  const auto status = until_ended(run);
  EXPECT_EQ(status.phase, WorkPhase::Cancelled);
  for (const auto& component : status.components)
    EXPECT_EQ(component.phase, component.component == "web" ? WorkPhase::Cancelled : WorkPhase::Succeeded);
  EXPECT_EQ(list<Build>().size(), 1U) << "the build went with its component";
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator{root / "logs"}, {}), 1) << "and its log";
  ASSERT_EQ(deployed.size(), 1U);
  EXPECT_EQ(deployed[0].component, "api");
}

TEST_F(Runs, ADestroyedProjectLeavesNothing) {
  images.take(std::chrono::minutes{5});
  push_files(shop());
  advance(std::chrono::seconds{1});
  erase(key<Project>({}, "shop"));
  EXPECT_TRUE(
      until([&] { return images.running() == 0U && list<Build>().empty(); }, std::chrono::seconds{10}));
  EXPECT_TRUE(list<PipelineRun>().empty());
  EXPECT_TRUE(std::filesystem::is_empty(root / "work"));
  EXPECT_TRUE(std::filesystem::is_empty(root / "logs"));
}

}  // namespace
}  // namespace tow::pipeline
