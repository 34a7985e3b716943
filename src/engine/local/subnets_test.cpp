// SPDX-License-Identifier: Apache-2.0
#include "engine/local/subnets.hpp"

#include <gtest/gtest.h>

namespace tow::engine::local {
namespace {

const Network kRange = *parse_network("10.90.0.0/16");

TEST(Subnets, CutsTheRangeIntoHalves) {
  const auto third = layout(kRange, 22, 2);
  ASSERT_TRUE(third);
  EXPECT_EQ(to_string(third->whole), "10.90.8.0/22");
  EXPECT_EQ(to_string(third->gateway), "10.90.8.1");
  EXPECT_EQ(to_string(third->instances), "10.90.8.0/23");
  EXPECT_EQ(to_string(third->services), "10.90.10.0/23");
}

TEST(Subnets, EndsWithTheRange) {
  EXPECT_EQ(to_string(layout(kRange, 22, 63)->whole), "10.90.252.0/22");
  EXPECT_FALSE(layout(kRange, 22, 64)) << "a /16 has 64 networks of /22";
  EXPECT_FALSE(layout(kRange, 16, 0)) << "no shorter than the range";
  EXPECT_FALSE(layout(kRange, 22, -1));
}

TEST(Subnets, GivesTheSmallestFreeNumber) {
  EXPECT_EQ(free_number({}), 0);
  EXPECT_EQ(free_number({0, 1, 3}), 2);
}

TEST(Subnets, GivesAFreedAddressLast) {
  const Network range = *parse_network("10.90.0.0/29");  // .1 gateway, .2 to .6 usable
  const Address gateway = *parse_address("10.90.0.1");
  const auto at = [](const char* text) { return *parse_address(text); };
  const struct {
    const char* reason;
    std::set<Address> taken;
    const char* last;
    const char* given;
  } cases[] = {
      {"the first is behind the gateway", {}, "0.0.0.0", "10.90.0.2"},
      {"the next, though an earlier one is free", {at("10.90.0.3")}, "10.90.0.3", "10.90.0.4"},
      {"turns over at the end, never the broadcast address", {at("10.90.0.6")}, "10.90.0.6", "10.90.0.2"},
      {"the last one given may be free again",
       {at("10.90.0.2"), at("10.90.0.4"), at("10.90.0.5"), at("10.90.0.6")},
       "10.90.0.3",
       "10.90.0.3"},
  };
  for (const auto& c : cases) {
    const auto given = free_address(range, gateway, c.taken, at(c.last));
    ASSERT_TRUE(given) << c.reason;
    EXPECT_EQ(to_string(*given), c.given) << c.reason;
  }
  EXPECT_FALSE(free_address(
      range, gateway, {at("10.90.0.2"), at("10.90.0.3"), at("10.90.0.4"), at("10.90.0.5"), at("10.90.0.6")},
      at("10.90.0.2")))
      << "a full network says so";
}

}  // namespace
}  // namespace tow::engine::local
