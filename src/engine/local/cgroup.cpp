// SPDX-License-Identifier: Apache-2.0
#include "engine/local/cgroup.hpp"

#include <linux/magic.h>
#include <signal.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <set>
#include <sstream>

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;

std::optional<std::string> contents(const fs::path& path) {
  std::ifstream in{path};
  if (!in) return std::nullopt;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::optional<std::uint64_t> number(const fs::path& path) {
  const auto text = contents(path);
  if (!text) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  return error == std::errc{} ? std::optional{value} : std::nullopt;  // "max" is none
}

/// The value of "KEY number" in a file of such lines.
std::optional<std::uint64_t> keyed(const fs::path& path, std::string_view key) {
  std::ifstream in{path};
  std::string word;
  std::uint64_t value;
  while (in >> word >> value)
    if (word == key) return value;
  return std::nullopt;
}

bool is_v2(const fs::path& path) {
  struct statfs about{};
  return ::statfs(path.c_str(), &about) == 0 && about.f_type == CGROUP2_SUPER_MAGIC;
}

/// Children first: a group with groups in it cannot be removed.
bool remove_tree(const fs::path& group) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{group, ignored})
    if (entry.is_directory(ignored)) remove_tree(entry.path());
  return ::rmdir(group.c_str()) == 0 || errno == ENOENT;
}

}  // namespace

Cgroups::Cgroups(fs::path root) : root_{std::move(root)}, layout_{is_v2(root_) ? Layout::V2 : Layout::V1} {
  if (layout_ == Layout::V1 && is_v2(root_ / "unified")) second_ = root_ / "unified";
}

Cgroups::Cgroups(fs::path root, Layout layout) : root_{std::move(root)}, layout_{layout} {}

std::vector<fs::path> Cgroups::hierarchies() const {
  if (layout_ == Layout::V2) return {root_};
  std::vector<fs::path> all;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{root_, ignored})
    if (entry.is_directory(ignored) && !entry.is_symlink(ignored)) all.push_back(entry.path());
  return all;
}

fs::path Cgroups::file(const char* controller, const std::string& path, const char* name) const {
  const fs::path group = fs::path{path}.relative_path();
  return layout_ == Layout::V2 ? root_ / group / name : root_ / controller / group / name;
}

std::optional<Usage> Cgroups::usage(const std::string& path) const {
  const bool v2 = layout_ == Layout::V2;
  const auto memory = number(file("memory", path, v2 ? "memory.current" : "memory.usage_in_bytes"));
  const auto cpu =
      v2 ? keyed(file("", path, "cpu.stat"), "usage_usec") : number(file("cpuacct", path, "cpuacct.usage"));
  if (!memory || !cpu) return std::nullopt;
  const auto droppable =
      keyed(file("memory", path, "memory.stat"), v2 ? "inactive_file" : "total_inactive_file").value_or(0);
  Usage usage;
  usage.cpu_seconds = static_cast<double>(*cpu) / (v2 ? 1e6 : 1e9);
  usage.memory = Bytes{*memory - std::min(*memory, droppable)};
  const auto limit = number(file("memory", path, v2 ? "memory.max" : "memory.limit_in_bytes")).value_or(0);
  usage.memory_limit =
      Bytes{limit < (std::uint64_t{1} << 60) ? limit : 0};  // v1 spells "none" as a huge number
  usage.processes = static_cast<int>(number(file("pids", path, "pids.current")).value_or(0));
  return usage;
}

std::uint64_t Cgroups::out_of_memory_kills(const std::string& path) const {
  return keyed(file("memory", path, layout_ == Layout::V2 ? "memory.events" : "memory.oom_control"),
               "oom_kill")
      .value_or(0);
}

std::vector<pid_t> Cgroups::processes(const std::string& path) const {
  std::ifstream in{file("memory", path, "cgroup.procs")};
  std::vector<pid_t> all;
  for (pid_t pid; in >> pid;) all.push_back(pid);
  return all;
}

std::vector<std::string> Cgroups::children(const std::string& parent) const {
  std::set<std::string> names;
  for (const auto& hierarchy : hierarchies()) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator{hierarchy / fs::path{parent}.relative_path(), ignored})
      if (entry.is_directory(ignored)) names.insert(entry.path().filename());
  }
  return {names.begin(), names.end()};
}

void Cgroups::kill(const std::string& path) const {
  for (const pid_t pid : processes(path)) ::kill(pid, SIGKILL);
}

bool Cgroups::remove(const std::string& path) const {
  bool gone = true;
  for (const auto& hierarchy : hierarchies()) gone &= remove_tree(hierarchy / fs::path{path}.relative_path());
  return gone;
}

}  // namespace tow::engine::local
