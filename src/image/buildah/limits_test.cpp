// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/limits.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "base/ids.hpp"
#include "image/buildah/files.hpp"

namespace tow::image::buildah {
namespace {

/// A directory that looks like a hierarchy of control groups.
class Limits : public testing::Test {
 public:
  ~Limits() override { std::filesystem::remove_all(root_); }
  void file(const std::string& path, const std::string& text = {}) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream{root_ / path} << text;
  }
  std::string text(const std::string& path) const { return read_file(root_ / path); }
  std::filesystem::path root_ = std::filesystem::temp_directory_path() / ("towpath-limits-" + new_uid());
  const BuildLimits limits_{.memory = Bytes{1 << 30}, .processes = 100};
};

TEST_F(Limits, OfTheFirstVersion) {
  for (const char* path :
       {"memory/towpath-build/b/memory.limit_in_bytes", "pids/towpath-build/b/pids.max",
        "cpu/towpath-build/cpu.shares", "memory/towpath-build/b/memory.max_usage_in_bytes"})
    file(path);
  limit_build("/towpath-build/b", limits_, root_);
  EXPECT_EQ(text("memory/towpath-build/b/memory.limit_in_bytes"), "1073741824");
  EXPECT_EQ(text("pids/towpath-build/b/pids.max"), "100");
  EXPECT_EQ(text("cpu/towpath-build/cpu.shares"), "256");
  EXPECT_FALSE(was_short_of_memory("/towpath-build/b", root_));
  file("memory/towpath-build/b/memory.max_usage_in_bytes", "1073741824\n");
  EXPECT_TRUE(was_short_of_memory("/towpath-build/b", root_));
}

TEST_F(Limits, OfTheSecondVersion) {
  for (const char* path :
       {"cgroup.controllers", "cgroup.subtree_control", "towpath-build/cgroup.subtree_control",
        "towpath-build/cpu.weight", "towpath-build/b/memory.max", "towpath-build/b/pids.max"})
    file(path);
  limit_build("/towpath-build/b", limits_, root_);
  EXPECT_EQ(text("towpath-build/b/memory.max"), "1073741824");
  EXPECT_EQ(text("towpath-build/b/pids.max"), "100");
  EXPECT_EQ(text("towpath-build/cpu.weight"), "25");
  EXPECT_NE(text("towpath-build/cgroup.subtree_control"), "");
  file("towpath-build/b/memory.events", "low 0\noom 1\noom_kill 1\n");
  EXPECT_TRUE(was_short_of_memory("/towpath-build/b", root_));
}

}  // namespace
}  // namespace tow::image::buildah
