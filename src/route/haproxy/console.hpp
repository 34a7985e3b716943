// SPDX-License-Identifier: Apache-2.0
#pragma once
// Conversations on HAProxy's master socket, which reaches the master and every worker, those of before a
// reload too. One connection for each call: a connection that stays would keep an old worker alive.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/task.hpp"
#include "route/haproxy/answers.hpp"

namespace tow::route::haproxy {

/// Not thread-safe, but calls may overlap.
class Console {
 public:
  explicit Console(std::filesystem::path socket) : socket_{std::move(socket)} {}

  /// Commands for one worker (0: the master), in order, and an answer for each. Fewer answers: the process is
  /// not there (any more). Throws Error{Unavailable} when nobody listens or no answer comes in ten seconds.
  Task<std::vector<std::string>> ask(int pid, std::vector<std::string> commands);

  /// The same, with the processes as of that moment, learned on the same connection.
  struct Heard {
    Processes processes;
    std::vector<std::string> answers;
  };
  Task<Heard> ask_with_processes(int pid, std::vector<std::string> commands);

  /// Nothing when nobody listens.
  Task<std::optional<Processes>> processes();

  /// Asks the master to start a new worker; returns when the connection ends, which is before it has.
  Task<> reload();

 private:
  Task<std::string> converse(std::string text);
  std::filesystem::path socket_;
};

}  // namespace tow::route::haproxy
