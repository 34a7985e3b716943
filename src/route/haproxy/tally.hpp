// SPDX-License-Identifier: Apache-2.0
#pragma once
// Counters of sites that never fall, out of counters of workers that begin at 0 and vanish with their worker.
// Pure; not thread-safe.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "route/haproxy/answers.hpp"
#include "route/route.hpp"

namespace tow::route::haproxy {

class Tally {
 public:
  /// Whose a backend is at this moment, by its name; empty: nobody's.
  using Owner = std::function<SiteId(const std::string& backend)>;

  /// What a worker says now of backends. Of those that are nobody's the counters are remembered, so that who
  /// claims one next begins at 0.
  void hear(const std::string& worker, const std::vector<Stat>& stats, const Owner& owner);

  /// Workers that are not among these are gone; what they last said stays in the sums.
  void keep(const std::set<std::string>& workers);
  /// The site that had this backend is gone, and its sums with it.
  void forget(const SiteId& site, const std::string& backend);

  std::map<SiteId, Signals> sums() const;

  /// As text, and back (lenient: what cannot be read is left out), to survive the control plane.
  std::string write() const;
  static Tally read(std::string_view text);

 private:
  struct Counters {
    std::uint64_t values[11] = {};  // requests, responses[0..5], bytes in and out, connection errors, retries
  };
  struct Seen {
    SiteId site;     // empty: nobody's yet
    Counters start;  // when that site claimed the backend
    Counters last;
  };
  static Counters counters(const Stat& stat);
  void fold(const Seen& seen);

  std::map<SiteId, Counters> past_;  // of workers that are gone, and of backends that were given away
  std::map<std::string, std::map<std::string, Seen>> workers_;  // worker -> backend
};

}  // namespace tow::route::haproxy
