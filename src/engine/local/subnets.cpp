// SPDX-License-Identifier: Apache-2.0
#include "engine/local/subnets.hpp"

namespace tow::engine::local {

std::optional<Layout> layout(Network range, int prefix, int number) {
  if (prefix <= range.prefix || prefix > 28 || number < 0) return std::nullopt;
  const std::uint32_t size = std::uint32_t{1} << (32 - prefix);
  if (static_cast<std::uint32_t>(number) >= range.size() / size) return std::nullopt;
  const Address first = range.first + static_cast<std::uint32_t>(number) * size;
  return Layout{.whole = {first, prefix},
                .gateway = first + 1,
                .instances = {first, prefix + 1},
                .services = {first + size / 2, prefix + 1}};
}

int free_number(const std::set<int>& taken) {
  int number = 0;
  while (taken.contains(number)) ++number;
  return number;
}

std::optional<Address> free_address(Network range, Address gateway, const std::set<Address>& taken,
                                    Address last) {
  const std::uint32_t size = range.size();
  const std::uint32_t from = range.contains(last) ? last.bits - range.first.bits : 0;
  for (std::uint32_t step = 1; step <= size; ++step) {
    const std::uint32_t offset = (from + step) % size;
    const Address address = range.first + offset;
    if (offset == 0 || offset == size - 1 || address == gateway || taken.contains(address)) continue;
    return address;
  }
  return std::nullopt;
}

}  // namespace tow::engine::local
