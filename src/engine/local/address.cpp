// SPDX-License-Identifier: Apache-2.0
#include "engine/local/address.hpp"

#include <charconv>

namespace tow::engine::local {
namespace {

/// Takes a decimal of at most three digits from the front; nothing when there is none up to `limit`.
std::optional<std::uint32_t> take_number(std::string_view& text, std::uint32_t limit) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end - text.data() > 3 || value > limit) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

bool take(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<Address> take_address(std::string_view& text) {
  Address address;
  for (int part = 0; part < 4; ++part) {
    if (part > 0 && !take(text, '.')) return std::nullopt;
    const auto number = take_number(text, 255);
    if (!number) return std::nullopt;
    address.bits = address.bits << 8 | *number;
  }
  return address;
}

}  // namespace

std::string to_string(Address address) {
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) {
    if (!text.empty()) text += '.';
    text += std::to_string(address.bits >> shift & 255);
  }
  return text;
}

std::string to_string(Network network) {
  return to_string(network.first) + "/" + std::to_string(network.prefix);
}

std::optional<Address> parse_address(std::string_view text) {
  const auto address = take_address(text);
  return text.empty() ? address : std::nullopt;
}

std::optional<Network> parse_network(std::string_view text) {
  const auto address = take_address(text);
  if (!address || !take(text, '/')) return std::nullopt;
  const auto prefix = take_number(text, 32);
  if (!prefix || *prefix == 0 || !text.empty()) return std::nullopt;
  const Network network{*address, static_cast<int>(*prefix)};
  if (network.first.bits & (network.size() - 1)) return std::nullopt;
  return network;
}

}  // namespace tow::engine::local
