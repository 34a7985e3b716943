// SPDX-License-Identifier: Apache-2.0
#pragma once
// What process.cpp stands on: descriptors that close themselves, and the start of a program. Blocking, and
// short: from clone to exec.

#include <mutex>
#include <optional>
#include <utility>

#include "base/process.hpp"

namespace tow {

/// Owns a descriptor.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_{number} {}
  Descriptor(Descriptor&& other) noexcept : number_{other.release()} {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int number() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }
  /// Another number for the same thing.
  Descriptor copy() const;
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

/// A started program. Ends and reaps it in the destructor. signal() and reap() are thread-safe.
class Process {
 public:
  enum class Input { Pipe, Nothing };

  /// Throws Error{NotFound} when there is no such program, else what system_error says.
  Process(const Command& command, Input input);
  ~Process();

  int pid() const { return pid_; }
  /// Readable once the program has ended.
  const Descriptor& handle() const { return handle_; }
  /// Our ends of its streams; the caller takes them. Empty for those that `command.descriptors` names.
  Descriptor in, out, err;

  /// To the program, or to its whole process group if it has its own session. Not an error when it has ended.
  void signal(int number) const;
  /// Exit code, or 128 + signal; nothing while it runs. Its process group, if own, is ended with it when
  /// `signal` was used before.
  std::optional<int> reap();

 private:
  int pid_ = -1;
  Descriptor handle_;
  bool own_session_;
  mutable std::mutex mutex_;  // a number must not be signalled once it is reaped, and anybody's
  mutable bool signalled_ = false;
  std::optional<int> code_;
};

}  // namespace tow
