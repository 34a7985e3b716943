// SPDX-License-Identifier: Apache-2.0
#include "engine/local/address.hpp"

#include <gtest/gtest.h>

namespace tow::engine::local {
namespace {

TEST(Address, IsReadAndWritten) {
  EXPECT_EQ(to_string(parse_address("10.90.3.254").value()), "10.90.3.254");
  EXPECT_EQ(to_string(parse_network("10.90.0.0/16").value()), "10.90.0.0/16");
  EXPECT_EQ(parse_network("10.90.0.0/22")->size(), 1024u);
  EXPECT_EQ(parse_network("0.0.0.0/1")->size(), 1u << 31);
}

TEST(Address, RefusesWhatIsNone) {
  const struct {
    const char* reason;
    const char* text;
  } cases[] = {
      {"empty", ""},
      {"three parts", "10.90.3"},
      {"five parts", "10.90.3.1.1"},
      {"a part over 255", "10.90.3.256"},
      {"a sign", "10.90.-3.1"},
      {"something behind it", "10.90.3.1 "},
      {"a name", "localhost"},
  };
  for (const auto& c : cases) EXPECT_FALSE(parse_address(c.text)) << c.reason;
  for (const char* text : {"10.90.0.0", "10.90.0.0/", "10.90.0.0/33", "10.90.0.0/0", "10.90.0.1/16", "x/16"})
    EXPECT_FALSE(parse_network(text)) << text;
}

TEST(Address, ContainsItsOwnAddressesOnly) {
  const Network network = parse_network("10.90.4.0/22").value();
  EXPECT_TRUE(network.contains(*parse_address("10.90.4.0")));
  EXPECT_TRUE(network.contains(*parse_address("10.90.7.255")));
  EXPECT_FALSE(network.contains(*parse_address("10.90.3.255")));
  EXPECT_FALSE(network.contains(*parse_address("10.90.8.0")));
}

}  // namespace
}  // namespace tow::engine::local
