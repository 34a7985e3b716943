// SPDX-License-Identifier: Apache-2.0
#include "observe/samples.hpp"

#include <algorithm>
#include <cmath>

namespace tow::observe {

namespace usage {

std::string series(std::string_view instance) { return "usage-" + std::string{instance}; }

Row row(TimePoint time, const engine::Usage& usage) {
  Row made{.time = time};
  made.values[CpuMicros] = static_cast<std::uint64_t>(std::llround(std::max(usage.cpu_seconds, 0.0) * 1e6));
  made.values[Memory] = usage.memory.count;
  made.values[Processes] = static_cast<std::uint64_t>(std::max(usage.processes, 0));
  return made;
}

}  // namespace usage

namespace traffic {

std::string series(std::string_view site) { return "traffic-" + std::string{site}; }

Row row(TimePoint time, const route::Signals& signals) {
  Row made{.time = time};
  auto& v = made.values;
  v[Requests] = signals.requests;
  v[ClientErrors] = signals.responses[4];
  v[ServerErrors] = signals.responses[5];
  v[Unanswered] = signals.responses[0];
  v[BytesIn] = signals.bytes_in;
  v[BytesOut] = signals.bytes_out;
  v[ConnectionErrors] = signals.connection_errors;
  v[Retries] = signals.retries;
  v[Sessions] = signals.sessions;
  v[ResponseMicros] =
      static_cast<std::uint64_t>(std::llround(std::max(signals.average_response_ms, 0.0) * 1e3));
  return made;
}

}  // namespace traffic

std::uint64_t growth(std::uint64_t before, std::uint64_t after) {
  return after >= before ? after - before : after;
}

double rate(std::uint64_t growth, Duration passed) {
  return passed.count() > 0 ? static_cast<double>(growth) * 1e3 / static_cast<double>(passed.count()) : 0;
}

double cores(const Row& before, const Row& after) {
  const auto micros = growth(before.values[usage::CpuMicros], after.values[usage::CpuMicros]);
  return rate(micros, after.time - before.time) / 1e6;
}

GoldenSignals golden_signals(std::span<const SiteWindow> sites) {
  using namespace traffic;
  GoldenSignals all;
  double answered = 0, errors = 0, weighted = 0, weights = 0;
  for (const auto& site : sites) {
    const auto grown = [&](Column column) {
      return growth(site.before.values[column], site.now.values[column]);
    };
    const auto requests = grown(Requests);
    all.requests_per_second += rate(requests, site.now.time - site.before.time);
    all.sessions += static_cast<int>(site.now.values[Sessions]);
    answered += static_cast<double>(requests);
    errors += static_cast<double>(std::min(grown(ServerErrors), requests));
    // A site without traffic still has the average of its last requests; it counts where no other has more.
    const double weight = requests > 0 ? static_cast<double>(requests) : 1e-6;
    weighted += weight * static_cast<double>(site.now.values[ResponseMicros]) / 1e3;
    if (site.now.values[Requests] > 0) weights += weight;
  }
  if (answered > 0) all.error_ratio = errors / answered;
  if (weights > 0) all.response_ms = weighted / weights;
  return all;
}

}  // namespace tow::observe
