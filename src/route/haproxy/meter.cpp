// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/meter.hpp"

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "route/haproxy/kernel.hpp"

namespace tow::route::haproxy {
namespace {

constexpr std::string_view kHearAll = "show stat -1 2 -1";  // all backends, without their servers

}  // namespace

Task<std::map<SiteId, Signals>> Meter::hear() {
  const Turn::Held held = co_await turn_.wait();  // what is older is never heard after what is newer
  const int generation = generation_;
  const std::uint64_t handings = ledger_.handings();
  std::map<SiteId, Signals> present;
  std::map<int, std::vector<std::string>> said;
  try {
    said = co_await proxy_.ask_all({std::string{kHearAll}});
  } catch (const Error& error) {
    if (error.code() != Code::Unavailable) throw;
  }
  if (said.empty() || generation != generation_) co_return present;
  const auto owner = [&](const std::string& backend) { return ledger_.owner(backend); };
  std::set<std::string> names;
  for (const auto& [pid, answers] : said) {
    const std::string name = process_name(pid);
    if (name.empty()) continue;
    names.insert(name);
    std::vector<Stat> lines = stats(answers[0]);
    std::erase_if(lines, [&](const Stat& stat) { return ledger_.handed_since(stat.backend, handings); });
    tally_.hear(name, lines, owner);
    for (const Stat& stat : lines) {
      Signals& signals = present[owner(stat.backend)];
      signals.sessions += static_cast<std::uint32_t>(stat.sessions);
      if (stat.requests == 0 || (signals.average_total_ms > 0 && pid != proxy_.processes().worker)) continue;
      signals.average_total_ms = static_cast<double>(stat.average_total_ms);
      signals.average_response_ms = static_cast<double>(stat.average_response_ms);
    }
  }
  tally_.keep(names);
  heard_ = true;
  ledger_.heard(handings);
  co_return present;
}

Task<std::map<SiteId, Signals>> Meter::signals() {
  std::map<SiteId, Signals> present = co_await hear();
  const std::map<SiteId, Signals> sums = tally_.sums();
  std::map<SiteId, Signals> out;
  for (const auto& [number, backend] : ledger_.backends()) {
    if (backend.leaving) continue;
    const SiteId& site = backend.site.id;
    const auto found = sums.find(site);
    Signals& signals = out[site];
    if (found != sums.end()) signals = found->second;
    signals.sessions = present[site].sessions;
    signals.average_total_ms = present[site].average_total_ms;
    signals.average_response_ms = present[site].average_response_ms;
  }
  co_return out;
}

void Meter::all_ended() {
  ++generation_;
  tally_.keep({});
}

void Meter::forget(const SiteId& site, int number) { tally_.forget(site, backend_name(number)); }

std::optional<Tally> Meter::unwritten() {
  return std::exchange(heard_, false) ? std::optional{tally_} : std::nullopt;
}

}  // namespace tow::route::haproxy
