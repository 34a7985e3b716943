// SPDX-License-Identifier: Apache-2.0
#include "engine/local/making.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "base/error.hpp"
#include "base/fault.hpp"
#include "base/log.hpp"
#include "base/node.hpp"
#include "engine/local/disk.hpp"
#include "engine/local/log_files.hpp"
#include "engine/local/remains.hpp"
#include "engine/local/runtime_call.hpp"
#include "engine/local/volumes.hpp"
#include "engine/validate.hpp"

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

/// A runtime that takes longer than this to create or start a container is stuck.
constexpr milliseconds kRuntimeLimit = seconds{60};

/// Everything between the first step and the last.
struct Start {
  Workshop& shop;
  const Order& order;
  StoredImage image;
  User user;
  Namespaces own;  // alone
  std::string link;
  std::vector<Descriptor> mounts;
  PrivateMounts view;
  std::vector<Container::Mount> inside;
  Descriptor monitor;
  pid_t pid = -1;

  const Namespaces& namespaces() const { return order.sandbox ? order.sandbox->namespaces : own; }
  fs::path directory() const { return shop.place.instance(order.id); }
};

void own(const fs::path& path, std::uint32_t user, std::uint32_t group) {
  if (::chown(path.c_str(), user, group) != 0) throw disk_error("giving away", path, errno);
}

void find_image(Start& s) {
  s.image = s.shop.layers.find(s.order.container.image);
  s.user = Layers::user(s.image, s.image.user);
}

void make_directories(Start& s) {
  fs::create_directories(s.directory());
  for (const char* name : {"rootfs", "l", "v", "files", "exit"}) fs::create_directory(s.directory() / name);
  fs::create_directories(s.shop.place.logs(s.order.source));
  end_last_line(s.shop.place.logs(s.order.source), s.order.id);
  const fs::path root = s.shop.place.root(s.order.id);
  fs::create_directories(root / "upper");
  fs::create_directory(root / "work");
  own(root / "upper", s.order.workload.user_base, s.order.workload.user_base);
  ::chmod((root / "upper").c_str(), 0755);
  fault_point("engine.directories-made");
}

void make_isolation(Start& s) {
  if (!s.order.sandbox) s.own = make_namespaces(s.order.workload.user_base, Ipc::OfTheContainer);
}

void connect_network(Start& s) {
  if (s.order.sandbox) return;
  s.link = s.shop.networks.connect(s.order.workload.environment, s.order.address,
                                   s.namespaces().network.get(), s.order.workload.outbound);
  fault_point("engine.network-connected");
}

/// Overlay's option list knows backslash, comma and colon.
std::string escaped(const fs::path& path) {
  std::string out;
  for (const char c : path.string()) {
    if (c == '\\' || c == ',' || c == ':') out += '\\';
    out += c;
  }
  return out;
}

void attach(Start& s, Descriptor mount, const std::string& to) {
  fs::create_directory(s.directory() / to);
  s.view.attach.push_back({mount.get(), to});
  s.mounts.push_back(std::move(mount));
}

void open_layers(Start& s) {
  std::string lower;
  for (std::size_t i = 0; i < s.image.layers.size(); ++i) {
    const std::string to = "l/" + std::to_string(i);
    attach(s, detach(s.image.layers[i], s.namespaces().user.get(), Access::ReadOnly), to);
    lower += (i ? ":" : "") + to;
  }
  if (lower.empty()) fs::create_directory(s.directory() / (lower = "l/none"));
  const fs::path root = s.shop.place.root(s.order.id);
  // Volatile: nobody needs this directory after a crash of the machine.
  s.view.overlay = {.options = "lowerdir=" + lower + ",upperdir=" + escaped(root / "upper") +
                               ",workdir=" + escaped(root / "work") + ",volatile",
                    .to = "rootfs"};
  if (s.view.overlay->options.size() > 4095)
    throw fail(Code::Unsupported, "image {} has {} layers, more than a mount's options can name", s.image.id,
               s.image.layers.size());
}

