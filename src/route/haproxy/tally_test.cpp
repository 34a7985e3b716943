// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/tally.hpp"

#include <gtest/gtest.h>

namespace tow::route::haproxy {
namespace {

std::vector<Stat> says(const std::string& backend, std::uint64_t requests) {
  return {{.backend = backend, .server = "BACKEND", .requests = requests, .bytes_out = 10 * requests}};
}

std::uint64_t requests(const Tally& tally, const SiteId& site) {
  const auto sums = tally.sums();
  const auto found = sums.find(site);
  return found == sums.end() ? 0 : found->second.requests;
}

Tally::Owner owned(const SiteId& site) {
  return [site](const std::string& backend) { return backend == "b0" ? site : SiteId{}; };
}
const Tally::Owner kOwned = owned("a");
const Tally::Owner kNobodys = [](const std::string&) { return SiteId{}; };

TEST(Tally, SumsOverWorkersAndKeepsWhatTheGoneOnesSaid) {
  Tally tally;
  tally.hear("w1", says("b0", 5), kOwned);
  tally.hear("w1", says("b0", 7), kOwned);
  tally.hear("w2", says("b0", 1), kOwned);
  EXPECT_EQ(requests(tally, "a"), 8U);
  tally.keep({"w2"});
  EXPECT_EQ(requests(tally, "a"), 8U);
  tally.hear("w2", says("b0", 2), kOwned);
  EXPECT_EQ(requests(tally, "a"), 9U);
  EXPECT_EQ(tally.sums().at("a").bytes_out, 90U);
}

TEST(Tally, ABackendThatChangesHandsBeginsAtNothing) {
  Tally tally;
  tally.hear("w1", says("b0", 5), kOwned);
  tally.hear("w1", says("b0", 6), kNobodys);  // free
  tally.forget("a", "b0");
  EXPECT_EQ(requests(tally, "a"), 0U);
  tally.hear("w1", says("b0", 10), owned("b"));
  EXPECT_EQ(requests(tally, "b"), 4U);
}

TEST(Tally, AWorkerThatCountsFromNothingUnderAKnownNameTakesNothingAway) {
  Tally tally;
  tally.hear("w1", says("b0", 5), kOwned);
  tally.hear("w1", says("b0", 2), kOwned);
  EXPECT_EQ(requests(tally, "a"), 7U);
}

TEST(Tally, LinesOfServersAreNotCountedTwice) {
  Tally tally;
  tally.hear("w1", {{.backend = "b0", .server = "i-1", .requests = 5}}, kOwned);
  EXPECT_EQ(requests(tally, "a"), 0U);
}

TEST(Tally, SurvivesAsText) {
  Tally tally;
  tally.hear("w1", says("b0", 5), kOwned);
  tally.hear("w1", says("b1", 3), kNobodys);
  tally.keep({});
  tally.hear("w2", says("b0", 4), kOwned);
  Tally back = Tally::read(tally.write());
  EXPECT_EQ(requests(back, "a"), 9U);
  back.hear("w2", says("b0", 5), kOwned);
  EXPECT_EQ(requests(back, "a"), 10U);
}

TEST(Tally, LeavesOutWhatItCannotRead) {
  const Tally tally =
      Tally::read("past a 1 2\nseen w b0 a 9 9 9 9 9 9 9 9 9 9 9 1 1 1 1 1 1 1 1 1 1 1\nnonsense\n");
  EXPECT_EQ(requests(tally, "a"), 0U);
}

}  // namespace
}  // namespace tow::route::haproxy
