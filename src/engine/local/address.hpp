// SPDX-License-Identifier: Apache-2.0
#pragma once
// IPv4 addresses and networks as values.

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tow::engine::local {

struct Address {
  std::uint32_t bits = 0;  // host byte order
  auto operator<=>(const Address&) const = default;
  Address operator+(std::uint32_t offset) const { return {bits + offset}; }
};

struct Network {
  Address first;   // the network's own address: every host bit is zero
  int prefix = 0;  // 0–32
  bool operator==(const Network&) const = default;

  std::uint32_t size() const { return prefix == 0 ? 0 : std::uint32_t{1} << (32 - prefix); }
  bool contains(Address address) const { return address.bits - first.bits < size(); }
};

std::string to_string(Address address);
std::string to_string(Network network);
std::optional<Address> parse_address(std::string_view text);
/// "10.90.0.0/16"; nothing for anything else, also when a host bit is set or the prefix is not 1–32.
std::optional<Network> parse_network(std::string_view text);

}  // namespace tow::engine::local
