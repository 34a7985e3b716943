// SPDX-License-Identifier: Apache-2.0
#pragma once
// What every engine must do, whatever it runs on: one suite, included by a test of each implementation, which
// says INSTANTIATE_TEST_SUITE_P(Name, EngineContract, testing::Values(make_harness)). For tests only.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "engine/engine.hpp"

namespace tow::engine::contract {

/// A machine for the suite, and programs that it can run there.
class Harness {
 public:
  virtual ~Harness() = default;
  virtual Engine& engine() = 0;
  /// The engine goes without a word, what it runs stays; a new one starts.
  virtual void restart_engine() = 0;
  /// The machine is switched off and on; a new engine starts.
  virtual void reboot() = 0;
  /// Lets time pass until it holds, or fails the test.
  virtual void until(const std::string& what, const std::function<bool()>& holds) = 0;
  virtual void run(Task<> task) = 0;

  /// Programs: their image and arguments are the harness's.
  virtual Workload server() = 0;                                 // listens on its declared port 8080
  virtual Workload mute() = 0;                                   // runs, declares port 8080, never listens
  virtual Workload stubborn() = 0;                               // ignores SIGTERM
  virtual Workload printer(std::vector<std::string> lines) = 0;  // prints and ends with 0
  virtual Workload failing(int exit_code) = 0;                   // ends by itself
  virtual Workload greedy(Bytes limit) = 0;                      // takes more memory than that
  /// The program of `other` as one more container, of that name.
  virtual Workload with(Workload workload, const std::string& name, const Workload& other) = 0;
};

using MakeHarness = std::function<std::unique_ptr<Harness>()>;

class EngineContract : public testing::TestWithParam<MakeHarness> {
 protected:
  void SetUp() override {
    harness_ = GetParam()();
    if (!harness_) GTEST_SKIP() << "this machine cannot run it";
  }
  Engine& engine() { return harness_->engine(); }
  void run(Task<> task) { harness_->run(std::move(task)); }
  void ensure(const GroupId& id, const Workload& workload, int count = 1) {
    run(engine().ensure({.id = id, .workload = workload, .count = count}));
  }
  void retire(const GroupId& id, Duration grace = std::chrono::seconds{5}) {
    run(engine().retire(id, grace));
  }
  int count(const GroupId& id, Phase phase) {
    const auto group = engine().group(id);
    return group ? static_cast<int>(std::ranges::count(group->instances, phase, &InstanceView::phase)) : 0;
  }
  void until_ready(const GroupId& id, int wanted = 1) {
    harness_->until(id + " has " + std::to_string(wanted) + " ready", [&] {
      const auto group = engine().group(id);
      return group && static_cast<int>(group->instances.size()) == wanted &&
             count(id, Phase::Ready) == wanted;
    });
  }
  void until_gone(const GroupId& id) {
    harness_->until(id + " is gone", [&] { return !engine().group(id); });
  }
  /// Of the group's first instance.
  ContainerView container(const GroupId& id, const std::string& name) {
    const auto group = engine().group(id);
    if (group && !group->instances.empty())
      for (const auto& one : group->instances[0].containers)
        if (one.name == name) return one;
    return {};
  }
  std::string reason(const GroupId& id) {
    const auto group = engine().group(id);
    return group && !group->instances.empty() ? group->instances[0].reason : "";
  }
  std::vector<std::string> texts(LogQuery query) {
    std::vector<std::string> all;
    run(engine().logs(std::move(query), [&](const LogLine& line) -> Task<> {
      all.push_back(line.text);
      co_return;
    }));
    return all;
  }
  JobView job(const JobId& id, const Workload& workload, Duration deadline = std::chrono::seconds{20}) {
    run(engine().run_job({.id = id, .workload = workload, .command = {}, .deadline = deadline}));
    harness_->until(id + " ends", [&] { return engine().job(id)->phase != JobView::Phase::Running; });
    return *engine().job(id);
  }
  Code code_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.code();
    }
    ADD_FAILURE() << "nothing was thrown";
    return Code::Internal;
  }

  std::unique_ptr<Harness> harness_;
};

