// SPDX-License-Identifier: Apache-2.0
#include "engine/local/cgroup.hpp"

#include <gtest/gtest.h>

#include <fstream>

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;

class CgroupTree : public testing::Test {
 protected:
  CgroupTree() { root_ = fs::path{testing::TempDir()} / ("cgroup-" + std::to_string(::getpid())); }
  ~CgroupTree() override { fs::remove_all(root_); }
  void put(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream{root_ / path} << text;
  }
  fs::path root_;
};

TEST_F(CgroupTree, ReadsVersion1) {
  put("memory/towpath/a/memory.usage_in_bytes", "5000000\n");
  put("memory/towpath/a/memory.limit_in_bytes", "67108864\n");
  put("memory/towpath/a/memory.stat", "cache 9\ntotal_inactive_file 1000000\n");
  put("memory/towpath/a/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
  put("cpuacct/towpath/a/cpuacct.usage", "1500000000\n");
  put("pids/towpath/a/pids.current", "3\n");
  const Cgroups groups{root_, Cgroups::Layout::V1};
  const auto usage = groups.usage("/towpath/a");
  ASSERT_TRUE(usage);
  EXPECT_DOUBLE_EQ(usage->cpu_seconds, 1.5);
  EXPECT_EQ(usage->memory.count, 4'000'000u) << "without inactive page cache";
  EXPECT_EQ(usage->memory_limit.count, 67'108'864u);
  EXPECT_EQ(usage->processes, 3);
  EXPECT_EQ(groups.out_of_memory_kills("/towpath/a"), 2u);
  EXPECT_EQ(groups.children("/towpath"), std::vector<std::string>{"a"});
}

TEST_F(CgroupTree, ReadsVersion2) {
  put("towpath/a/memory.current", "5000000\n");
  put("towpath/a/memory.max", "max\n");
  put("towpath/a/memory.stat", "anon 9\ninactive_file 1000000\n");
  put("towpath/a/memory.events", "low 0\noom 1\noom_kill 1\n");
  put("towpath/a/cpu.stat", "usage_usec 1500000\nuser_usec 9\n");
  put("towpath/a/pids.current", "3\n");
  const Cgroups groups{root_, Cgroups::Layout::V2};
  const auto usage = groups.usage("/towpath/a");
  ASSERT_TRUE(usage);
  EXPECT_DOUBLE_EQ(usage->cpu_seconds, 1.5);
  EXPECT_EQ(usage->memory.count, 4'000'000u);
  EXPECT_EQ(usage->memory_limit.count, 0u) << "max means none";
  EXPECT_EQ(groups.out_of_memory_kills("/towpath/a"), 1u);
}

TEST_F(CgroupTree, KnowsNothingOfAGroupThatIsNotThere) {
  put("memory/x/y", "");
  const Cgroups groups{root_, Cgroups::Layout::V1};
  EXPECT_FALSE(groups.usage("/towpath/a"));
  EXPECT_EQ(groups.out_of_memory_kills("/towpath/a"), 0u);
  EXPECT_TRUE(groups.processes("/towpath/a").empty());
  EXPECT_TRUE(groups.remove("/towpath/a"));
}

TEST_F(CgroupTree, TakesAHugeLimitOfVersion1ForNone) {
  put("memory/a/memory.usage_in_bytes", "1\n");
  put("memory/a/memory.limit_in_bytes", "9223372036854771712\n");
  put("cpuacct/a/cpuacct.usage", "1\n");
  EXPECT_EQ(Cgroups(root_, Cgroups::Layout::V1).usage("/a")->memory_limit.count, 0u);
}

}  // namespace
}  // namespace tow::engine::local
