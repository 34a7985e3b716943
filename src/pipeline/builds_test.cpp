// SPDX-License-Identifier: Apache-2.0
// Builds: their queue, their logs, their ends.
#include "pipeline/bench_test.hpp"

namespace tow::pipeline {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class Builds : public Bench {
 protected:
  Files site(const std::string& text) { return {{"index.html", text}, {"score.yaml", score_of("site")}}; }
  /// A repository of many components.
  Files many(int count) {
    Files files;
    files["towpath.yaml"] = "apiVersion: towpath.dev/v1\ncomponents:\n";
    for (int i = 0; i < count; ++i) {
      const auto name = fmt::format("c{}", i);
      files["towpath.yaml"] += fmt::format("  {0}: {{ path: {0} }}\n", name);
      files[name + "/score.yaml"] = score_of(name);
      files[name + "/index.html"] = name;
    }
    return files;
  }
  Entity<Build> only_build() { return list<Build>().at(0); }
};

TEST_F(Builds, NoMoreThanTheirPlacesRunAtOnce) {
  images.take(seconds{10});
  const auto run = push_files(many(12));
  EXPECT_EQ(until_ended(run).phase, WorkPhase::Succeeded);
  EXPECT_EQ(images.builds().size(), 12U);
  EXPECT_EQ(images.most_running(), 2U);
}

TEST_F(Builds, APlaceThatIsFreeIsTakenAtOnce) {
  images.take(seconds{10});
  const auto begun = clock.now();
  until_ended(push_files(many(6)));
  EXPECT_EQ(clock.now() - begun, seconds{30}) << "three rounds of two, and nothing between";
}

TEST_F(Builds, AProjectWithManyDoesNotKeepAnotherWaiting) {
  make_project("blog");
  images.take(seconds{10});
  push_files(many(20));
  advance(seconds{1});
  const auto began = clock.now();
  until_ended(push_files(site("hello"), "main", "blog"), "blog");
  EXPECT_LE(clock.now() - began, seconds{20}) << "the next free place is its";
}

TEST_F(Builds, WhatANewerPushSupersedesIsNotBegun) {
  images.take(seconds{10});
  auto files = many(6);
  const auto older = push_files(files);
  advance(seconds{1});
  for (auto& [name, content] : files)
    if (name.ends_with(".html")) content += " newer";
  const auto newer = push_files(files);
  EXPECT_EQ(until_ended(newer).phase, WorkPhase::Succeeded);
  EXPECT_EQ(images.builds().size(), 8U) << "the two that had begun, and the newer's six";
  const auto status = until_ended(older);
  EXPECT_EQ(status.phase, WorkPhase::Cancelled);
  for (const auto& component : status.components)
    EXPECT_TRUE(component.message.starts_with("superseded by ")) << component.message;
}

TEST_F(Builds, ALogIsReadWhileItGrowsAndFiltered) {
  images.take(minutes{1});
  const auto run = push_files(site("one"));
  advance(seconds{1});
  const auto build = only_build();
  EXPECT_EQ(build.status.phase, WorkPhase::Running);
  EXPECT_EQ(log_of(build.name()), (std::vector<std::string>{"STEP 1/1: a build that is not one"}));
  images.fail_builds(Error{Code::Invalid, "step 3 failed"});
  until_ended(run);
  EXPECT_EQ(log_of(build.name()).size(), 2U);
  EXPECT_EQ(log_of(build.name(), {.tail = 1}), (std::vector<std::string>{"step 3 failed"}));
  EXPECT_EQ(log_of(build.name(), {.grep = "^STEP"}),
            (std::vector<std::string>{"STEP 1/1: a build that is not one"}));
  EXPECT_TRUE(log_of(build.name(), {.since = seconds{0}, .grep = "STEP"}).empty());
  EXPECT_THROW(log_of(build.name(), {.grep = "("}), Error);
  EXPECT_THROW(log_of("none"), Error);
}

TEST_F(Builds, AFailureIsTheRunsAndWhatRunsIsLeftAlone) {
  until_ended(push_files(site("good")));
  images.fail_builds(Error{Code::Invalid, "step 3/7 RUN make: exit code 2"});
  const auto status = until_ended(push_files(site("bad")));
  EXPECT_EQ(status.phase, WorkPhase::Failed);
  EXPECT_EQ(status.components[0].message, "the build failed: step 3/7 RUN make: exit code 2");
  EXPECT_EQ(deployed.size(), 1U);
  EXPECT_TRUE(std::filesystem::is_empty(root / "work")) << "its checkout is gone";
}

TEST_F(Builds, OneThatHangsEndsAtItsDeadline) {
  images.take(std::chrono::hours{5});
  const auto began = clock.now();
  const auto status = until_ended(push_files(site("slow")));
  EXPECT_EQ(clock.now() - began, minutes{30});
  EXPECT_NE(status.components[0].message.find("did not end within 30m"), std::string::npos)
      << status.components[0].message;
}

TEST_F(Builds, OneThatRunsIsCancelledWithAllThatItStarted) {
  images.take(minutes{10});
  const auto run = push_files(site("one"));
  advance(seconds{1});
  invoke("builds.cancel", only_build().name());
  EXPECT_TRUE(until([&] { return images.running() == 0U; }, seconds{1}));
  const auto status = until_ended(run);
  EXPECT_EQ(status.phase, WorkPhase::Cancelled);
  EXPECT_EQ(status.components[0].message, "the build was cancelled");
  EXPECT_EQ(only_build().status.phase, WorkPhase::Cancelled);
  EXPECT_EQ(log_of(only_build().name()).back(), "the build was cancelled");
  EXPECT_TRUE(deployed.empty());
  EXPECT_THROW(invoke("builds.cancel", only_build().name()), Error) << "it has ended";
}

TEST_F(Builds, OneThatWaitsIsCancelledWithoutBeginning) {
  images.take(minutes{1});
  const auto run = push_files(many(3));
  advance(seconds{1});
  std::string waits;
  for (const auto& build : list<Build>())
    if (build.status.phase == WorkPhase::Queued) waits = build.name();
  ASSERT_FALSE(waits.empty());
  invoke("builds.cancel", waits);
  settle();
  EXPECT_EQ(get<Build>(waits).status.phase, WorkPhase::Cancelled);
  EXPECT_EQ(until_ended(run).phase, WorkPhase::Cancelled);
  EXPECT_EQ(images.builds().size(), 2U);
}

TEST_F(Builds, ARestartBeginsAgainWhatItInterrupted) {
  images.take(minutes{1});
  const auto run = push_files(many(4));
  advance(seconds{30});
  crash();
  EXPECT_EQ(images.running(), 0U);
  for (const auto& build : list<Build>()) EXPECT_FALSE(ended(build.status.phase)) << "nobody lied of an end";
  start();
  EXPECT_EQ(until_ended(run).phase, WorkPhase::Succeeded);
  EXPECT_EQ(images.builds().size(), 6U) << "two of them twice";
  EXPECT_LE(images.most_running(), 2U);
}

TEST_F(Builds, OneThatNeverSurvivesTheServerIsGivenUp) {
  images.take(minutes{1});
  const auto run = push_files(site("one"));
  for (int i = 0; i < 3; ++i) {
    advance(seconds{10});
    restart();
  }
  const auto status = until_ended(run);
  EXPECT_EQ(status.phase, WorkPhase::Failed);
  EXPECT_NE(status.components[0].message.find("begun three times"), std::string::npos)
      << status.components[0].message;
}

TEST_F(Builds, ARestartWhileACancelledOneEndsForgetsItNot) {
  images.take(minutes{10});
  const auto run = push_files(site("one"));
  advance(seconds{1});
  const auto name = only_build().name();
  this->run(runtime->stop());
  invoke("builds.cancel", name);
  restart();
  EXPECT_EQ(until_ended(run).phase, WorkPhase::Cancelled);
  EXPECT_EQ(images.builds().size(), 1U) << "it is not begun again";
}

TEST_F(Builds, ARepeatBuildsAgainAndDeploysAsThePushDid) {
  images.fail_builds(Error{Code::Unavailable, "the index does not answer"});
  const auto commit = commit_of(site("one"));
  EXPECT_EQ(until_ended(push(commit)).phase, WorkPhase::Failed);
  const auto failed = only_build().name();
  images.fail_builds({});
  const auto output = invoke("builds.repeat", failed);
  const auto again = *output.find("run")->string();
  EXPECT_EQ(until_ended(again).phase, WorkPhase::Succeeded);
  EXPECT_EQ(get<Build>(*output.find("build")->string()).status.phase, WorkPhase::Succeeded);
  EXPECT_EQ(get<Build>(failed).status.phase, WorkPhase::Failed) << "what was stays written";
  ASSERT_EQ(deployed.size(), 1U);
  // One that succeeded is built again, too: its base image may be another by now.
  until_ended(*invoke("builds.repeat", *output.find("build")->string()).find("run")->string());
  EXPECT_EQ(images.builds().size(), 3U);
}

TEST_F(Builds, ARepeatNeverTakesABranchBack) {
  until_ended(push_files(site("one")));
  const auto old = only_build().name();
  until_ended(push_files(site("two")));
  try {
    invoke("builds.repeat", old);
    ADD_FAILURE() << "it would have deployed the older commit";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::FailedPrecondition) << error.message();
  }
  images.take(minutes{1});
  push_files(site("three"));
  advance(seconds{1});
  for (const auto& build : list<Build>())
    if (!ended(build.status.phase)) EXPECT_THROW(invoke("builds.repeat", build.name()), Error);
}

}  // namespace
}  // namespace tow::pipeline