TEST_P(EngineContract, StartsAGroupAndTellsOfIt) {
  std::atomic<int> told = 0;
  engine().observe([&](const std::string& id) { told += id == "g1"; });
  ensure("g1", harness_->server(), 2);
  until_ready("g1", 2);
  EXPECT_GT(told, 0);
  const auto group = *engine().group("g1");
  EXPECT_EQ(group.wanted, 2);
  EXPECT_FALSE(group.retiring);
  EXPECT_EQ(group.instances[0].id, "g1-0");
  EXPECT_EQ(group.instances[1].id, "g1-1");
  EXPECT_EQ(group.instances[1].ordinal, 1);
  EXPECT_NE(group.instances[0].address, group.instances[1].address);
  for (const auto& one : group.instances) {
    EXPECT_TRUE(one.started && one.ready);
    EXPECT_LE(*one.started, *one.ready);
    EXPECT_EQ(one.restarts, 0) << one.reason;
    EXPECT_EQ(one.reason, "");
  }
  EXPECT_EQ(engine().groups().size(), 1u);
}

TEST_P(EngineContract, EnsureCanBeRepeated) {
  ensure("g1", harness_->server());
  until_ready("g1");
  const auto before = engine().group("g1")->instances[0];
  ensure("g1", harness_->server());
  ensure("g1", harness_->server());
  until_ready("g1");
  const auto after = engine().group("g1")->instances[0];
  EXPECT_EQ(before.started, after.started) << "the same instance goes on";
  EXPECT_EQ(before.address, after.address);
}

TEST_P(EngineContract, ScalesUpAndDown) {
  ensure("g1", harness_->server(), 1);
  until_ready("g1", 1);
  const auto first = engine().group("g1")->instances[0].started;
  ensure("g1", harness_->server(), 3);
  until_ready("g1", 3);
  EXPECT_EQ(engine().group("g1")->instances[0].started, first) << "what runs stays";
  ensure("g1", harness_->server(), 1);
  until_ready("g1", 1);
  EXPECT_EQ(engine().group("g1")->instances[0].id, "g1-0") << "the latest go first";
  ensure("g1", harness_->server(), 0);
  harness_->until("none is left", [&] { return engine().group("g1")->instances.empty(); });
  EXPECT_EQ(engine().group("g1")->wanted, 0) << "a group of none is still a group";
}

TEST_P(EngineContract, RetiresWithAllThatIsOfIt) {
  ensure("g1", harness_->server(), 2);
  until_ready("g1", 2);
  retire("g1");
  const auto group = engine().group("g1");
  if (group) EXPECT_TRUE(group->retiring);
  until_gone("g1");
  retire("g1");  // again, and of what never was
  retire("g2");
  EXPECT_TRUE(engine().groups().empty());
}

TEST_P(EngineContract, KillsWhatIgnoresTheGrace) {
  ensure("g1", harness_->stubborn());
  until_ready("g1");
  retire("g1", std::chrono::seconds{1});
  harness_->until("it is told to stop", [&] { return count("g1", Phase::Stopping) == 1; });
  until_gone("g1");
}

TEST_P(EngineContract, BringsARetiringGroupBackWhenItIsWantedAgain) {
  ensure("g1", harness_->server());
  until_ready("g1");
  retire("g1");
  ensure("g1", harness_->server());
  until_ready("g1");
  EXPECT_FALSE(engine().group("g1")->retiring);
}

TEST_P(EngineContract, RetiresWhatHasNotStartedYet) {
  ensure("g1", harness_->server(), 2);
  retire("g1");
  until_gone("g1");
}

TEST_P(EngineContract, StartsAgainWhatEndedByItself) {
  ensure("g1", harness_->failing(3));
  harness_->until("it was started again", [&] {
    const auto group = engine().group("g1");
    return !group->instances.empty() && group->instances[0].restarts >= 2;
  });
  const auto one = engine().group("g1")->instances[0];
  EXPECT_EQ(one.exit_code, 3);
  EXPECT_NE(one.reason.find("exited with 3"), std::string::npos) << one.reason;
  harness_->until("it backs off", [&] { return count("g1", Phase::Backoff) == 1; });
}

TEST_P(EngineContract, SaysThatMemoryWasTheCause) {
  ensure("g1", harness_->greedy(Bytes{32 << 20}));
  harness_->until("it was killed", [&] {
    const auto group = engine().group("g1");
    return !group->instances.empty() && group->instances[0].out_of_memory;
  });
  EXPECT_EQ(engine().group("g1")->instances[0].exit_code, 137);
  EXPECT_EQ(reason("g1"), "killed for memory: the limit is 32Mi");
}

