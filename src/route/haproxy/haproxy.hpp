// SPDX-License-Identifier: Apache-2.0
#pragma once
// The router whose data plane is HAProxy 2.6 or later, run by us in master-worker mode and outliving us.
//
// The running HAProxy is the state: start() adopts it by reading its maps and servers back, so that nothing
// that runs is touched before settle(). The directory holds what HAProxy is started from (configuration,
// maps, pages), written anew within moments of each change by atomic rename. A site's requests go to a
// backend that was declared in advance and claimed for it; a reload happens only to declare more of them.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "route/route.hpp"

namespace tow::route::haproxy {

struct Settings {
  std::filesystem::path runtime_directory;  // of ours alone; made with mode 0700, on a tmpfs at best
  std::string public_address = "127.0.0.1";
  std::uint16_t public_port = 80;            // 0: any free one, kept as long as the directory is
  std::string internal_address = "0.0.0.0";  // redirected traffic arrives on the address of each bridge
  std::uint16_t internal_port = 8691;        // 0: any free one
  std::vector<std::string> trusted;          // addresses and networks whose X-Forwarded-* are kept
  std::string unknown_hint = "tow status shows the address of a component, tow open opens it.";

  Duration drain_limit = std::chrono::hours{1};  // no caller drains for longer; old workers end soon after
  Duration header_limit = std::chrono::seconds{10};  // until a request's head is complete
  Duration idle_limit = std::chrono::seconds{60};    // of a client that owes data, or keeps a connection
  Duration stream_limit = std::chrono::hours{1};     // of silence in WebSockets and event streams
  Duration connect_limit = std::chrono::seconds{2};  // to an instance
  int max_connections = 20'000;                      // fewer where the limit of open files is lower
  int threads = 0;                                   // 0: one for each processor
  int spare_backends = 64;                           // at least so many are declared beyond those in use

  std::string program = "haproxy";
  std::vector<std::string> launcher;  // put before the command, such as systemd-run --scope …
};

/// The executor must run for as long as the router lives; stop() is awaited before it is destroyed.
/// Throws Error{Invalid} for settings that cannot be rendered.
std::unique_ptr<Router> make(Executor executor, Settings settings);

/// Ends the HAProxy of this directory, connections included, and removes the files. Safe to repeat. Not while
/// a router on the same directory is started.
Task<> take_down(Settings settings);

}  // namespace tow::route::haproxy
