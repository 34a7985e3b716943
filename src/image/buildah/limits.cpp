// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/limits.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <re2/re2.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

#include "base/log.hpp"
#include "image/buildah/files.hpp"

namespace tow::image::buildah {
namespace {

namespace fs = std::filesystem;

/// A quarter of what others get when all want the processor.
constexpr const char* kShares = "256";  // v1; 1024 is what every group gets
constexpr const char* kWeight = "25";   // v2; 100 is

bool put(const fs::path& file, const std::string& text) {
  const int descriptor = ::open(file.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  const bool written = ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(descriptor);
  return written;
}

bool make_group(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  return !error;
}

bool is_v2(const fs::path& root) { return fs::exists(root / "cgroup.controllers"); }

bool limit_v2(const fs::path& root, const fs::path& group, const BuildLimits& limits) {
  if (!make_group(root / group)) return false;
  for (const auto& above : {root, root / group.parent_path()})
    for (const char* controller : {"+cpu", "+memory", "+pids"})
      put(above / "cgroup.subtree_control", controller);
  put(root / group.parent_path() / "cpu.weight", kWeight);
  put(root / group / "memory.swap.max", "0");
  put(root / group / "memory.oom.group", "0");
  const bool memory = put(root / group / "memory.max", std::to_string(limits.memory.count));
  return put(root / group / "pids.max", std::to_string(limits.processes)) && memory;
}

bool limit_v1(const fs::path& root, const fs::path& group, const BuildLimits& limits) {
  const auto bytes = std::to_string(limits.memory.count);
  const auto memory = root / "memory" / group;
  bool all = make_group(memory) && put(memory / "memory.limit_in_bytes", bytes);
  put(memory / "memory.memsw.limit_in_bytes", bytes);  // where swap is accounted
  const auto pids = root / "pids" / group;
  all = make_group(pids) && put(pids / "pids.max", std::to_string(limits.processes)) && all;
  if (make_group(root / "cpu" / group)) put(root / "cpu" / group.parent_path() / "cpu.shares", kShares);
  return all;
}

}  // namespace

BuildLimits build_limits(const Settings& settings) {
  const auto pages = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
  const auto size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return {.memory = settings.memory.value_or(Bytes{pages * size / 4 * 3}), .processes = settings.processes};
}

void limit_build(const std::string& group, const BuildLimits& limits, const fs::path& root) {
  const fs::path relative = fs::path{group}.relative_path();
  const bool limited = is_v2(root) ? limit_v2(root, relative, limits) : limit_v1(root, relative, limits);
  static std::atomic<bool> told = false;
  if (!limited && !told.exchange(true))
    log::warning("image", "memory or processes of builds cannot be limited here: {} has no such controller",
                 root.string());
}

bool was_short_of_memory(const std::string& group, const fs::path& root) {
  const fs::path relative = fs::path{group}.relative_path();
  std::int64_t count = 0;
  if (is_v2(root)) {
    static const RE2 kills{R"((?m)^oom_kill (\d+)$)"};
    return RE2::PartialMatch(read_file(root / relative / "memory.events"), kills, &count) && count > 0;
  }
  // What it counts as failures depends on the kernel; that the limit was reached does not.
  static const RE2 number{R"(^(\d+)\s*$)"};
  std::int64_t limit = 0;
  const auto group_directory = root / "memory" / relative;
  return RE2::PartialMatch(read_file(group_directory / "memory.max_usage_in_bytes"), number, &count) &&
         RE2::PartialMatch(read_file(group_directory / "memory.limit_in_bytes"), number, &limit) &&
         count >= limit - limit / 64;
}

}  // namespace tow::image::buildah
