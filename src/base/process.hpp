// SPDX-License-Identifier: Apache-2.0
#pragma once
// Child processes: an argument list, never a shell; a clean environment; a deadline; bounded output; no
// descriptor of ours reaches the child but the ones named; every child is reaped. What runs outside is built
// by functions that return a Command and are tested as text (see describe).

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.hpp"

namespace tow {

struct Command {
  std::vector<std::string> argv;           // argv[0] is searched in the PATH given to the child
  std::map<std::string, std::string> env;  // beside PATH, HOME, LANG=C.UTF-8, TZ of ours; nothing else
  std::filesystem::path cwd = "/";
  std::string input;                             // written to standard input, which is then closed
  Duration deadline = std::chrono::seconds{60};  // then SIGTERM, and after `grace` SIGKILL
  std::size_t output_limit = 1 << 20;            // bytes kept of each stream; the rest is read and dropped
  std::map<int, int> descriptors;                // child's number -> ours, dup'ed into the child
  bool own_session = false;  // setsid; the deadline and a cancellation then end the whole process group
  bool outlives_us = false;  // else the kernel kills it when this process (the starting thread) ends
  Duration grace = std::chrono::seconds{2};
  /// How long, after its exit, what it left running may keep its output open before it is cut off.
  Duration linger = std::chrono::seconds{1};
};

/// The command as one line for logs and tests, arguments quoted where needed; never the input or environment.
std::string describe(const Command& command);

struct Outcome {
  int exit_code = 0;  // 128 + signal when a signal ended it
  std::string out;
  std::string err;
  bool timed_out = false;
  bool truncated = false;  // output_limit was reached on a stream
  bool ok() const { return exit_code == 0 && !timed_out; }
};

enum class Stream { Out, Err };
/// Gets what the child writes, as it comes: whole lines without their end (a line over 64 KiB in pieces).
using LineSink = std::function<void(Stream, std::string_view line)>;

/// Runs to the end. Throws Error{NotFound} when the program does not exist, Error{Cancelled} when the task is
/// cancelled (the child is ended and reaped first). A non-zero exit or a deadline is an Outcome, not an
/// error. With a sink, lines go there as they come, and out/err keep the last output_limit bytes.
Task<Outcome> run(Command command, LineSink sink = {});

/// As run, but a non-zero exit or a deadline throws Error{Internal or Timeout} with the end of its stderr.
Task<Outcome> run_checked(Command command);

/// A child whose streams the caller moves itself (git http-backend, an exec). Each stream, and wait(), may be
/// used by a task of its own; apart from that not thread-safe. Every wait throws Error{Cancelled} when its
/// task is cancelled, and can be repeated.
class Child {
 public:
  /// Starts it. `command.input`, `deadline` and `output_limit` are not used.
  static Task<std::unique_ptr<Child>> start(Command command);
  /// Kills and reaps what still runs.
  ~Child();

  int pid() const;
  /// Bytes of standard output (or error); an empty string at its end.
  Task<std::string> read(Stream stream = Stream::Out);
  /// Throws Error{Unavailable} when it reads no more. `bytes` stay the caller's until this returns.
  Task<> write(std::string_view bytes);
  void close_input();
  /// Nothing happens when it has ended already.
  void signal(int number);
  /// Reaps it: exit code, or 128 + signal. May be called again.
  Task<int> wait();

 private:
  struct State;
  explicit Child(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace tow
