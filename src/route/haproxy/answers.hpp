// SPDX-License-Identifier: Apache-2.0
#pragma once
// What HAProxy 2.6 says on its master socket, read. Pure and thread-safe. Anything may come in: what does not
// parse is left out or gives Error{Internal}, never undefined behaviour.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tow::route::haproxy {

/// The answers in a conversation of the interactive kind ("prompt"), one for each command in order, without
/// the prompts. What stands after the last prompt is not an answer: the connection ended before it was whole.
std::vector<std::string> answers(std::string_view conversation);

struct Processes {
  int master = 0;
  int failed_reloads = 0;
  int worker = 0;        // 0 when there is none
  std::vector<int> old;  // workers of before a reload that still have sessions
  bool operator==(const Processes&) const = default;
};
/// "show proc". Throws Error{Internal} when it names no master.
Processes processes(std::string_view answer);

/// One line of "show stat"; counters that do not stand there are 0.
struct Stat {
  std::string backend;
  std::string server;  // "BACKEND" for the backend itself
  std::uint64_t queued = 0;
  std::uint64_t sessions = 0;
  std::uint64_t requests = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t connection_errors = 0;
  std::uint64_t retries = 0;
  std::uint64_t responses[6] = {};  // by hundred; [0] is other and none
  std::uint64_t average_response_ms = 0;
  std::uint64_t average_total_ms = 0;
};
/// Columns are found by their names in the first line; lines that are cut short are left out.
std::vector<Stat> stats(std::string_view answer);

/// One line of "show servers state".
struct ServerState {
  std::string backend;
  std::string server;
  std::string address;
  std::uint16_t port = 0;
  int weight = 0;
  bool maintenance = false;
};
std::vector<ServerState> servers(std::string_view answer);

/// "show map FILE": keys and values.
std::vector<std::pair<std::string, std::string>> entries(std::string_view answer);

/// "show backend": names.
std::vector<std::string> backends(std::string_view answer);

}  // namespace tow::route::haproxy
