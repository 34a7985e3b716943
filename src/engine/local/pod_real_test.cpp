// SPDX-License-Identifier: Apache-2.0
// Several containers in one instance, on this machine, with each OCI runtime: what they share and what not.
#include <gmock/gmock.h>
#include <signal.h>

#include "base/ids.hpp"
#include "engine/local/launch.hpp"
#include "engine/local/machine.hpp"
#include "engine/local/netlink.hpp"
#include "engine/local/place.hpp"
#include "engine/local/records.hpp"

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;

class PodReal : public OnMachine, public testing::WithParamInterface<const char*> {
 protected:
  PodReal() { runtime_ = GetParam(); }
  static Workload pod() {
    auto made = workload({"serve", "8080"}, {{.name = "http", .port = 8080}});
    made.containers.push_back({.name = "side", .image = kImage, .args = {"serve", "9000"}});
    made.containers[1].readiness = Probe{.kind = Probe::Kind::Tcp, .port = 9000};
    return made;
  }
  InstanceView first() { return engine_->group("g1")->instances.at(0); }
  pid_t process(const std::string& container) {
    const Place place{settings()};
    return std::atoi(read_text(place.instance("g1-0." + container) / "init.pid").value_or("").c_str());
  }
  std::string name_space(const std::string& container, const char* which) {
    return fs::read_symlink("/proc/" + std::to_string(process(container)) + "/ns/" + which);
  }
};

TEST_P(PodReal, SharesTheNetworkAndSharedMemoryAndNothingElse) {
  ensure("g1", pod());
  wait_ready("g1");
  for (const char* which : {"user", "net", "ipc"})
    EXPECT_EQ(name_space("main", which), name_space("side", which));
  for (const char* which : {"pid", "mnt", "cgroup"})
    EXPECT_NE(name_space("main", which), name_space("side", which)) << which;
  EXPECT_EQ(exec("g1-0", {"/p", "fetch", "127.0.0.1", "9000"}).first, "web-0\n") << "by the loopback address";
  EXPECT_EQ(run({"fetch", first().address, "9000"}), "web-0") << "and by the one address from outside";
  const auto seen = [&](const std::string& from, const std::string& in, const std::string& path) {
    const std::string root = "/proc/" + std::to_string(process(from)) + "/root" + path;
    write_file(root, "here", 0644, Safety::Volatile);
    return read_text("/proc/" + std::to_string(process(in)) + "/root" + path).value_or("");
  };
  EXPECT_EQ(seen("main", "side", "/dev/shm/x"), "here");
  EXPECT_EQ(seen("main", "side", "/x"), "") << "each has a root of its own";
}

TEST_P(PodReal, HasLimitsForEachContainer) {
  auto workload = pod();
  workload.containers[1].args = {"allocate", "256"};
  workload.containers[1].readiness.reset();
  workload.containers[1].limits.memory = Bytes{32 << 20};
  ensure("g1", workload);
  eventually("it was killed", [&] { return first().containers.at(1).last_end.has_value(); });
  EXPECT_EQ(first().containers[1].last_end->reason, "killed for memory: the limit is 32Mi");
  EXPECT_EQ(first().containers[0].restarts, 0) << "the other one goes on";
}

TEST_P(PodReal, IsReplacedWholeWhenItsNetworkIsLost) {
  ensure("g1", pod());
  wait_ready("g1");
  const auto before = first();
  stop_engine();
  for (const auto& link : Netlink{}.links("twtv")) Netlink{}.remove(link);
  start_engine();
  eventually("both were started anew", [&] {
    const auto one = first();
    return one.phase == Phase::Ready && *one.containers[0].started > *before.containers[0].started &&
           *one.containers[1].started > *before.containers[1].started;
  });
  EXPECT_EQ(run({"fetch", before.address, "9000"}), "web-0");
}

TEST_P(PodReal, AContainerThatEndedWhileNobodyLookedComesBackBesideTheOther) {
  ensure("g1", pod());
  wait_ready("g1");
  const auto main = process("main");
  stop_engine();
  const auto side = open_process(process("side"));
  signal(side, SIGKILL);
  wait_for_end(side, 5000);
  start_engine();
  eventually("it is back", [&] { return first().phase == Phase::Ready && process("side") > 0; });
  EXPECT_EQ(exec("g1-0", {"/p", "fetch", "127.0.0.1", "9000"}).first, "web-0\n");
  EXPECT_EQ(process("main"), main);
}

INSTANTIATE_TEST_SUITE_P(Runtime, PodReal, testing::Values("crun", "runc"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace tow::engine::local
