// SPDX-License-Identifier: Apache-2.0
#include "engine/local/place.hpp"

#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <cerrno>

#include "base/error.hpp"

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;

void make_directory(const fs::path& path, mode_t mode) {
  fs::create_directories(path);
  if (::chmod(path.c_str(), mode) != 0) throw system_error("making " + path.string(), errno);
}

bool on_memory(const fs::path& path) {
  struct statfs about{};
  return ::statfs(path.c_str(), &about) == 0 && (about.f_type == TMPFS_MAGIC || about.f_type == RAMFS_MAGIC);
}

}  // namespace

std::string container_key(const InstanceId& instance, const Workload& workload,
                          const ContainerSpec& container) {
  return workload.containers.size() == 1 ? instance : instance + "." + container.name;
}

std::pair<InstanceId, std::string> split_key(const std::string& key) {
  const auto dot = key.find('.');
  return dot == std::string::npos ? std::pair{key, std::string{}}
                                  : std::pair{key.substr(0, dot), key.substr(dot + 1)};
}

void Place::prepare() const {
  make_directory(s_.state_directory, 0700);
  make_directory(s_.log_directory, 0750);
  make_directory(s_.volume_directory, 0700);
  for (const auto& path : {groups(), jobs(), environments(), roots()}) make_directory(path, 0700);
  make_directory(s_.runtime_directory, 0755);
  make_directory(secret(), 0700);
  if (!on_memory(secret()) &&
      ::mount("towpath", secret().c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") != 0)
    throw system_error("mounting tmpfs for secrets at " + secret().string(), errno);
  make_directory(instances(), 0700);
  make_directory(runtimes(), 0700);
  make_directory(bundle() / "rootfs", 0755);  // runc's exec wants it to be there, though it does not look in
  make_directory(names(), 0755);
}

void Place::remove_runtime() const {
  ::umount2(sandboxes().c_str(), MNT_DETACH);
  while (::umount2(secret().c_str(), MNT_DETACH) == 0) {
  }
  fs::remove_all(s_.runtime_directory);
}

}  // namespace tow::engine::local
