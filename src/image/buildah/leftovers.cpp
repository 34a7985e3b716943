// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/leftovers.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "base/log.hpp"
#include "image/buildah/file_lock.hpp"

namespace tow::image::buildah {
namespace {

const std::filesystem::path kCgroups = "/sys/fs/cgroup";
constexpr std::string_view kBuilds = "/towpath-build/";

std::vector<std::string> names_in(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator{directory, error})
    names.push_back(entry.path().filename().string());
  return names;
}

/// Control groups are directories that only rmdir(2) removes, the innermost first.
void remove_cgroup(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return;
  for (const auto& entry : std::filesystem::directory_iterator{path, error})
    if (entry.is_directory(error)) remove_cgroup(entry.path());
  ::rmdir(path.c_str());
}

}  // namespace

std::filesystem::path build_lock(const Layout& layout, const std::string& id) {
  return layout.temporary / (id + ".lock");
}

std::vector<std::string> abandoned_builds(const Layout& layout, const Storage& storage) {
  std::set<std::string> ids;
  for (const auto& directory : {layout.builds, layout.temporary})
    for (const auto& name : names_in(directory)) ids.insert(name.substr(0, name.find(".lock")));
  for (auto& cgroup : storage.working_cgroups())
    if (cgroup.starts_with(kBuilds))
      ids.insert(cgroup.substr(kBuilds.size(), cgroup.find('/', kBuilds.size()) - kBuilds.size()));
  std::vector<std::string> abandoned;
  for (const auto& id : ids) {
    std::error_code error;
    const auto lock = build_lock(layout, id);
    if (!std::filesystem::exists(lock, error) || FileLock::try_lock(lock, FileLock::Mode::Exclusive))
      abandoned.push_back(id);
  }
  return abandoned;
}

void remove_leftovers(const Layout& layout, const std::string& id) {
  std::error_code error;
  std::filesystem::remove_all(layout.temporary / id, error);
  if (error) log::warning("image", "cannot remove {}: {}", (layout.temporary / id).string(), error.message());
  // v2, or one hierarchy for each controller.
  const auto cgroup = std::string{kBuilds.substr(1)} + id;
  remove_cgroup(kCgroups / cgroup);
  for (const auto& controller : names_in(kCgroups)) remove_cgroup(kCgroups / controller / cgroup);
  std::filesystem::remove_all(layout.builds / id, error);
  if (error) log::warning("image", "cannot remove {}: {}", (layout.builds / id).string(), error.message());
  std::filesystem::remove(build_lock(layout, id), error);
}

void remove_old_caches(const Layout& layout, TimePoint since) {
  for (const auto& project : names_in(layout.caches)) {
    struct stat status{};
    if (::stat((layout.caches / project / ".used").c_str(), &status) != 0) continue;
    if (TimePoint{std::chrono::seconds{status.st_mtime}} >= since) continue;
    std::error_code error;
    std::filesystem::remove_all(layout.caches / project, error);
  }
}

}  // namespace tow::image::buildah
