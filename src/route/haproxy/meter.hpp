// SPDX-License-Identifier: Apache-2.0
#pragma once
// Golden signals: what the workers count, asked for and brought into sums that never fall.

#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "base/task.hpp"
#include "route/haproxy/ledger.hpp"
#include "route/haproxy/proxy.hpp"
#include "route/haproxy/tally.hpp"
#include "route/haproxy/turn.hpp"
#include "route/route.hpp"

namespace tow::route::haproxy {

inline constexpr std::string_view kTally = "tally";  // the file

/// For tasks of one strand. `proxy` and `ledger` are the caller's and outlive it.
class Meter {
 public:
  Meter(Proxy& proxy, Ledger& ledger, Tally before)
      : proxy_{proxy}, ledger_{ledger}, tally_{std::move(before)} {}

  /// Brings the sums up to date; returns what is no sum, sessions and averages. May go on beside changes: a
  /// backend that changes hands meanwhile is left out, and heard another time. Where HAProxy does not answer,
  /// what was heard last stands.
  Task<std::map<SiteId, Signals>> hear();
  /// Of every site that is wanted, as of now.
  Task<std::map<SiteId, Signals>> signals();

  /// Every worker has ended: what they counted last is kept, and the next begin at 0.
  void all_ended();
  void forget(const SiteId& site, int number);
  /// The sums, when they have changed since this was called last.
  std::optional<Tally> unwritten();

 private:
  Proxy& proxy_;
  Ledger& ledger_;
  Tally tally_;
  Turn turn_;
  int generation_ = 0;  // of workers
  bool heard_ = false;  // the tally is newer than its file
};

}  // namespace tow::route::haproxy