void open_volumes(Start& s) {
  if (s.order.sandbox) attach(s, open_shared_memory(s.shop.place, *s.order.sandbox), "shm");
  int number = 0;
  for (const auto& volume : s.order.container.volumes) {
    check_id("volume", volume.volume);
    // Owners are kept as they are inside, whatever range the project has.
    const Descriptor source =
        open_volume(s.shop.place.volume(volume.volume), volume.sub_path, s.user.user, s.user.group);
    const std::string to = "v/" + std::to_string(number++);
    attach(s,
           detach(source, s.namespaces().user.get(), volume.read_only ? Access::ReadOnly : Access::ReadWrite),
           to);
    s.inside.push_back({s.shop.place.bundle() / to, volume.target, volume.read_only});
  }
}

void write_inside(Start& s, const std::string& name, const std::string& target, const std::string& text,
                  int mode, std::uint32_t user, std::uint32_t group) {
  const fs::path path = s.directory() / "files" / name;
  write_file(path, text, mode, Safety::Volatile);
  own(path, s.order.workload.user_base + user, s.order.workload.user_base + group);
  s.inside.push_back({s.shop.place.bundle() / "files" / name, target, true});
}

void write_files(Start& s) {
  const auto& order = s.order;
  write_inside(
      s, "hosts", "/etc/hosts",
      "127.0.0.1 localhost\n::1 localhost ip6-localhost\n" + order.address + " " + order.hostname + "\n",
      0644, 0, 0);
  write_inside(s, "resolv.conf", "/etc/resolv.conf",
               "nameserver " + s.shop.networks.gateway(order.workload.environment) + "\n", 0644, 0, 0);
  write_inside(s, "hostname", "/etc/hostname", order.hostname + "\n", 0644, 0, 0);
  int number = 0;
  for (const auto& file : order.container.files)
    write_inside(s, "f" + std::to_string(number++), file.target, file.content, file.mode, s.user.user,
                 s.user.group);
}

std::vector<std::string> arguments(const Start& s) {
  const auto& w = s.order.container;
  std::vector<std::string> all = !s.order.command.empty() ? s.order.command
                                 : !w.command.empty()     ? w.command
                                                          : s.image.entrypoint;
  if (!s.order.command.empty()) return all;
  // A command of its own goes without the image's arguments, as in Kubernetes and Docker.
  const auto& rest = !w.args.empty() ? w.args : w.command.empty() ? s.image.command : w.args;
  all.insert(all.end(), rest.begin(), rest.end());
  if (all.empty())
    throw fail(Code::Invalid, "image {} says no command to run, and none is given in its place", s.image.id);
  return all;
}

void write_bundle(Start& s) {
  const auto& order = s.order;
  Container c;
  c.id = order.id;
  c.hostname = order.hostname;
  c.arguments = arguments(s);
  c.environment = s.image.environment;
  for (const auto& [name, value] : order.variables) c.environment.push_back(name + "=" + value);
  c.directory = s.image.working_directory;
  c.user = s.user;
  c.terminal = order.terminal;
  c.read_only_root = order.container.read_only_root;
  c.limits = order.container.limits;
  c.hard_file_limit = s.shop.hard_file_limit;
  c.mounts = s.inside;
  c.cgroup = s.shop.place.cgroup(order.id);
  c.user_namespace = join_path(s.namespaces().user);
  c.network_namespace = join_path(s.namespaces().network);
  if (order.sandbox) {
    c.ipc_namespace = join_path(s.namespaces().ipc);
    c.shared_memory = s.shop.place.bundle() / "shm";
  }
  c.user_base = order.workload.user_base;
  c.seccomp = order.runtime.seccomp;
  write_file(s.directory() / "config.json", oci_config(c), 0600, Safety::Volatile);
  c.environment.push_back("TERM=xterm-256color");
  write_file(s.directory() / "exec.json", oci_process(c, {}, false), 0600, Safety::Volatile);
}

