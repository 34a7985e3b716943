// SPDX-License-Identifier: Apache-2.0
#pragma once
// Control groups, v1 and v2: what an instance uses, whether it was killed for memory, who is in it.
// The OCI runtime makes them; here they are read, and removed when a runtime no longer can. Paths are as in
// config.json's cgroupsPath ("/towpath/ID"), the same for both layouts. Thread-safe; every call blocks
// shortly.

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.hpp"

namespace tow::engine::local {

class Cgroups {
 public:
  enum class Layout { V1, V2 };

  /// Looks at what is mounted there.
  explicit Cgroups(std::filesystem::path root = "/sys/fs/cgroup");
  /// For tests: a directory tree that looks like one.
  Cgroups(std::filesystem::path root, Layout layout);

  Layout layout() const { return layout_; }
  /// Where a v2 hierarchy is mounted beside v1; empty when there is none. crun 1.8 refuses such a host.
  const std::string& second_hierarchy() const { return second_; }

  /// Memory is without what could be dropped at once (inactive page cache), as people mean it.
  std::optional<Usage> usage(const std::string& path) const;
  /// How many of its processes were killed for memory so far.
  std::uint64_t out_of_memory_kills(const std::string& path) const;
  std::vector<pid_t> processes(const std::string& path) const;
  /// Names of the groups in `parent`, in any hierarchy.
  std::vector<std::string> children(const std::string& parent) const;
  /// SIGKILL to everything in it.
  void kill(const std::string& path) const;
  /// Removes it with those inside it; false when processes are still in it. One that is not there is fine.
  bool remove(const std::string& path) const;

 private:
  std::vector<std::filesystem::path> hierarchies() const;
  std::filesystem::path file(const char* controller, const std::string& path, const char* name) const;

  std::filesystem::path root_;
  Layout layout_;
  std::string second_;
};

}  // namespace tow::engine::local