TEST_P(EngineContract, EndsAStartThatTakesTooLong) {
  auto workload = harness_->mute();
  workload.start_limit = std::chrono::seconds{3};
  ensure("g1", workload);
  harness_->until("it was given up", [&] {
    const auto group = engine().group("g1");
    return !group->instances.empty() && group->instances[0].restarts >= 1;
  });
  EXPECT_NE(reason("g1").find("it was not ready within 3s: listens on no port"), std::string::npos)
      << reason("g1");
}

TEST_P(EngineContract, RefusesWhatCannotBe) {
  const auto server = harness_->server();
  const auto with = [&](auto change) {
    GroupSpec group{.id = "g1", .workload = server, .count = 1};
    change(group);
    return code_of([&] { run(engine().ensure(group)); });
  };
  EXPECT_EQ(with([](auto& g) { g.id = "../g1"; }), Code::Invalid);
  EXPECT_EQ(with([](auto& g) { g.id = ""; }), Code::Invalid);
  EXPECT_EQ(with([](auto& g) { g.count = -1; }), Code::Invalid);
  EXPECT_EQ(with([](auto& g) { g.workload.main().image = ""; }), Code::Invalid);
  EXPECT_EQ(with([](auto& g) { g.workload.user_base = 0; }), Code::Invalid) << "the host's own users";
  EXPECT_EQ(with([](auto& g) { g.workload.environment = "a/b"; }), Code::Invalid);
  EXPECT_TRUE(engine().groups().empty());
}

TEST_P(EngineContract, AdoptsWhatRunsAfterARestart) {
  ensure("g1", harness_->server(), 2);
  until_ready("g1", 2);
  const auto before = engine().group("g1")->instances;
  harness_->restart_engine();
  const auto group = engine().group("g1");
  ASSERT_TRUE(group);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(group->instances[i].phase, Phase::Ready) << "what served is ready at once";
    EXPECT_EQ(group->instances[i].started, before[i].started);
    EXPECT_EQ(group->instances[i].address, before[i].address);
  }
  retire("g1");
  until_gone("g1");
}

TEST_P(EngineContract, AdoptsWhatHasNoPortAsReady) {
  auto workload = harness_->server();
  workload.ports.clear();
  ensure("g1", workload);
  until_ready("g1");
  harness_->restart_engine();
  EXPECT_EQ(count("g1", Phase::Ready), 1) << "whoever deploys it would replace what is not";
}

TEST_P(EngineContract, GoesOnRetiringAfterARestart) {
  ensure("g1", harness_->stubborn());
  until_ready("g1");
  retire("g1", std::chrono::seconds{1});
  harness_->restart_engine();
  until_gone("g1");
}

TEST_P(EngineContract, BringsGroupsBackAfterAReboot) {
  ensure("g1", harness_->server(), 2);
  until_ready("g1", 2);
  const auto before = engine().group("g1")->instances;
  harness_->reboot();
  until_ready("g1", 2);
  EXPECT_EQ(engine().group("g1")->instances[0].address, before[0].address) << "an address is recorded";
}

TEST_P(EngineContract, RunsAJobToItsEnd) {
  const auto view = job("j1", harness_->printer({"one", "two"}));
  EXPECT_EQ(view.phase, JobView::Phase::Succeeded) << view.reason;
  EXPECT_EQ(view.exit_code, 0);
  EXPECT_EQ(texts({.source = "j1"}), (std::vector<std::string>{"one", "two"}));
  run(engine().run_job({.id = "j1", .workload = harness_->printer({"three"})}));
  EXPECT_EQ(texts({.source = "j1"}).size(), 2u) << "a job of that id has run";
}

TEST_P(EngineContract, SaysHowAJobFailed) {
  const auto view = job("j1", harness_->failing(4));
  EXPECT_EQ(view.phase, JobView::Phase::Failed);
  EXPECT_EQ(view.exit_code, 4);
  EXPECT_NE(view.reason.find("exited with 4"), std::string::npos) << view.reason;
}

TEST_P(EngineContract, EndsAJobAtItsDeadline) {
  auto workload = harness_->server();
  const auto view = job("j1", workload, std::chrono::milliseconds{400});
  EXPECT_EQ(view.phase, JobView::Phase::Failed);
  EXPECT_EQ(view.reason, "it did not end before its deadline");
}

TEST_P(EngineContract, RemovesAJobThatRuns) {
  run(engine().run_job({.id = "j1", .workload = harness_->server()}));
  harness_->until("it runs", [&] { return engine().usage("j1").has_value(); });
  run(engine().remove_job("j1"));
  EXPECT_FALSE(engine().job("j1"));
  harness_->until("it has ended", [&] { return !engine().usage("j1"); });
  run(engine().remove_job("j1"));
}

