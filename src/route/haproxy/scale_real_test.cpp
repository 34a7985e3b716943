// SPDX-License-Identifier: Apache-2.0
// Many sites: every change is quick and right while they are there. What it costs is printed; the budgets are
// measured by the benchmarks.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "route/haproxy/lab.hpp"

namespace tow::route::haproxy {
namespace {

using lab::Instance;
using lab::Proxied;
using Clock = std::chrono::steady_clock;

struct Costs {
  std::vector<double> milliseconds;
  void add(Clock::time_point begin) {
    milliseconds.push_back(std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
  }
  double at(double share) {
    std::ranges::sort(milliseconds);
    return milliseconds[std::min(milliseconds.size() - 1,
                                 static_cast<std::size_t>(share * milliseconds.size()))];
  }
};

int from_environment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

TEST(Scale, AThousandChangesAmongTwoThousandSites) {
  const int count = from_environment("TOW_ROUTE_SITES", 2000);
  const int changes = from_environment("TOW_ROUTE_CHANGES", 1000);
  Proxied proxied{[](Settings& settings) { settings.spare_backends = 64; }};
  proxied.start();
  Instance old{"i-0"};
  Instance fresh{"i-1"};
  Instance steady{"i-2"};
  const auto id = [](int i) { return fmt::format("s{:05}", i); };
  const auto host = [](int i) { return fmt::format("s{:05}.test", i); };
  const auto begin = Clock::now();
  proxied.apply(lab::site("steady", "steady.test", {steady.server()}));
  for (int i = 0; i < count; ++i) proxied.apply(lab::site(id(i), host(i), {old.server()}));
  const double filled = std::chrono::duration<double>(Clock::now() - begin).count();
  proxied.run(proxied.router().settle());

  lab::Load kept{proxied.port(), "steady.test", 1, lab::Load::Connections::Kept};
  lab::Load renewed{proxied.port(), "steady.test", 1, lab::Load::Connections::Fresh};
  Costs costs;
  Costs kinds[4];
  for (int i = 0; i < changes; ++i) {
    const auto start = Clock::now();
    switch (i % 4) {
      case 0:
        proxied.apply(lab::site(id(i), host(i), {fresh.server()}));
        break;
      case 1:
        proxied.apply(lab::site(id(i), "moved-" + host(i), {old.server()}));
        break;
      case 2:
        proxied.run(proxied.router().remove(id(i)));
        break;
      case 3:
        proxied.apply(lab::site("n" + id(i), "new-" + host(i), {fresh.server()}));
        break;
    }
    costs.add(start);
    kinds[i % 4].add(start);
    const std::string now = i % 4 == 0   ? host(i)
                            : i % 4 == 1 ? "moved-" + host(i)
                            : i % 4 == 3 ? "new-" + host(i)
                                         : "";
    if (i % 10 != 0 || now.empty()) continue;
    EXPECT_EQ(lab::get(proxied.port(), now).body, i % 4 == 1 ? "i-0" : "i-1") << i;
  }
  EXPECT_EQ(lab::get(proxied.port(), host(2)).status, 404);
  kept.end();
  renewed.end();
  EXPECT_TRUE(kept.failures().empty());
  EXPECT_TRUE(renewed.failures().empty());

  Costs signals;
  for (int i = 0; i < 3; ++i) {
    const auto start = Clock::now();
    EXPECT_EQ(proxied.signals("steady").responses[5], 0U);
    signals.add(start);
  }
  proxied.restart();
  const auto adopting = Clock::now();
  proxied.start();
  const double adopted = std::chrono::duration<double, std::milli>(Clock::now() - adopting).count();
  fmt::print(
      "{} sites applied in {:.2f} s; {} changes: p50 {:.2f} ms, p99 {:.2f} ms, most {:.2f} ms; "
      "signals {:.1f} ms; adopted in {:.0f} ms; {} + {} requests beside it\n",
      count, filled, changes, costs.at(0.5), costs.at(0.99), costs.at(1), signals.at(0.5), adopted,
      kept.asked(), renewed.asked());
  for (int kind = 0; kind < 4; ++kind) {
    fmt::print("  {:22} p50 {:.2f} ms, p99 {:.2f} ms\n",
               std::array{"other server", "other host", "site removed", "site added"}[kind],
               kinds[kind].at(0.5), kinds[kind].at(0.99));
  }
  EXPECT_LT(costs.at(0.5),
            250);  // not a benchmark: only that nothing grows with the number of sites unboundedly
}

}  // namespace
}  // namespace tow::route::haproxy
