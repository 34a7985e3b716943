// SPDX-License-Identifier: Apache-2.0
#pragma once
// Traffic: hosts and service addresses to instances, by weight. The data plane runs beside the control plane
// and outlives it.
//
// apply() is declarative and idempotent: the whole of one site at a time. What is not applied after start()
// by the time of settle() is removed. Thread-safe; calls for one site are carried out in order.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/task.hpp"
#include "base/units.hpp"

namespace tow::route {

using SiteId = std::string;  // uid of the deployment; valid characters [a-z0-9]

/// Where requests come in: a public host and path prefix, or an address inside an environment.
struct Match {
  std::string host;        // "web--development--shop.localhost"; empty for an internal address
  std::string path = "/";  // prefix, on segment boundaries
  std::string address;     // "10.90.3.7", with port: the original destination
  std::uint16_t port = 0;
};

struct Server {
  std::string id;  // instance id; [a-z0-9-]
  std::string address;
  std::uint16_t port = 0;
  int weight = 100;  // 0–256, its share among the servers of the site; 0: nothing new, sessions go on
};

/// Requests wait where a site has no server that takes new ones.
struct Hold {
  Duration limit = std::chrono::seconds{30};  // whoever has waited so long is answered 503
  int most = 200;                             // at once; more are answered 503 without waiting
  bool operator==(const Hold&) const = default;
};

struct Site {
  SiteId id;
  std::string title;  // "shop web.development", for the page shown when nothing is ready
  std::vector<Match> matches;
  std::vector<Server> servers;
  Duration request_limit = std::chrono::seconds{60};  // until the first byte of an answer
  std::optional<Hold> hold;  // nothing: without a server they are answered 503 at once
};

/// Whether requests to it are held now.
bool is_held(const Site& site);

/// Counters since the data plane's first start; they never fall.
struct Signals {
  std::uint64_t requests = 0;
  std::uint64_t responses[6] = {};  // by hundred: [2] is 2xx; [0] is none
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t connection_errors = 0;
  std::uint64_t retries = 0;
  double average_total_ms = 0;  // of the last 1,024 requests
  double average_response_ms = 0;
  std::uint32_t sessions = 0;
};

class Router {
 public:
  virtual ~Router() = default;

  /// Starts the data plane, or adopts the one that runs. Throws when a port is in use, by name.
  virtual Task<> start() = 0;
  /// Ends the control side only; traffic goes on.
  virtual Task<> stop() = 0;
  /// After a start: every site has been applied again; others are removed.
  virtual Task<> settle() = 0;

  /// Durable in effect when it returns: every worker routes accordingly, and a lost data plane comes back so.
  virtual Task<> apply(Site site) = 0;
  virtual Task<> remove(SiteId site) = 0;

  /// Requests, streams and WebSockets now open on a server of a site, over all workers, also workers of
  /// before a reload, and also after the server has left the site. 0 means that it may end.
  virtual Task<std::uint32_t> sessions(SiteId site, std::string server) = 0;
  virtual Task<std::map<SiteId, Signals>> signals() = 0;
  /// Told of a site when a request for it begins to wait, and then again and again for as long as any waits,
  /// by whichever control plane is there; must return at once. Called once, before start().
  virtual void observe_held(std::function<void(const SiteId& site)> listener) = 0;
  /// Of each server that a site has now, since it was last added: what a lost or reloaded data plane counted
  /// before may be missing, so that these can fall.
  virtual Task<std::map<std::string, Signals>> server_signals(SiteId site) = 0;

  /// The port on which redirected traffic of internal addresses is taken.
  virtual std::uint16_t internal_port() const = 0;
  /// The port of public plain HTTP.
  virtual std::uint16_t public_port() const = 0;
};

}  // namespace tow::route