TEST_P(EngineContract, KeepsTheAddressOfAService) {
  Service service{.environment = "e1", .name = "api", .ports = {{.port = 80, .target = 8080}}};
  std::string first, again, other;
  const auto ensure_service = [&](std::string& out) {
    run([](Engine& e, Service s, std::string& address) -> Task<> {
      address = co_await e.ensure_service(std::move(s));
    }(engine(), service, out));
  };
  ensure_service(first);
  ensure("g1", harness_->server());
  until_ready("g1");
  service.endpoints = {engine().group("g1")->instances[0].address};
  ensure_service(again);
  EXPECT_EQ(first, again);
  harness_->restart_engine();
  ensure_service(again);
  EXPECT_EQ(first, again);
  harness_->reboot();
  ensure_service(again);
  EXPECT_EQ(first, again);
  service.name = "web";
  service.endpoints.clear();
  ensure_service(other);
  EXPECT_NE(first, other);
  service.endpoints = {"192.0.2.1"};
  EXPECT_EQ(code_of([&] { ensure_service(other); }), Code::Invalid) << "not of this environment";
}

TEST_P(EngineContract, RemovesAnEnvironmentWhenItsGroupsAreGone) {
  ensure("g1", harness_->server());
  until_ready("g1");
  EXPECT_EQ(code_of([&] { run(engine().remove_environment("e1")); }), Code::FailedPrecondition);
  retire("g1");
  until_gone("g1");
  run(engine().remove_environment("e1"));
  run(engine().remove_environment("e1"));
}

TEST_P(EngineContract, ReadsTheEndOfLogs) {
  job("j1", harness_->printer({"one", "two", "three"}));
  EXPECT_EQ(texts({.source = "j1", .tail = 2}), (std::vector<std::string>{"two", "three"}));
  EXPECT_EQ(texts({.source = "j1", .tail = 9}).size(), 3u);
  EXPECT_EQ(texts({.source = "j1", .follow = true}).size(), 3u) << "a source that is gone ends the following";
  EXPECT_EQ(code_of([&] { texts({.source = "nothing"}); }), Code::NotFound);
}

TEST_P(EngineContract, KeepsLogsUntilTheyAreRemoved) {
  job("j1", harness_->printer({"one"}));
  run(engine().remove_job("j1"));
  EXPECT_EQ(texts({.source = "j1"}), std::vector<std::string>{"one"});
  run(engine().remove_logs("j1"));
  EXPECT_EQ(code_of([&] { texts({.source = "j1"}); }), Code::NotFound);
}

TEST_P(EngineContract, MeasuresWhatRuns) {
  auto workload = harness_->server();
  workload.main().limits.memory = Bytes{64 << 20};
  ensure("g1", workload);
  until_ready("g1");
  const auto usage = engine().usage("g1-0");
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->memory_limit.count, 64u << 20);
  EXPECT_GT(usage->memory.count, 0u);
  EXPECT_GE(usage->processes, 1);
  EXPECT_FALSE(engine().usage("g2-0"));
}

TEST_P(EngineContract, KeepsAVolumeThatIsInUse) {
  auto workload = harness_->server();
  workload.main().volumes = {{.volume = "v1", .target = "/data"}};
  ensure("g1", workload);
  until_ready("g1");
  EXPECT_EQ(code_of([&] { run(engine().remove_volume("v1")); }), Code::FailedPrecondition);
  retire("g1");
  until_gone("g1");
  run(engine().remove_volume("v1"));
  run(engine().remove_volume("v1"));
}

TEST_P(EngineContract, RunsNothingInAnInstanceThatIsNotThere) {
  EXPECT_EQ(
      code_of([&] { run([](Engine& e) -> Task<> { co_await e.exec("g1-0", {"true"}, false); }(engine())); }),
      Code::FailedPrecondition);
}

TEST_P(EngineContract, TellsOfTheOneContainer) {
  ensure("g1", harness_->server());
  until_ready("g1");
  const auto one = engine().group("g1")->instances[0];
  ASSERT_EQ(one.containers.size(), 1u);
  EXPECT_EQ(one.containers[0].name, "main");
  EXPECT_EQ(one.containers[0].phase, Phase::Ready);
  EXPECT_EQ(one.containers[0].started, one.started);
  EXPECT_FALSE(one.containers[0].last_end);
}

