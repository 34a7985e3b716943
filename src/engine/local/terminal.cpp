// SPDX-License-Identifier: Apache-2.0
#include "engine/local/terminal.hpp"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <filesystem>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "base/node.hpp"
#include "engine/local/instance.hpp"

namespace tow::engine::local {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using asio::posix::stream_descriptor;

class RuntimeExec final : public Terminal {
 public:
  struct Files {
    fs::path process, pid;
  };
  RuntimeExec(const Executor& executor, Descriptor in, Descriptor out, Launched launched, Files files,
              const Workshop& shop, std::string id)
      : in_{executor},
        out_{executor, out.release()},
        process_{std::move(launched.process)},
        files_{std::move(files)},
        shop_{shop},
        id_{std::move(id)} {
    if (in) in_.assign(in.release());
  }
  /// The runtime's own end would leave the command running.
  ~RuntimeExec() override {
    if (!ended_) {
      // The runtime is its parent, and reaps it; a zombie would be left to the instance's first process.
      // Its number is written a moment after it has begun to run.
      for (int wait = 0; wait < 100 && !fs::exists(files_.pid) && !local::wait_for_end(process_, 5);) ++wait;
      signal(open_process(command()), SIGKILL);
      if (!local::wait_for_end(process_, 1000)) signal(process_, SIGKILL);
      local::wait_for_end(process_, 2000);
    }
    std::error_code ignored;
    fs::remove(files_.process, ignored);
    fs::remove(files_.pid, ignored);
  }

  Task<std::string> read() override {
    std::string bytes(16384, '\0');
    boost::system::error_code error;
    const auto n =
        co_await out_.async_read_some(asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted) throw Error{Code::Cancelled, "the terminal was closed"};
    bytes.resize(error ? 0 : n);  // a terminal whose other side is closed says EIO
    co_return bytes;
  }

  Task<> write(std::string_view bytes) override {
    boost::system::error_code error;
    auto& to = in_.is_open() ? in_ : out_;
    if (closed_) co_return;
    co_await asio::async_write(to, asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
  }

  void close_input() override {
    closed_ = true;
    boost::system::error_code ignored;
    if (in_.is_open()) in_.close(ignored);
    // A terminal has no end of input of its own: the character that says so.
    else
      (void)!::write(out_.native_handle(), "\x04", 1);
  }

  void resize(int columns, int rows) override {
    winsize size{};
    size.ws_col = static_cast<unsigned short>(columns);
    size.ws_row = static_cast<unsigned short>(rows);
    ::ioctl(out_.native_handle(), TIOCSWINSZ, &size);
    signal(process_, SIGWINCH);
    // crun 1.8 passes the signal on, but not the size: the command's own terminal is told.
    const Descriptor inner{
        ::open(("/proc/" + std::to_string(command()) + "/fd/0").c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC)};
    if (inner && ::isatty(inner.get())) ::ioctl(inner.get(), TIOCSWINSZ, &size);
  }

  Task<int> wait() override {
    if (!ended_) {
      co_await local::wait_for_end(Descriptor{::fcntl(process_.get(), F_DUPFD_CLOEXEC, 3)});
      ended_ = reap(process_).value_or(255);
    }
    co_return *ended_;
  }

 private:
  /// The command's process, once it runs; its number may be another's when it is over.
  pid_t command() const {
    pid_t pid = -1;
    const auto text = read_text(files_.pid).value_or("");
    std::from_chars(text.data(), text.data() + text.size(), pid);
    for (const pid_t member : shop_.cgroups.processes(shop_.place.cgroup(id_)))
      if (member == pid) return pid;
    return -1;
  }

  stream_descriptor in_, out_;  // a terminal is both in one: out_
  Descriptor process_;
  Files files_;
  const Workshop& shop_;
  std::string id_;
  std::optional<int> ended_;
  bool closed_ = false;
};

struct Streams {
  Descriptor ours_in, ours_out;      // with a terminal ours_out alone
  Descriptor theirs_in, theirs_out;  // with a terminal theirs_in alone
};

Streams open_pty() {
  Streams s;
  s.ours_out = Descriptor{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
  char name[64];
  if (!s.ours_out || ::grantpt(s.ours_out.get()) != 0 || ::unlockpt(s.ours_out.get()) != 0 ||
      ::ptsname_r(s.ours_out.get(), name, sizeof name) != 0)
    throw system_error("opening a terminal", errno);
  s.theirs_in = Descriptor{::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC)};
  if (!s.theirs_in) throw system_error("opening a terminal", errno);
  return s;
}

Streams open_pipes() {
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0) throw system_error("making a pipe", errno);
  Streams s;
  s.theirs_in = Descriptor{in[0]};
  s.ours_in = Descriptor{in[1]};
  if (::pipe2(out, O_CLOEXEC) != 0) throw system_error("making a pipe", errno);
  s.ours_out = Descriptor{out[0]};
  s.theirs_out = Descriptor{out[1]};
  return s;
}

}  // namespace

std::unique_ptr<Terminal> open_terminal(Workshop& shop, const Executor& executor, const std::string& id,
                                        const Runtime& runtime, const std::vector<std::string>& command,
                                        bool terminal) {
  if (command.empty()) throw Error{Code::Invalid, "no command was given to run in the instance"};
  const fs::path directory = shop.place.instance(id);
  const auto text = read_text(directory / "exec.json");
  if (!text || !fs::exists(directory / "run.json"))
    throw fail(Code::FailedPrecondition, "instance {} does not run", id);
  Node process = parse_json(*text);
  Node::List arguments;
  for (const auto& word : command) arguments.emplace_back(word);
  process.set("args", std::move(arguments));
  process.set("terminal", terminal);
  const std::string unique = new_uid();
  RuntimeExec::Files files{directory / (unique + ".json"), directory / (unique + ".pid")};
  write_file(files.process, to_json(process), 0600, Safety::Volatile);

  Streams s = terminal ? open_pty() : open_pipes();
  const int out = terminal ? s.theirs_in.get() : s.theirs_out.get();
  std::optional<PrivateMounts> view;
  if (!runtime.hidden.empty()) view = PrivateMounts{.hidden = runtime.hidden};
  auto launched = launch({.argv = exec_command(runtime, id, files.process, files.pid, terminal),
                          .environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm-256color"},
                          .descriptors = {{0, s.theirs_in.get()}, {1, out}, {2, out}},
                          .mounts = view,
                          .dies_with_us = true});
  return std::make_unique<RuntimeExec>(executor, std::move(s.ours_in), std::move(s.ours_out),
                                       std::move(launched), std::move(files), shop, id);
}

}  // namespace tow::engine::local
