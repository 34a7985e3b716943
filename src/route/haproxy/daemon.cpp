// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/daemon.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <fstream>
#include <iterator>
#include <sstream>

#include "base/error.hpp"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace tow::route::haproxy {
namespace asio = boost::asio;
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

struct ProcessHandle::State {
  State(const Executor& executor, int number) : descriptor{executor, number} {}
  asio::posix::stream_descriptor descriptor;
};

ProcessHandle::ProcessHandle(const Executor& executor, int pid) {
  const int number = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (number < 0 && errno == ESRCH) throw fail(Code::NotFound, "there is no process {}", pid);
  if (number < 0) throw system_error("pidfd_open", errno);
  state_ = std::make_shared<State>(executor, number);
}
ProcessHandle::~ProcessHandle() = default;

Task<> ProcessHandle::ended() {
  boost::system::error_code failed;
  co_await state_->descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                                         asio::redirect_error(asio::use_awaitable, failed));
  if (failed) throw Error{Code::Cancelled, "nobody waits for the process any more"};
  siginfo_t info;  // it is our child where we are the reaper of orphans; elsewhere this fails, rightly
  waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(state_->descriptor.native_handle()), &info,
         WEXITED | WNOHANG);
}

Task<bool> ProcessHandle::ended_within(Duration limit) {
  asio::steady_timer timer{state_->descriptor.get_executor(), limit};
  const auto late = std::make_shared<bool>(false);
  timer.async_wait([state = state_, late](boost::system::error_code ended) {
    if (ended) return;
    *late = true;
    state->descriptor.cancel(ended);
  });
  try {
    co_await ended();
  } catch (const Error&) {
    if (*late) co_return false;
    throw;
  }
  co_return true;
}

void ProcessHandle::signal(int number) {
  syscall(SYS_pidfd_send_signal, state_->descriptor.native_handle(), number, nullptr, 0);
}

std::string process_name(int pid) {
  const std::string stat = read_file(fmt::format("/proc/{}/stat", pid));
  const std::size_t name = stat.rfind(')');  // the program's name may hold anything, spaces and ')' included
  if (name == std::string::npos) return {};
  std::istringstream rest{stat.substr(name + 1)};
  std::string field;
  for (int number = 3; number <= 22; ++number) rest >> field;  // the 22nd is the time of its start
  return rest ? fmt::format("{}-{}", pid, field) : std::string{};
}

bool is_alive(int pid) {
  const std::string stat = read_file(fmt::format("/proc/{}/stat", pid));
  const std::size_t name = stat.rfind(") ");
  return name != std::string::npos && name + 2 < stat.size() &&
         !std::string_view{"ZX"}.contains(stat[name + 2]);
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

std::string command_line(int pid) {
  std::string out = read_file(fmt::format("/proc/{}/cmdline", pid));
  std::ranges::replace(out, '\0', ' ');
  return out;
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
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
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
