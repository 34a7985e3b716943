// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/kernel.hpp"

#include <fmt/format.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <sstream>
#include <string_view>
#include <thread>

#include "base/error.hpp"
#include "route/haproxy/daemon.hpp"

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace tow::route::haproxy {
namespace asio = boost::asio;
namespace fs = std::filesystem;
namespace {

constexpr std::chrono::seconds kEndLimit{5};

/// The arguments, each ended by a NUL; empty for the dead and for the kernel's own.
std::string arguments(const fs::path& process) {
  for (int attempt = 0;; ++attempt) {
    std::string out = read_file(process / "cmdline");
    std::error_code failed;
    const bool dead = fs::read_symlink(process / "exe", failed).empty();
    if (!out.empty() || dead || attempt == 20) return out;
    std::this_thread::sleep_for(std::chrono::milliseconds{1});  // it is just being executed
  }
}

}  // namespace

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

std::vector<int> processes_of(const fs::path& directory) {
  using namespace std::string_literals;
  const std::string console = "\0-S\0"s + (directory / kMasterSocket).string() + ",";
  std::error_code failed;
  const fs::path ours = fs::read_symlink("/proc/self/ns/pid", failed);
  std::vector<int> out;
  for (const auto& process : fs::directory_iterator{"/proc", failed}) {
    const std::string pid = process.path().filename();
    if (!std::ranges::all_of(pid, [](char c) { return c >= '0' && c <= '9'; })) continue;
    if (!arguments(process.path()).contains(console)) continue;
    if (fs::read_symlink(process.path() / "ns/pid", failed) != ours) continue;
    out.push_back(std::stoi(pid));
  }
  return out;
}

bool has_master(const std::vector<int>& processes) {
  return std::ranges::any_of(processes, [](int pid) { return getsid(pid) == pid; });
}

Task<> end_all(fs::path directory) {
  const Executor executor = co_await asio::this_coro::executor;
  std::vector<int> found = processes_of(directory);
  for (const int number : {SIGTERM, SIGKILL, SIGKILL}) {  // a second time: what was just being started
    std::vector<ProcessHandle> handles;
    for (const int pid : found) {
      try {
        handles.emplace_back(executor, pid).signal(number);
      } catch (const Error& error) {
        if (error.code() != Code::NotFound) throw;
      }
    }
    const auto until = std::chrono::steady_clock::now() + kEndLimit;
    for (ProcessHandle& handle : handles) {
      const auto left = std::chrono::ceil<Duration>(until - std::chrono::steady_clock::now());
      co_await handle.ended_within(std::max(left, Duration{0}));
    }
    found = processes_of(directory);
    if (found.empty()) co_return;
  }
  throw fail(Code::Unavailable, "HAProxy's process {} does not end", found.front());
}

}  // namespace tow::route::haproxy
