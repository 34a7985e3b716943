// SPDX-License-Identifier: Apache-2.0
#pragma once
// Why an instance is not what was wished, in one line for people. Pure, but for the reading of /proc.

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "engine/engine.hpp"

namespace tow::engine::local {

struct Listener {
  std::uint16_t port = 0;
  bool loopback = false;  // reachable from inside alone
  auto operator<=>(const Listener&) const = default;
};

/// Listening sockets in the text of /proc/PID/net/tcp or tcp6, in order of ports, each once.
std::vector<Listener> listeners(const std::string& tcp, const std::string& tcp6);
/// The same of a running process's network.
std::vector<Listener> listeners(pid_t pid);

/// "listens on 3000, not on the declared 8080"; empty when the port is listened on from everywhere.
std::string diagnose_port(std::uint16_t declared, const std::vector<Listener>& found);

struct End {
  std::optional<int> exit_code;  // nothing: the monitor was lost
  bool out_of_memory = false;
  std::optional<Bytes> memory_limit;
  Duration after{0};
  std::string stopped_because;  // when it was ended on purpose
};
/// "exited with 1 after 0.2s", "killed for memory: the limit is 64Mi", "ended by signal 11 (SIGSEGV) after
/// 3s".
std::string diagnose_end(const End& end);

}  // namespace tow::engine::local