TEST_P(EngineContract, KeepsHowAContainerLastEnded) {
  ensure("g1", harness_->greedy(Bytes{32 << 20}));
  harness_->until("it runs again", [&] {
    const auto one = container("g1", "main");
    return one.last_end && one.started && *one.started > one.last_end->time;
  });
  const auto last = container("g1", "main").last_end;
  ASSERT_TRUE(last);
  EXPECT_EQ(last->exit_code, 137);
  EXPECT_TRUE(last->out_of_memory);
  EXPECT_EQ(last->reason, "killed for memory: the limit is 32Mi");
}

TEST_P(EngineContract, RunsContainersSideBySide) {
  ensure("g1", harness_->with(harness_->server(), "side", harness_->stubborn()), 2);
  until_ready("g1", 2);
  const auto one = engine().group("g1")->instances[0];
  ASSERT_EQ(one.containers.size(), 2u);
  EXPECT_EQ(one.containers[0].name, "main");
  EXPECT_EQ(one.containers[1].name, "side");
  EXPECT_EQ(one.containers[1].phase, Phase::Ready);
  EXPECT_TRUE(engine().usage("g1-0"));
  retire("g1", std::chrono::seconds{1});
  until_gone("g1");
  EXPECT_FALSE(engine().usage("g1-0"));
}

TEST_P(EngineContract, IsReadyWhenAllContainersAre) {
  auto workload = harness_->with(harness_->server(), "side", harness_->mute());
  workload.containers[1].readiness = Probe{.kind = Probe::Kind::Tcp, .port = 9999};
  ensure("g1", workload);
  harness_->until("the main one is ready", [&] { return container("g1", "main").phase == Phase::Ready; });
  EXPECT_EQ(count("g1", Phase::Ready), 0);
  EXPECT_FALSE(engine().group("g1")->instances[0].ready);
}

TEST_P(EngineContract, StartsOneContainerAgainAndLeavesTheOthers) {
  ensure("g1", harness_->with(harness_->server(), "side", harness_->failing(3)));
  harness_->until("it was started again", [&] { return container("g1", "side").restarts >= 2; });
  const auto main = container("g1", "main");
  EXPECT_EQ(main.restarts, 0);
  EXPECT_EQ(main.phase, Phase::Ready) << main.reason;
  EXPECT_EQ(container("g1", "side").last_end->exit_code, 3);
  harness_->until("it backs off", [&] { return count("g1", Phase::Backoff) == 1; });
  EXPECT_NE(reason("g1").find("side: exited with 3"), std::string::npos) << reason("g1");
}

TEST_P(EngineContract, RunsWhatMustBeCompleteFirst) {
  auto workload = harness_->with(harness_->server(), "prepare", harness_->printer({"prepared"}));
  workload.main().after = {{"prepare", Milestone::Complete}};
  ensure("g1", workload);
  until_ready("g1");
  const auto prepare = container("g1", "prepare");
  EXPECT_TRUE(prepare.complete);
  EXPECT_EQ(prepare.phase, Phase::Ended);
  EXPECT_EQ(prepare.restarts, 0);
  EXPECT_EQ(prepare.reason, "");
  ASSERT_TRUE(prepare.last_end);
  EXPECT_EQ(prepare.last_end->exit_code, 0);
  EXPECT_LE(prepare.last_end->time, *container("g1", "main").started);
  EXPECT_EQ(texts({.source = "g1", .container = "prepare"}), std::vector<std::string>{"prepared"});
}

TEST_P(EngineContract, StartsNothingBeforeWhatFails) {
  auto workload = harness_->with(harness_->server(), "prepare", harness_->failing(4));
  workload.main().after = {{"prepare", Milestone::Complete}};
  ensure("g1", workload);
  harness_->until("it was tried again", [&] { return container("g1", "prepare").restarts >= 2; });
  EXPECT_FALSE(container("g1", "main").started);
  EXPECT_EQ(container("g1", "main").reason, "waits for prepare to be complete");
  harness_->until("it is told", [&] { return reason("g1").starts_with("prepare: exited with 4"); });
  retire("g1");
  until_gone("g1");
}

TEST_P(EngineContract, StartsAContainerWhenAnotherIsReady) {
  auto workload = harness_->with(harness_->server(), "side", harness_->stubborn());
  workload.containers[1].after = {{"main", Milestone::Ready}};
  ensure("g1", workload);
  until_ready("g1");
  EXPECT_LE(*container("g1", "main").ready, *container("g1", "side").started);
}

