// SPDX-License-Identifier: Apache-2.0
#include "engine/local/sandbox.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include <cerrno>
#include <mutex>

#include "base/error.hpp"
#include "base/fault.hpp"
#include "base/node.hpp"

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;

/// As much as a container of its own has.
constexpr const char* kSharedMemory = "mode=1777,size=65536k";
constexpr const char *kUser = "user", *kNetwork = "network", *kIpc = "ipc", *kShm = "shm";
constexpr const char* kRecord = "sandbox.json";

/// Private: a mount namespace that is copied from ours drops the whole of it with one call, and gets no more.
void prepare(const Place& place) {
  static std::mutex one;
  const std::lock_guard lock{one};
  const fs::path all = place.sandboxes();
  struct stat own{}, above{};
  fs::create_directories(all);
  if (::stat(all.c_str(), &own) == 0 && ::stat(all.parent_path().c_str(), &above) == 0 &&
      own.st_dev != above.st_dev)
    return;
  if (::mount("towpath", all.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0)
    throw system_error("mounting tmpfs for sandboxes at " + all.string(), errno);
  if (::mount(nullptr, all.c_str(), nullptr, MS_PRIVATE, nullptr) != 0)
    throw system_error("keeping the sandboxes at " + all.string() + " to ourselves", errno);
}

void pin(const fs::path& path, const Descriptor& held) {
  const Descriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
  if (!file) throw system_error("making " + path.string(), errno);
  if (::mount(join_path(held).c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0)
    throw system_error("pinning a namespace at " + path.string(), errno);
}

/// Empty when there is none.
Descriptor pinned(const fs::path& path) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct statfs about{};
  if (!file || ::fstatfs(file.get(), &about) != 0 || about.f_type != NSFS_MAGIC) return Descriptor{};
  return file;
}

}  // namespace

Sandbox make_sandbox(const Place& place, Networks& networks, const InstanceId& id, const Workload& workload,
                     const std::string& address) {
  const fs::path at = place.sandbox(id);
  Sandbox made{.record = {.id = id}};
  try {
    remove_sandbox(place, networks, id);
    prepare(place);
    fs::create_directory(at);
    made.namespaces = make_namespaces(workload.user_base, Ipc::Shared);
    pin(at / kUser, made.namespaces.user);
    pin(at / kNetwork, made.namespaces.network);
    pin(at / kIpc, made.namespaces.ipc);
    fault_point("engine.sandbox-pinned");
    fs::create_directory(at / kShm);
    if (::mount("towpath", (at / kShm).c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, kSharedMemory) !=
        0)
      throw system_error("mounting the shared memory of " + id, errno);
    made.record.link =
        networks.connect(workload.environment, address, made.namespaces.network.get(), workload.outbound);
    fault_point("engine.sandbox-connected");
    remember(place, made.record);
    fault_point("engine.sandbox-recorded");
    return made;
  } catch (...) {
    if (!made.record.link.empty()) networks.disconnect(made.record.link);
    remove_sandbox(place, networks, id);
    throw;
  }
}

std::optional<Sandbox> adopt_sandbox(const Place& place, const InstanceId& id) {
  const fs::path at = place.sandbox(id);
  const auto text = read_text(at / kRecord);
  if (!text) return std::nullopt;
  Sandbox found{
      .record = from_node<SandboxRecord>(parse_json(*text)),
      .namespaces = {.user = pinned(at / kUser), .network = pinned(at / kNetwork), .ipc = pinned(at / kIpc)}};
  if (!found.namespaces.user || !found.namespaces.network || !found.namespaces.ipc) return std::nullopt;
  return found;
}

void remember(const Place& place, const SandboxRecord& record) {
  write_file(place.sandbox(record.id) / kRecord, to_json(to_node(record)), 0600, Safety::Volatile);
}

void remove_sandbox(const Place& place, Networks& networks, const InstanceId& id) {
  const fs::path at = place.sandbox(id);
  if (!fs::exists(at)) return;
  if (const auto text = read_text(at / kRecord))
    networks.disconnect(from_node<SandboxRecord>(parse_json(*text)).link);
  fault_point("engine.sandbox-disconnected");
  for (const char* name : {kUser, kNetwork, kIpc, kShm})
    while (::umount2((at / name).c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
    }
  fs::remove_all(at);
}

std::vector<InstanceId> find_sandboxes(const Place& place) {
  std::vector<InstanceId> all;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator{place.sandboxes(), none})
    all.push_back(entry.path().filename());
  return all;
}

Descriptor open_shared_memory(const Place& place, const Sandbox& sandbox) {
  const fs::path path = place.sandbox(sandbox.record.id) / kShm;
  Descriptor tree{static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC))};
  if (!tree) throw system_error("opening the shared memory of " + sandbox.record.id, errno);
  return tree;
}

}  // namespace tow::engine::local
