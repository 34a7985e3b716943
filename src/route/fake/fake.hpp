// SPDX-License-Identifier: Apache-2.0
#pragma once
// A router in memory, for tests and simulations. The data plane outlives the routers that are made for it, as
// a real one outlives the control plane; a test asks it what a request would meet, and sets what is observed.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "route/route.hpp"

namespace tow::route::fake {

/// Thread-safe.
class DataPlane {
 public:
  /// What a request meets: 200 and the server that takes it, 404 when nothing leads there, 503 when nothing
  /// is ready, 0 where it would be held (which is told, but nobody waits). Servers take turns by weight;
  /// requests are counted in the site's signals.
  struct Met {
    int status = 404;
    SiteId site;
    std::string server;
  };
  Met request(std::string_view host, std::string_view path = "/");
  Met request_internal(std::string_view address, std::uint16_t port);
  /// The same for one that waits where it is held: `done` is called when it is answered, now or later.
  void ask(std::string_view host, std::string_view path, std::function<void(const Met&)> done);
  /// How many wait for a site. What waits never gives up by itself.
  std::size_t waiting(const SiteId& site) const;
  /// As HAProxy does again and again: tells of all for which somebody waits.
  void tell_again();

  std::optional<Site> site(const SiteId& id) const;
  std::map<SiteId, Site> sites() const;

  /// Sessions open on a server, whether or not it still belongs to the site.
  void set_sessions(const SiteId& site, const std::string& server, std::uint32_t count);
  /// Added to what request() counts.
  void set_signals(const SiteId& site, Signals signals);
  void set_server_signals(const std::string& server, Signals signals);

  /// Awaited at the beginning of every call of a router ("apply", "remove", "sessions", …) with the site's
  /// id, to delay it or to throw in its place; empty: nothing happens.
  using Hook = std::function<Task<>(std::string_view call, const SiteId& site)>;
  void set_hook(Hook hook);
  /// The next `times` calls throw this instead of doing anything.
  void fail_next(Error error, int times = 1);
  /// Number of apply() calls that changed something, so that a test sees needless ones.
  std::uint64_t changes() const;

 private:
  friend class FakeRouter;
  Met meet(std::string_view host, std::string_view path);
  Met take(const SiteId& id);
  void tell(const SiteId& site);
  void let_go(const SiteId& site);

  mutable std::mutex mutex_;
  std::map<SiteId, Site> sites_;
  std::map<std::string, SiteId> keys_;
  std::map<SiteId, std::map<std::string, int>> turns_;
  std::map<std::pair<SiteId, std::string>, std::uint32_t> sessions_;
  std::map<SiteId, Signals> signals_;
  std::map<std::string, Signals> server_signals_;  // by server
  std::map<SiteId, std::vector<std::function<void(const Met&)>>> waiting_;
  std::function<void(const SiteId&)> held_;  // of the router that is started
  Hook hook_;
  std::optional<Error> failure_;
  int failures_ = 0;
  std::uint64_t changes_ = 0;
};

/// `data_plane` must outlive the router.
std::unique_ptr<Router> make(DataPlane& data_plane);

}  // namespace tow::route::fake
