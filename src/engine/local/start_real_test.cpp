// SPDX-License-Identifier: Apache-2.0
// One instance's life on this machine, with each OCI runtime.
#include <signal.h>

#include <cstdlib>
#include <fstream>

#include "engine/local/cgroup.hpp"
#include "engine/local/machine.hpp"
#include "engine/local/records.hpp"

namespace tow::engine::local {
namespace {

class Start : public OnMachine, public testing::WithParamInterface<const char*> {
 protected:
  Start() { runtime_ = GetParam(); }
};

TEST_P(Start, RunsUntilItIsRetired) {
  ensure("g1", workload({"serve", "8080"}, {{.name = "http", .port = 8080}}));
  wait_ready("g1");
  const auto one = engine_->group("g1")->instances.at(0);
  EXPECT_EQ(one.id, "g1-0");
  EXPECT_EQ(one.address, "10.90.0.2");
  EXPECT_EQ(one.restarts, 0);
  EXPECT_TRUE(one.started && one.ready);
  run_blocking(engine_->retire("g1", std::chrono::seconds{5}));
  wait_gone("g1");
  EXPECT_EQ(lines({.source = "g1"}), std::vector<std::string>{"listening on 8080"});
}

// A machine that gets crun later, or a server that is told of another.
TEST_P(Start, StaysWithItsRuntimeWhenTheNextServerUsesAnother) {
  ensure("g1", workload({"serve", "8080"}, {{.name = "http", .port = 8080}}));
  wait_ready("g1");
  stop_engine();
  runtime_ = runtime_ == "crun" ? "runc" : "crun";
  start_engine();
  wait_ready("g1");
  EXPECT_EQ(exec("g1-0", {"/p", "env", "PORT"}).second, 0);
  EXPECT_EQ(engine_->group("g1")->instances.at(0).restarts, 0);
  run_blocking(engine_->retire("g1", std::chrono::seconds{5}));
  wait_gone("g1");
}

// crun takes the directory of a second hierarchy that it must not see for one of version 1.
TEST_P(Start, LeavesNothingWhereTheSecondHierarchyWasHidden) {
  const auto second = Cgroups{}.second_hierarchy();
  if (second.empty()) GTEST_SKIP() << "control groups of one version alone";
  ensure("g1", workload({"serve", "8080"}, {{.name = "http", .port = 8080}}));
  wait_ready("g1");
  const std::string looking = "unshare --mount sh -c 'umount " + second + " && ! ls " + second + "/" +
                              settings().name + " 2>/dev/null'";
  EXPECT_EQ(std::system(looking.c_str()), 0);
  run_blocking(engine_->retire("g1", std::chrono::seconds{5}));
  wait_gone("g1");
}

// An environment's type may name another; that program may go while what it made runs.
TEST_P(Start, RunsByTheRuntimeThatTheWorkloadNames) {
  const auto program = root_ / "wrapped";
  std::ofstream{program} << "#!/bin/sh\necho \"$@\" >> " << (root_ / "calls").string()
                         << "\nexec runc \"$@\"\n";
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  auto named = workload({"serve", "8080"}, {{.name = "http", .port = 8080}});
  named.runtime = program;
  ensure("g1", named);
  wait_ready("g1");
  EXPECT_NE(read_text(root_ / "calls").value_or("").find("create --bundle"), std::string::npos);
  std::filesystem::remove(program);
  stop_engine();
  start_engine();
  wait_ready("g1");
  run_blocking(engine_->retire("g1", std::chrono::seconds{1}));
  wait_gone("g1");
}

TEST_P(Start, NamesARuntimeThatIsNotInstalled) {
  auto named = workload({"serve", "8080"}, {{.name = "http", .port = 8080}});
  named.runtime = "runsc-of-nowhere";
  ensure("g1", named);
  eventually("it is said", [&] {
    const auto group = engine_->group("g1");
    return !group->instances.empty() &&
           group->instances[0].reason.find("runsc-of-nowhere is not installed") != std::string::npos;
  });
  run_blocking(engine_->retire("g1", std::chrono::seconds{1}));
  wait_gone("g1");
}

INSTANTIATE_TEST_SUITE_P(Runtime, Start, testing::Values("crun", "runc"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace tow::engine::local
