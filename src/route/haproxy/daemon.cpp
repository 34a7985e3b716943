// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/daemon.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "base/error.hpp"

namespace tow::route::haproxy {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_{number} {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Endpoint parse_endpoint(const std::string& address, std::uint16_t port) {
  Endpoint out;
  auto* four = reinterpret_cast<sockaddr_in*>(&out.storage);
  auto* six = reinterpret_cast<sockaddr_in6*>(&out.storage);
  if (inet_pton(AF_INET, address.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    out.size = sizeof(sockaddr_in);
  } else if (inet_pton(AF_INET6, address.c_str(), &six->sin6_addr) == 1) {
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    out.size = sizeof(sockaddr_in6);
  } else {
    throw fail(Code::Invalid, "\"{}\" is not an address to listen on", address);
  }
  return out;
}

/// A listening socket for the moment, or the number of the error.
int try_to_listen(const std::string& address, std::uint16_t& port) {
  Endpoint endpoint = parse_endpoint(address, port);
  const Descriptor socket{::socket(endpoint.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const int one = 1;
  if (socket.number() < 0 || setsockopt(socket.number(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
      bind(socket.number(), reinterpret_cast<sockaddr*>(&endpoint.storage), endpoint.size) != 0 ||
      listen(socket.number(), 1) != 0 ||
      getsockname(socket.number(), reinterpret_cast<sockaddr*>(&endpoint.storage), &endpoint.size) != 0) {
    return errno;
  }
  port = ntohs(endpoint.storage.ss_family == AF_INET
                   ? reinterpret_cast<sockaddr_in*>(&endpoint.storage)->sin_port
                   : reinterpret_cast<sockaddr_in6*>(&endpoint.storage)->sin6_port);
  return 0;
}

/// The process that has a socket listening on this port, or -1.
int holder(std::uint16_t port) {
  std::vector<std::uint64_t> inodes;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    for (const std::uint64_t inode : listening_inodes(read_file(table), port)) inodes.push_back(inode);
  }
  std::error_code failed;
  for (const auto& process : std::filesystem::directory_iterator{"/proc", failed}) {
    const std::string pid = process.path().filename();
    if (!std::ranges::all_of(pid, [](char c) { return c >= '0' && c <= '9'; })) continue;
    for (const auto& open : std::filesystem::directory_iterator{process.path() / "fd", failed}) {
      const std::string target = std::filesystem::read_symlink(open.path(), failed).string();
      const bool is_it = std::ranges::any_of(
          inodes, [&](std::uint64_t inode) { return target == fmt::format("socket:[{}]", inode); });
      if (is_it) return std::stoi(pid);
    }
  }
  return -1;
}

/// The port of a frontend in a configuration of ours, or 0.
std::uint16_t port_in(std::string_view configuration, std::string_view frontend) {
  const std::size_t section = configuration.find(fmt::format("frontend {} ", frontend));
  if (section == std::string_view::npos) return 0;
  const std::size_t bind = configuration.find("  bind ", section);
  if (bind == std::string_view::npos) return 0;
  const std::size_t end = std::min(configuration.find('\n', bind), configuration.size());
  const std::size_t colon = configuration.rfind(':', end);
  if (colon == std::string_view::npos || colon < bind) return 0;
  std::uint16_t port = 0;
  std::from_chars(configuration.data() + colon + 1, configuration.data() + end, port);
  return port;
}

std::uint16_t settled_port(const std::string& address, std::uint16_t wanted, std::uint16_t last) {
  if (wanted != 0) return wanted;
  if (last != 0) return last;
  std::uint16_t port = 0;
  if (const int error = try_to_listen(address, port))
    throw system_error("no port to listen on " + address, error);
  return port;
}

}  // namespace

Command start_command(const Settings& settings) {
  const std::string directory = settings.runtime_directory.string();
  Command command;
  command.argv = settings.launcher;
  for (const std::string& word : {settings.program, std::string{"-W"}, std::string{"-D"}, std::string{"-f"},
                                  directory + "/" + std::string{kConfiguration}, std::string{"-p"},
                                  directory + "/" + std::string{kPidFile}, std::string{"-S"},
                                  directory + "/" + std::string{kMasterSocket} + ",mode,600"}) {
    command.argv.push_back(word);
  }
  command.deadline = std::chrono::seconds{30};
  return command;
}

Command check_command(const Settings& settings) {
  Command command;
  command.argv = {settings.program, "-c", "-q", "-f",
                  settings.runtime_directory.string() + "/" + std::string{kConfiguration}};
  return command;
}

std::string alerts(std::string_view said) {
  std::string out;
  while (!said.empty()) {
    const std::size_t end = std::min(said.find('\n'), said.size());
    const std::string_view line = said.substr(0, end);
    said.remove_prefix(std::min(end + 1, said.size()));
    if (line.starts_with("[NOTICE]") || line.starts_with("[WARNING]") || line.empty()) continue;
    if (!out.empty()) out += '\n';
    out += line;
  }
  return out;
}

Frame resolve(Settings settings, std::string_view configuration) {
  check(settings);
  Frame frame;
  settings.public_port =
      settled_port(settings.public_address, settings.public_port, port_in(configuration, "public"));
  settings.internal_port =
      settled_port(settings.internal_address, settings.internal_port, port_in(configuration, "internal"));
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max != RLIM_INFINITY) {
    // Each connection has two ends; the rest is for listeners, pipes and threads.
    const auto most = (static_cast<std::int64_t>(files.rlim_max) - 200) / 2;
    settings.max_connections =
        static_cast<int>(std::clamp<std::int64_t>(most, 100, settings.max_connections));
  }
  if (geteuid() == 0) {
    const bool own = getpwnam("haproxy") != nullptr && getgrnam("haproxy") != nullptr;
    frame.user = own ? "haproxy" : "nobody";
    frame.group = own ? "haproxy" : getgrnam("nogroup") != nullptr ? "nogroup" : "nobody";
  }
  frame.settings = std::move(settings);
  return frame;
}

int port_holder(const std::string& address, std::uint16_t port) {
  const int error = try_to_listen(address, port);
  if (error == 0) return 0;
  if (error != EADDRINUSE) check_port(address, port);  // throws
  return holder(port);
}

void check_port(const std::string& address, std::uint16_t port) {
  const int error = try_to_listen(address, port);
  if (error == 0) return;
  const std::string where = endpoint(address, port);
  if (error == EADDRINUSE) {
    const int pid = holder(port);
    std::string who = pid > 0 ? read_file(fmt::format("/proc/{}/comm", pid)) : "another program";
    if (who.ends_with('\n')) who = fmt::format("{} (pid {})", who.substr(0, who.size() - 1), pid);
    throw fail(Code::FailedPrecondition, "{} is in use by {}: end it, or choose another port", where, who);
  }
  if (error == EACCES) {
    throw fail(Code::FailedPrecondition,
               "not permitted to listen on {}: be root, or choose a port from 1024 on", where);
  }
  if (error == EADDRNOTAVAIL) throw fail(Code::FailedPrecondition, "this machine has no address {}", address);
  throw system_error("listening on " + where, error);
}

std::vector<std::uint64_t> listening_inodes(std::string_view table, std::uint16_t port) {
  std::vector<std::uint64_t> out;
  const std::string wanted = fmt::format(":{:04X}", port);
  while (!table.empty()) {
    const std::size_t end = std::min(table.find('\n'), table.size());
    std::vector<std::string_view> columns;  // sl, local_address, rem_address, st, …, [9] is the inode
    for (std::string_view line = table.substr(0, end); !line.empty();) {
      const std::size_t word = std::min(line.find(' '), line.size());
      if (word > 0) columns.push_back(line.substr(0, word));
      line.remove_prefix(std::min(word + 1, line.size()));
    }
    table.remove_prefix(std::min(end + 1, table.size()));
    if (columns.size() < 10 || columns[3] != "0A" || !columns[1].ends_with(wanted)) continue;
    std::uint64_t inode = 0;
    std::from_chars(columns[9].data(), columns[9].data() + columns[9].size(), inode);
    if (inode != 0) out.push_back(inode);
  }
  return out;
}

std::string read_file(const std::filesystem::path& path) {
  // A file of /proc whose process ends meanwhile says so by ESRCH, at any of these calls.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.number() < 0 && (errno == ENOENT || errno == ESRCH)) return {};
  if (file.number() < 0) throw system_error("open " + path.string(), errno);
  std::string out;
  for (char buffer[16384];;) {
    const ssize_t size = ::read(file.number(), buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == ESRCH) return {};
    if (size < 0) throw system_error("read " + path.string(), errno);
    if (size == 0) return out;
    out.append(buffer, static_cast<std::size_t>(size));
  }
}

void write_file(const std::filesystem::path& path, std::string_view contents) {
  std::filesystem::path fresh = path;
  fresh += ".new";
  {
    const Descriptor file{::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)};
    if (file.number() < 0) throw system_error("open " + fresh.string(), errno);
    while (!contents.empty()) {
      const ssize_t written = ::write(file.number(), contents.data(), contents.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw system_error("write " + fresh.string(), errno);
      contents.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) throw system_error("rename " + path.string(), errno);
}

}  // namespace tow::route::haproxy
