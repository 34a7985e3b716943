// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/tally.hpp"

#include <fmt/format.h>

#include <sstream>

namespace tow::route::haproxy {

Tally::Counters Tally::counters(const Stat& stat) {
  return {{stat.requests, stat.responses[0], stat.responses[1], stat.responses[2], stat.responses[3],
           stat.responses[4], stat.responses[5], stat.bytes_in, stat.bytes_out, stat.connection_errors,
           stat.retries}};
}

void Tally::fold(const Seen& seen) {
  if (seen.site.empty()) return;
  Counters& sum = past_[seen.site];
  for (std::size_t i = 0; i < std::size(sum.values); ++i)
    sum.values[i] += seen.last.values[i] - seen.start.values[i];
}

void Tally::hear(const std::string& worker, const std::vector<Stat>& stats, const Owner& owner) {
  auto& backends = workers_[worker];
  for (const Stat& stat : stats) {
    if (stat.server != "BACKEND") continue;
    const Counters now = counters(stat);
    const SiteId site = owner(stat.backend);
    auto [entry, fresh] = backends.try_emplace(stat.backend, Seen{.site = site});
    Seen& seen = entry->second;
    if (!fresh && seen.site != site) {
      fold(seen);
      seen = {.site = site, .start = seen.last};
    }
    bool fell = false;  // a counter that fell is not of the worker that we knew by this name
    for (std::size_t i = 0; i < std::size(now.values); ++i) fell |= now.values[i] < seen.last.values[i];
    if (fell) {
      fold(seen);
      seen.start = {};
    }
    seen.last = now;
  }
}

void Tally::keep(const std::set<std::string>& workers) {
  std::erase_if(workers_, [&](const auto& worker) {
    if (workers.contains(worker.first)) return false;
    for (const auto& [backend, seen] : worker.second) fold(seen);
    return true;
  });
}

void Tally::forget(const SiteId& site, const std::string& backend) {
  for (auto& [worker, backends] : workers_) {
    const auto seen = backends.find(backend);
    if (seen != backends.end() && seen->second.site == site) {
      seen->second = {.start = seen->second.last, .last = seen->second.last};
    }
  }
  past_.erase(site);
}

std::map<SiteId, Signals> Tally::sums() const {
  std::map<SiteId, Counters> sums = past_;
  for (const auto& [worker, backends] : workers_) {
    for (const auto& [backend, seen] : backends) {
      if (seen.site.empty()) continue;
      Counters& sum = sums[seen.site];
      for (std::size_t i = 0; i < std::size(sum.values); ++i) {
        sum.values[i] += seen.last.values[i] - seen.start.values[i];
      }
    }
  }
  std::map<SiteId, Signals> out;
  for (const auto& [site, sum] : sums) {
    Signals& signals = out[site];
    signals.requests = sum.values[0];
    for (std::size_t i = 0; i < 6; ++i) signals.responses[i] = sum.values[1 + i];
    signals.bytes_in = sum.values[7];
    signals.bytes_out = sum.values[8];
    signals.connection_errors = sum.values[9];
    signals.retries = sum.values[10];
  }
  return out;
}

// One line each: "past SITE VALUES…" and "seen WORKER BACKEND SITE-or-dash STARTS… LASTS…".
std::string Tally::write() const {
  std::string out;
  const auto values = [](const Counters& counters) {
    return fmt::format("{}", fmt::join(counters.values, " "));
  };
  for (const auto& [site, sum] : past_) out += fmt::format("past {} {}\n", site, values(sum));
  for (const auto& [worker, backends] : workers_) {
    for (const auto& [backend, seen] : backends) {
      if (seen.site.empty() && seen.last.values[0] == 0) continue;
      out += fmt::format("seen {} {} {} {} {}\n", worker, backend, seen.site.empty() ? "-" : seen.site,
                         values(seen.start), values(seen.last));
    }
  }
  return out;
}

Tally Tally::read(std::string_view text) {
  Tally out;
  std::istringstream lines{std::string{text}};
  const auto take = [](std::istream& in, Counters& counters) {
    for (std::uint64_t& value : counters.values) in >> value;
  };
  for (std::string line; std::getline(lines, line);) {
    std::istringstream in{line};
    std::string kind;
    std::string worker;
    std::string backend;
    Seen seen;
    in >> kind;
    if (kind == "past") {
      in >> seen.site;
      take(in, seen.last);
      if (!in.fail()) out.past_[seen.site] = seen.last;
    } else if (kind == "seen") {
      in >> worker >> backend >> seen.site;
      take(in, seen.start);
      take(in, seen.last);
      if (seen.site == "-") seen.site.clear();
      bool sound = !in.fail();
      for (std::size_t i = 0; i < std::size(seen.last.values); ++i) {
        sound &= seen.last.values[i] >= seen.start.values[i];
      }
      if (sound) out.workers_[worker][backend] = seen;
    }
  }
  return out;
}

}  // namespace tow::route::haproxy