TEST_P(EngineContract, AdoptsAllContainersAfterARestart) {
  auto workload = harness_->with(harness_->with(harness_->server(), "side", harness_->stubborn()), "prepare",
                                 harness_->printer({"prepared"}));
  workload.main().after = {{"prepare", Milestone::Complete}};
  ensure("g1", workload);
  until_ready("g1");
  const auto before = engine().group("g1")->instances[0];
  harness_->restart_engine();
  const auto after = engine().group("g1")->instances[0];
  EXPECT_EQ(after.phase, Phase::Ready) << after.reason;
  EXPECT_EQ(after.address, before.address);
  ASSERT_EQ(after.containers.size(), 3u);
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(after.containers[i].started, before.containers[i].started);
  EXPECT_TRUE(after.containers[2].complete) << "it does not run again";
  retire("g1", std::chrono::seconds{1});
  until_gone("g1");
  EXPECT_EQ(texts({.source = "g1", .container = "prepare"}).size(), 1u);
}

TEST_P(EngineContract, PreparesAnewAfterAReboot) {
  auto workload = harness_->with(harness_->server(), "prepare", harness_->printer({"prepared"}));
  workload.main().after = {{"prepare", Milestone::Complete}};
  ensure("g1", workload);
  until_ready("g1");
  harness_->reboot();
  until_ready("g1");
  EXPECT_EQ(texts({.source = "g1", .container = "prepare"}).size(), 2u);
}

TEST_P(EngineContract, RetiresWhileContainersWait) {
  auto workload = harness_->with(harness_->server(), "first", harness_->mute());
  workload.containers[1].readiness = Probe{.kind = Probe::Kind::Tcp, .port = 9999};
  workload.main().after = {{"first", Milestone::Ready}};
  ensure("g1", workload);
  harness_->until("the first runs", [&] { return container("g1", "first").started.has_value(); });
  retire("g1");
  until_gone("g1");
}

TEST_P(EngineContract, BringsAllContainersBackWhenTheGroupIsWantedAgain) {
  const auto workload = harness_->with(harness_->server(), "side", harness_->stubborn());
  ensure("g1", workload);
  until_ready("g1");
  retire("g1", std::chrono::seconds{1});
  ensure("g1", workload);
  until_ready("g1");
}

TEST_P(EngineContract, RefusesContainersThatCannotBe) {
  const auto server = harness_->server();
  const auto with = [&](auto change) {
    GroupSpec group{.id = "g1", .workload = harness_->with(server, "side", server), .count = 1};
    change(group.workload);
    return code_of([&] { run(engine().ensure(group)); });
  };
  EXPECT_EQ(with([](auto& w) { w.containers.clear(); }), Code::Invalid);
  EXPECT_EQ(with([](auto& w) { w.containers[1].name = "main"; }), Code::Invalid);
  EXPECT_EQ(with([](auto& w) { w.containers[1].name = "../x"; }), Code::Invalid);
  EXPECT_EQ(with([](auto& w) { w.containers[1].after = {{"none", Milestone::Started}}; }), Code::Invalid);
  EXPECT_EQ(with([](auto& w) { w.containers[1].after = {{"main", Milestone::Complete}}; }), Code::Invalid)
      << "something must go on running";
  EXPECT_EQ(with([](auto& w) {
              w.containers[0].after = {{"side", Milestone::Started}};
              w.containers[1].after = {{"main", Milestone::Started}};
            }),
            Code::Invalid);
  EXPECT_TRUE(engine().groups().empty());
  ensure("g1", server);
  EXPECT_EQ(with([](auto&) {}), Code::FailedPrecondition) << "the containers of a group never change";
  JobSpec job{.id = "j1", .workload = harness_->with(server, "side", server)};
  EXPECT_EQ(code_of([&] { run(engine().run_job(job)); }), Code::Invalid);
}

TEST_P(EngineContract, RunsCommandsInOneContainer) {
  ensure("g1", harness_->with(harness_->server(), "side", harness_->stubborn()));
  until_ready("g1");
  const auto run_in = [&](const std::string& name) {
    return code_of([&] {
      run([](Engine& e, std::string in) -> Task<> {
        const auto terminal = co_await e.exec("g1-0", {"/p", "lines", "x"}, false, in);
        co_await terminal->wait();
        throw Error{Code::Cancelled, "it ran"};
      }(engine(), name));
    });
  };
  EXPECT_EQ(run_in("side"), Code::Cancelled);
  EXPECT_EQ(run_in(""), Code::Cancelled) << "the main one";
  EXPECT_EQ(run_in("other"), Code::NotFound);
}

}  // namespace tow::engine::contract
