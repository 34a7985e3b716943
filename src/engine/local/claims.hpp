// SPDX-License-Identifier: Apache-2.0
#pragma once
// What an engine says of itself on the machine, in its table of rules, so that two of them do not take each
// other's addresses, links or rules. Pure, but for link_addresses().

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/local/address.hpp"

namespace tow::engine::local {

struct Claim {
  std::string table;
  Network network;
  std::string links;  // what their names begin with
  std::string state;  // the engine's state directory
};

/// The set that holds the network, and whose comment says the rest.
inline constexpr std::string_view kClaim = "towpath_network";
/// "links tow, state /var/lib/towpath/engine", as short as a comment in nftables must be.
std::string claim_comment(const std::string& links, const std::string& state);
/// The reverse. Nothing for what is no such comment.
std::optional<Claim> read_claim(std::string_view comment);

struct LinkAddress {
  std::string link;
  Address address;
};
/// Of every link of the calling thread's network namespace.
std::vector<LinkAddress> link_addresses();

/// Why the engine cannot be on the machine, each with its remedy, for people; empty when nothing is in its
/// way. `others` may hold its own claim of an earlier run.
std::vector<std::string> conflicts(const Claim& own, const std::vector<Claim>& others,
                                   const std::vector<LinkAddress>& addresses);

}  // namespace tow::engine::local
