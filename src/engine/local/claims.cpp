// SPDX-License-Identifier: Apache-2.0
#include "engine/local/claims.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>

#include "base/error.hpp"

namespace tow::engine::local {
namespace {

constexpr std::size_t kLongestComment = 120;  // nftables: 127

bool overlap(Network a, Network b) { return a.contains(b.first) || b.contains(a.first); }

/// Links are told by their beginning: the engine's, then "b" for a bridge or "v" for an instance's.
bool takes(const std::string& links, const std::string& other) {
  return other == links || other.starts_with(links + "b") || other.starts_with(links + "v");
}

}  // namespace

std::string claim_comment(const std::string& links, const std::string& state) {
  std::string text = fmt::format("links {}, state {}", links, state).substr(0, kLongestComment);
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < ' ' || c > '~' || c == '"' || c == '\\'; }, '?');
  return text;
}

std::optional<Claim> read_claim(std::string_view comment) {
  constexpr std::string_view first = "links ", second = ", state ";
  const auto middle = comment.find(second);
  if (!comment.starts_with(first) || middle == std::string_view::npos) return std::nullopt;
  Claim claim;
  claim.links = comment.substr(first.size(), middle - first.size());
  claim.state = comment.substr(middle + second.size());
  return claim;
}

std::vector<LinkAddress> link_addresses() {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) throw system_error("listing the machine's addresses", errno);
  std::vector<LinkAddress> found;
  for (const ifaddrs* one = all; one; one = one->ifa_next)
    if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET)
      found.push_back(
          {one->ifa_name, {ntohl(reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr.s_addr)}});
  ::freeifaddrs(all);
  return found;
}

std::vector<std::string> conflicts(const Claim& own, const std::vector<Claim>& others,
                                   const std::vector<LinkAddress>& addresses) {
  std::vector<std::string> all;
  std::vector<std::string> foreign{own.links};  // what names of bridges are accounted for
  const std::string own_state = read_claim(claim_comment(own.links, own.state)).value_or(own).state;
  for (const auto& other : others) {
    foreign.push_back(other.links);
    const std::string who = fmt::format("another Towpath on this machine (\"{}\", with its state in {})",
                                        other.table, other.state);
    constexpr auto end = "; or end the other with \"tow admin takedown\" and its options";
    if (other.table == own.table) {
      if (other.state != own_state)
        all.push_back(fmt::format("{} has the same name: give one of them another (--name){}", who, end));
      continue;
    }
    if (overlap(own.network, other.network))
      all.push_back(
          fmt::format("{} has the network {}, which overlaps with {}: give one of them another (--network){}",
                      who, to_string(other.network), to_string(own.network), end));
    if (takes(own.links, other.links) || takes(other.links, own.links))
      all.push_back(
          fmt::format("{} names its links \"{}…\", which is too like \"{}…\": give one of them another "
                      "beginning (--links){}",
                      who, other.links, own.links, end));
  }
  for (const auto& [link, address] : addresses) {
    if (!own.network.contains(address) ||
        std::ranges::any_of(foreign, [&](const auto& links) { return link.starts_with(links + "b"); }))
      continue;
    all.push_back(
        fmt::format("the link {} of this machine has the address {}, which lies in the network {}: choose "
                    "another network (--network)",
                    link, to_string(address), to_string(own.network)));
  }
  return all;
}

}  // namespace tow::engine::local
