// SPDX-License-Identifier: Apache-2.0
#include "engine/local/oci.hpp"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "base/node.hpp"
#include "engine/local/namespaces.hpp"
#include "engine/local/seccomp.hpp"

namespace tow::engine::local {
namespace {

Node object(std::initializer_list<std::pair<const char*, Node>> entries) {
  Node::Map map;
  for (const auto& [key, value] : entries) map.emplace_back(key, value);
  return map;
}

template <class Range>
Node list(const Range& range) {
  Node::List all;
  for (const auto& entry : range) all.emplace_back(entry);
  return all;
}

/// What an ordinary server needs as root of its own namespace: no network administration, no raw sockets, no
/// device files, no tracing of others.
const Node& capabilities() {
  static const Node all = list(std::initializer_list<const char*>{
      "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE",
      "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT"});
  return all;
}

/// The last of each name, in the order of first mention.
std::vector<std::string> merged(const std::vector<std::string>& environment) {
  std::vector<std::string> all;
  for (const auto& entry : environment) {
    const std::string name = entry.substr(0, entry.find('=') + 1);
    const auto same = std::ranges::find_if(all, [&](const auto& other) { return other.starts_with(name); });
    if (same != all.end())
      *same = entry;
    else
      all.push_back(entry);
  }
  return all;
}

Node process(const Container& c, const std::vector<std::string>& arguments, bool terminal) {
  std::uint64_t files = static_cast<std::uint64_t>(std::max(c.limits.files, 64));
  if (c.hard_file_limit > 0) files = std::min(files, c.hard_file_limit);
  std::vector<std::string> environment{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                       "HOME=" + c.user.home, "HOSTNAME=" + c.hostname};
  if (terminal) environment.push_back("TERM=xterm-256color");
  environment.insert(environment.end(), c.environment.begin(), c.environment.end());

  Node user = object({{"uid", std::int64_t{c.user.user}}, {"gid", std::int64_t{c.user.group}}});
  if (!c.user.further_groups.empty()) {
    Node::List groups;
    for (const auto group : c.user.further_groups) groups.emplace_back(std::int64_t{group});
    user.set("additionalGids", std::move(groups));
  }
  // A process that is not root has no capability that could become effective; it keeps the bounds alone.
  Node sets = object({{"bounding", capabilities()}});
  if (c.user.user == 0) sets.set("effective", capabilities()), sets.set("permitted", capabilities());
  Node node = object({
      {"terminal", terminal},
      {"user", user},
      {"args", list(arguments)},
      {"env", list(merged(environment))},
      {"cwd", c.directory},
      {"capabilities", sets},
      {"rlimits", Node::List{object({{"type", "RLIMIT_NOFILE"}, {"hard", files}, {"soft", files}})}},
      {"noNewPrivileges", true},
  });
  return node;
}

Node mount(const char* target, const char* type, const char* source,
           std::initializer_list<const char*> options) {
  return object({{"destination", target}, {"type", type}, {"source", source}, {"options", list(options)}});
}

Node mounts(const Container& c) {
  Node::List all{
      mount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
      mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
      mount("/dev/pts", "devpts", "devpts",
            {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}),
      c.shared_memory.empty()
          ? mount("/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"})
          : mount("/dev/shm", "bind", c.shared_memory.c_str(), {"rbind", "nosuid", "noexec", "nodev", "rw"}),
      mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
      mount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}),
      // Node, Java and .NET size themselves by the limits they read there.
      mount("/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"}),
  };
  if (c.read_only_root)
    all.push_back(mount("/tmp", "tmpfs", "tmpfs", {"nosuid", "nodev", "mode=1777", "size=65536k"}));
  for (const auto& m : c.mounts)
    all.push_back(object({{"destination", m.target},
                          {"type", "bind"},
                          {"source", m.source},
                          {"options", Node::List{"rbind", "nosuid", "nodev", m.read_only ? "ro" : "rw"}}}));
  return all;
}

Node resources(const Limits& limits) {
  Node::List devices{object({{"allow", false}, {"access", "rwm"}})};
  const struct {
    int major, minor;
  } allowed[] = {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 2}};
  for (const auto& [major, minor] : allowed)
    devices.push_back(
        object({{"allow", true}, {"type", "c"}, {"major", major}, {"minor", minor}, {"access", "rwm"}}));
  devices.push_back(
      object({{"allow", true}, {"type", "c"}, {"major", 136}, {"access", "rwm"}}));  // its terminals

  Node node = object({{"devices", std::move(devices)}, {"pids", object({{"limit", limits.processes}})}});
  if (limits.memory) {
    const auto bytes = static_cast<std::int64_t>(limits.memory->count);
    node.set("memory", object({{"limit", bytes}, {"swap", bytes}}));  // memory and swap together: no swap
  }
  Node cpu;
  if (limits.cpu_millis) {
    cpu.set("period", 100'000);
    cpu.set("quota", std::max(1'000, *limits.cpu_millis * 100));
  }
  if (limits.cpu_request_millis) cpu.set("shares", std::max(2, *limits.cpu_request_millis * 1024 / 1000));
  if (!cpu.is_null()) node.set("cpu", std::move(cpu));
  return node;
}

Node isolation(const Container& c) {
  const Node range = Node::List{object(
      {{"containerID", 0}, {"hostID", std::int64_t{c.user_base}}, {"size", std::int64_t{kUserRange}}})};
  Node node = object({
      {"cgroupsPath", c.cgroup},
      {"uidMappings", range},  // runc wants them beside the path; they are those of the namespace
      {"gidMappings", range},
      {"namespaces",
       Node::List{object({{"type", "user"}, {"path", c.user_namespace}}),
                  object({{"type", "network"}, {"path", c.network_namespace}}), object({{"type", "pid"}}),
                  object({{"type", "mount"}}),
                  c.ipc_namespace.empty() ? object({{"type", "ipc"}})
                                          : object({{"type", "ipc"}, {"path", c.ipc_namespace}}),
                  object({{"type", "uts"}}), object({{"type", "cgroup"}})}},
      {"resources", resources(c.limits)},
      // Ports below 1024 need no root: the network is the instance's own.
      {"sysctl",
       object({{"net.ipv4.ip_unprivileged_port_start", "0"}, {"net.ipv4.ping_group_range", "0 65535"}})},
      {"maskedPaths",
       list(std::initializer_list<const char*>{
           "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys",
           "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
           "/sys/dev/block", "/sys/devices/virtual/powercap", "/sys/firmware"})},
      {"readonlyPaths", list(std::initializer_list<const char*>{"/proc/bus", "/proc/fs", "/proc/irq",
                                                                "/proc/sys", "/proc/sysrq-trigger"})},
  });
  if (c.seccomp == Container::Seccomp::Document) node.set("seccomp", seccomp_document());
  return node;
}

}  // namespace

std::string oci_config(const Container& c) {
  Node node = object({
      {"ociVersion", "1.0.2"},
      {"hostname", c.hostname},
      {"root", object({{"path", "rootfs"}, {"readonly", c.read_only_root}})},
      {"process", process(c, c.arguments, c.terminal)},
      {"mounts", mounts(c)},
      {"linux", isolation(c)},
  });
  if (c.seccomp == Container::Seccomp::Program)
    node.set("annotations", object({{"run.oci.seccomp_bpf_data", seccomp_program()}}));
  return to_json(node);
}

std::string oci_process(const Container& c, const std::vector<std::string>& command, bool terminal) {
  return to_json(process(c, command, terminal));
}

}  // namespace tow::engine::local
