// SPDX-License-Identifier: Apache-2.0
#pragma once
// How the engine's address range is cut: a network for each environment, its lower half for instances, its
// upper half for services. Instances see only the lower half as their link, so that what they send to a
// service goes by way of the host, where it is spread. Pure.

#include <optional>
#include <set>

#include "engine/local/address.hpp"

namespace tow::engine::local {

struct Layout {
  Network whole;
  Address gateway;    // the host's address on the bridge; DNS answers there
  Network instances;  // the lower half, gateway included
  Network services;   // the upper half
};

/// The environment network of that number, or nothing when the range has fewer.
/// `prefix` is the length of an environment's network: longer than the range's, at most 28.
std::optional<Layout> layout(Network range, int prefix, int number);

/// The smallest number from 0 that is not taken.
int free_number(const std::set<int>& taken);

/// The next address after `last` that is not taken, turning over at the end, so that a freed address is used
/// again as late as possible. The range's first and last address and the gateway are never given out.
std::optional<Address> free_address(Network range, Address gateway, const std::set<Address>& taken,
                                    Address last);

}  // namespace tow::engine::local
