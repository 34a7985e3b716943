// SPDX-License-Identifier: Apache-2.0
// Bad days: whatever ends at whatever moment, what is wanted comes back and nothing is left over.
#include <gmock/gmock.h>
#include <signal.h>

#include <thread>

#include "base/ids.hpp"
#include "base/process.hpp"
#include "engine/local/launch.hpp"
#include "engine/local/machine.hpp"
#include "engine/local/netlink.hpp"

namespace tow::engine::local {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class CrashReal : public OnMachine {
 protected:
  void serve(const std::string& group, int count = 1) {
    ensure(group, workload({"serve", "8080"}, {{.name = "http", .port = 8080}}), count);
    wait_ready(group, count);
  }
  InstanceView first(const std::string& group) { return engine_->group(group)->instances.at(0); }
  bool serves(const std::string& group) { return run({"fetch", first(group).address, "8080"}) == "web-0"; }
};

TEST_F(CrashReal, ALostMonitorMeansAReplacedInstance) {
  serve("g1");
  const auto before = first("g1");
  std::string reason;
  kill_all("conmon");
  eventually("it is replaced", [&] {
    const auto one = first("g1");
    if (!one.reason.empty()) reason = one.reason;
    return one.restarts == 1 && one.phase == Phase::Ready;
  });
  EXPECT_EQ(reason, "its monitor (conmon) was lost, so it was ended");
  EXPECT_EQ(first("g1").address, before.address);
  EXPECT_GT(*first("g1").started, *before.started);
}

TEST_F(CrashReal, AMonitorLostWhileNobodyLooked) {
  serve("g1");
  stop_engine();
  kill_all("conmon");
  start_engine();
  wait_ready("g1");
  EXPECT_TRUE(serves("g1"));
}

TEST_F(CrashReal, AnInstanceThatEndedWhileNobodyLooked) {
  serve("g1");
  const auto at = first("g1").address;
  stop_engine();
  run_blocking(tow::run({.argv = {"curl", "-s", "http://" + at + ":8080/exit/3"}}));
  start_engine();
  wait_ready("g1");
  EXPECT_TRUE(serves("g1"));
}

TEST_F(CrashReal, ALostBridgeIsMadeAgain) {
  serve("g1");
  const auto started = first("g1").started;
  stop_engine();
  Netlink{}.remove("twtb0");
  start_engine();
  EXPECT_TRUE(serves("g1"));
  EXPECT_EQ(first("g1").started, started) << "the instance went on";
}

TEST_F(CrashReal, ALostLinkMeansAReplacedInstance) {
  serve("g1");
  stop_engine();
  for (const auto& link : Netlink{}.links("twtv")) Netlink{}.remove(link);
  start_engine();
  eventually("it is replaced",
             [&] { return first("g1").restarts == 1 && first("g1").phase == Phase::Ready; });
  EXPECT_TRUE(serves("g1"));
}

TEST_F(CrashReal, LostRulesAreMadeAgain) {
  serve("g1");
  Service service{.environment = "e1",
                  .name = "api",
                  .ports = {{.port = 80, .target = 8080}},
                  .endpoints = {first("g1").address}};
  run_blocking(
      [](Engine& e, Service s) -> Task<> { co_await e.ensure_service(std::move(s)); }(*engine_, service));
  stop_engine();
  run_blocking(tow::run({.argv = {"nft", "flush", "ruleset"}}));
  kill_all("dnsmasq");
  start_engine();
  EXPECT_EQ(run({"fetch", "api", "80"}), "web-0");
}

/// Started by the next test in a process of its own: starts, scales and retires groups until it is killed.
TEST(CrashRealChild, DISABLED_Churns) {
  const char* root = std::getenv("TOW_ENGINE_ROOT");
  ASSERT_TRUE(root) << "only CrashReal.AnEngineKilledAtAnyMoment runs this";
  boost::asio::thread_pool threads{2};
  const auto engine = make(Machine::settings(root, threads.get_executor()));
  run_blocking(engine->start());
  for (int round = 0;; ++round) {
    const auto call = [&](const std::string& id, int count) {
      GroupSpec group{.id = id,
                      .workload = Machine::workload({"serve", "8080"}, {{.name = "http", .port = 8080}}),
                      .count = count};
      run_blocking(engine->ensure(group));
    };
    call("steady", 2);
    call("moving", round % 3);
    if (round % 4 == 3) run_blocking(engine->retire("moving", seconds{1}));
    auto pod = Machine::workload({"serve", "8080"}, {{.name = "http", .port = 8080}});
    pod.containers.push_back({.name = "side", .image = kImage, .args = {"sleep"}});
    pod.containers.push_back({.name = "prepare", .image = kImage, .args = {"lines", "prepared"}});
    pod.main().after = {{"prepare", Milestone::Complete}};
    run_blocking(engine->ensure({.id = "pod", .workload = pod, .count = round % 2 + 1}));
    if (round % 5 == 4) run_blocking(engine->retire("pod", seconds{1}));
    run_blocking(engine->run_job(
        {.id = "churn" + std::to_string(round % 2), .workload = Machine::workload({"lines", "done"})}));
    if (round % 2) run_blocking(engine->remove_job("churn0"));
    std::this_thread::sleep_for(milliseconds{round % 5 * 10});
  }
}

TEST_F(CrashReal, AnEngineKilledAtAnyMoment) {
  stop_engine();
  for (int round = 0; round < 12; ++round) {
    const auto child =
        launch({.argv = {"/proc/self/exe", "--gtest_also_run_disabled_tests",
                         "--gtest_filter=CrashRealChild.DISABLED_Churns"},
                .environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TOW_ENGINE_ROOT=" + root_.string(),
                                "TOW_ENGINE_NAME=" + settings().name}});
    // The first one gets as far as its first group, however slow the machine is; the others die anywhere.
    if (round == 0)
      eventually(
          "it has begun", [&] { return std::filesystem::exists(root_ / "state/groups/steady.json"); },
          seconds{60});
    EXPECT_FALSE(wait_for_end(child.process, 150 + round * 37)) << "it did not end by itself";
    signal(child.process, SIGKILL);
    wait_for_end(child.process, 5000);
  }
  start_engine();
  wait_ready("steady", 2);
  if (HasFailure()) return;
  EXPECT_EQ(run({"fetch", first("steady").address, "8080"}), "web-0");
  // TearDown counts what is left.
}

}  // namespace
}  // namespace tow::engine::local
