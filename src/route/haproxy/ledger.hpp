// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which backend serves which site, and which backends are spare: what is wanted, kept by the router and,
// after a restart of the control plane, read back from HAProxy. Pure; not thread-safe.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "route/haproxy/plan.hpp"
#include "route/haproxy/render.hpp"

namespace tow::route::haproxy {

class Ledger {
 public:
  /// What HAProxy was asked: "show backend", "show map" of sites, of routes, of internal addresses and of what
  /// is asleep, "show servers state". `sound` is false when something in it is not ours and was left out.
  struct Answers {
    std::string backends, sites, routes, internal, asleep, servers;
  };
  struct Read;
  static Read read(const Answers& answers);

  const std::map<int, Backend>& backends() const { return backends_; }
  const Backend& at(int number) const { return backends_.at(number); }
  std::optional<int> find(const SiteId& site) const;
  /// The site of a backend, by the backend's name; empty for a spare one.
  SiteId owner(const std::string& backend) const;
  /// The site to which a host and path or an address leads; null when to none.
  const SiteId* leads(const std::string& key) const;
  /// All that a new worker is to be started from.
  Sites wanted() const;

  /// Whatever the backend said before is replaced. A key that leads to another site is taken from it.
  void put(int number, Backend after);
  /// Is out of maintenance's way.
  void forget_retired(int number, const std::string& server);
  /// A backend whose site has gone becomes a used spare.
  void free(int number);

  // Spare backends. A used one has counters of the site before; it is claimed only when they have been heard.
  std::size_t spares() const { return spare_.size() + used_.size(); }
  bool has_fresh() const { return !spare_.empty(); }
  bool has_used() const { return !used_.empty(); }
  /// Precondition: has_fresh(). Whoever claims it puts it at once.
  int claim();
  /// Declares new ones until there are `count` fresh ones, and gives up those beyond twice as many. Only
  /// together with a new worker.
  void declare(std::size_t count);
  /// A worker began that knows only what is wanted: nothing leaves or is retired any more. Returns the sites
  /// that were leaving, with their backends.
  std::vector<std::pair<SiteId, int>> begin_anew();

  /// How often backends changed hands so far, and whether one did since there were as many.
  std::uint64_t handings() const { return handings_; }
  bool handed_since(const std::string& backend, std::uint64_t handings) const;
  /// Every counter was heard, by a question that was asked at that count: what was used before then is fresh.
  void heard(std::uint64_t handings);

 private:
  void hand(int number);
  void index(const Site& site);
  void unindex(const Site& site);

  std::map<int, Backend> backends_;
  std::set<int> spare_;
  std::set<int> used_;
  int next_ = 0;
  std::map<SiteId, int> by_site_;
  std::unordered_map<std::string, SiteId> by_key_;
  std::uint64_t handings_ = 0;
  std::unordered_map<std::string, std::uint64_t> handed_;
};

struct Ledger::Read {
  Ledger ledger;
  bool sound = true;
};

}  // namespace tow::route::haproxy