/// One line from a pipe: what conmon says of its container.
std::string read_line(int pipe, milliseconds limit) {
  const auto end = steady_clock::now() + limit;
  std::string line;
  for (;;) {
    const auto left = std::chrono::duration_cast<milliseconds>(end - steady_clock::now());
    pollfd entry{pipe, POLLIN, 0};
    const int ready = left.count() > 0 ? ::poll(&entry, 1, static_cast<int>(left.count())) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0)
      throw Error{Code::Timeout, "the OCI runtime did not create the container within its time"};
    char buffer[4096];
    const auto n = ::read(pipe, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return line;
    line.append(buffer, static_cast<std::size_t>(n));
    if (line.back() == '\n') return line;
  }
}

void start_monitor(Start& s) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw system_error("making a pipe", errno);
  const Descriptor reading{ends[0]};
  Descriptor writing{ends[1]};
  s.view.hidden = s.order.runtime.hidden;
  s.view.dropped = s.shop.place.sandboxes();
  s.view.bind = {s.directory(), s.shop.place.bundle()};
  s.view.directory = s.shop.place.bundle();
  const Monitor monitor{.id = s.order.id,
                        .bundle = s.shop.place.bundle(),
                        .log = s.shop.place.logs(s.order.source) / (s.order.id + ".log"),
                        .terminal = s.order.terminal};
  auto launched = launch({.argv = monitor_command(s.shop.conmon, s.order.runtime, monitor),
                          .environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "_OCI_SYNCPIPE=3"},
                          .descriptors = {{3, writing.get()}},
                          .mounts = s.view});
  s.monitor = std::move(launched.process);
  fault_point("engine.monitor-started");
  writing.reset();
  const std::string line = read_line(reading.get(), kRuntimeLimit);
  if (line.empty()) throw Error{Code::Unavailable, "conmon ended before it had made the container"};
  const Node answer = parse_json(line);
  const Node* data = answer.find("data");
  s.pid = data && data->integer() ? static_cast<pid_t>(*data->integer()) : -1;
  if (s.pid > 0) return;
  const Node* message = answer.find("message");
  throw fail(Code::Invalid, "the container could not be made: {}",
             message && message->string() ? plainly(*message->string()) : line);
}

void start_container(Start& s) {
  if (s.order.about_to_start) s.order.about_to_start();
  const auto spoken = run_runtime(s.order.runtime, start_command(s.order.runtime, s.order.id), kRuntimeLimit);
  if (spoken.exit_code != 0)
    throw fail(Code::Invalid, "the container could not be started: {}", plainly(spoken.text));
  fault_point("engine.container-started");
}

// Read top to bottom: this is how an instance comes to be. unmake() takes it all back, whatever there is of
// it.
constexpr void (*kSteps[])(Start&) = {
    find_image,   make_directories, make_isolation, connect_network, open_layers,
    open_volumes, write_files,      write_bundle,   start_monitor,   start_container,
};

}  // namespace

Running make(Workshop& shop, const Order& order, TimePoint now) {
  Start s{.shop = shop, .order = order};
  try {
    for (const auto step : kSteps) {
      if (order.given_up && *order.given_up) throw Error{Code::Cancelled, "it is no longer wanted"};
      step(s);
    }
    Running running{.record = {.id = order.id,
                               .link = s.link,
                               .runtime = order.runtime.program,  // another default may come after us
                               .image = s.image.id,
                               .started = now,
                               .restarts = order.before.restarts,
                               .last_end = order.before.last_end},
                    .monitor = std::move(s.monitor),
                    .init = open_process(s.pid),
                    .pid = s.pid};
    shop.remember(running.record);
    fault_point("engine.instance-recorded");
    return running;
  } catch (...) {
    unmake(shop, order.id, order.runtime, s.link, s.monitor);
    throw;
  }
}

void Workshop::remember(const RunRecord& record) const {
  write_file(place.instance(record.id) / "run.json", to_json(to_node(record)), 0600, Safety::Volatile);
}

}  // namespace tow::engine::local
