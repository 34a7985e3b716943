// SPDX-License-Identifier: Apache-2.0
// Two engines on one machine, and the end of one that has lost its memory.
#include <gmock/gmock.h>

#include "base/error.hpp"
#include "base/process.hpp"
#include "engine/local/machine.hpp"
#include "engine/local/netlink.hpp"

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class NeighboursReal : public OnMachine {
 protected:
  Settings neighbour() {
    Settings s = Machine::settings(root_ / "second", threads_->get_executor());
    s.name = settings().name + "-2";
    s.link_prefix = "two";
    s.network = "10.91.0.0/16";
    return s;
  }
  std::string refusal(const Settings& s) {
    const auto second = make(s);
    std::string said;
    try {
      run_blocking(second->start());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::FailedPrecondition);
      said = error.message();
    }
    run_blocking(second->stop());
    EXPECT_FALSE(fs::exists(s.state_directory)) << "nothing was begun";
    return said;
  }
  void serve(const std::string& group, int count = 1) {
    ensure(group, workload({"serve", "8080"}, {{.name = "http", .port = 8080}}), count);
    wait_ready(group, count);
  }
};

TEST_F(NeighboursReal, WhatBelongsToAnotherIsRefused) {
  serve("g1");
  const std::string other = "another Towpath on this machine (\"" + settings().name +
                            "\", with its state in " + (root_ / "state").string() + ") ";
  auto same_network = neighbour();
  same_network.network = "10.90.128.0/20";
  EXPECT_THAT(refusal(same_network),
              HasSubstr(other + "has the network 10.90.0.0/16, which overlaps with 10.90.128.0/20"));
  auto same_links = neighbour();
  same_links.link_prefix = "twt";
  EXPECT_THAT(refusal(same_links), HasSubstr(other + "names its links \"twt…\""));
  auto same_name = neighbour();
  same_name.name = settings().name;
  EXPECT_THAT(refusal(same_name), HasSubstr(other + "has the same name"));
  EXPECT_EQ(run({"fetch", engine_->group("g1")->instances[0].address, "8080"}), "web-0") << "it goes on";
}

TEST_F(NeighboursReal, AnAddressOfTheMachineIsRefused) {
  Netlink links;
  links.add_bridge("lan0", *parse_address("10.91.7.8"));
  links.add_address(*links.index("lan0"), *parse_address("10.91.7.8"), 24);
  EXPECT_THAT(refusal(neighbour()), HasSubstr("the link lan0 of this machine has the address 10.91.7.8"));
  links.remove("lan0");
}

TEST_F(NeighboursReal, TwoLiveBesideEachOther) {
  serve("g1");
  auto s = neighbour();
  const auto second = make(s);
  run_blocking(second->start());
  GroupSpec group{.id = "g1", .workload = workload({"serve", "8080"}, {{.name = "http", .port = 8080}})};
  group.workload.component = "other";
  run_blocking(second->ensure(group));
  eventually("the second one's is ready",
             [&] { return second->group("g1")->instances.at(0).phase == Phase::Ready; });
  const std::string theirs = second->group("g1")->instances.at(0).address;
  EXPECT_EQ(theirs, "10.91.0.2");
  EXPECT_EQ(run({"fetch", theirs, "8080"}), "timed out") << "closed to each other";
  run_blocking(second->stop());
  run_blocking(tear_down(s));
  EXPECT_EQ(run({"fetch", engine_->group("g1")->instances[0].address, "8080"}), "web-0")
      << "the end of one is not the other's";
}

TEST_F(NeighboursReal, ATearDownNeedsNoRecords) {
  serve("g1", 7);
  stop_engine();
  fs::remove_all(root_ / "state");
  const auto begun = std::chrono::steady_clock::now();
  run_blocking(tear_down(settings()));
  RecordProperty(
      "seven_instances",
      tow::to_string(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - begun)));
  EXPECT_EQ(before_, census());
  start_engine();
  EXPECT_TRUE(engine_->groups().empty());
}

}  // namespace
}  // namespace tow::engine::local
