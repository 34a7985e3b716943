// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a row of a series means, and what follows from several: rates. Pure.

#include <span>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "model/operations.hpp"
#include "observe/ring.hpp"
#include "route/route.hpp"

namespace tow::observe {

/// Series of an instance's usage. Counters begin anew when it is started again.
namespace usage {
enum Column { CpuMicros, Memory, Processes, kColumns };
std::string series(std::string_view instance);
Row row(TimePoint time, const engine::Usage& usage);
}  // namespace usage

/// Series of a site's signals. Counters never fall, unless the data plane was lost.
namespace traffic {
enum Column {
  Requests,
  ClientErrors,
  ServerErrors,
  Unanswered,
  BytesIn,
  BytesOut,
  ConnectionErrors,
  Retries,
  Sessions,
  ResponseMicros,  // the average that the proxy gives
  kColumns
};
std::string series(std::string_view site);
Row row(TimePoint time, const route::Signals& signals);
}  // namespace traffic

/// What a counter grew by; one that fell began anew.
std::uint64_t growth(std::uint64_t before, std::uint64_t after);
/// For each second; 0 when no time has passed.
double rate(std::uint64_t growth, Duration passed);

/// Cores in use between two rows.
double cores(const Row& before, const Row& after);

/// Golden signals of a deployment: of each of its sites the row that the rates begin with, and the present.
struct SiteWindow {
  Row before;
  Row now;
};
GoldenSignals golden_signals(std::span<const SiteWindow> sites);

}  // namespace tow::observe
