// SPDX-License-Identifier: Apache-2.0
#pragma once
// The network of a build's steps: a network namespace of its own, out of which pasta leads. It ends with the
// build's processes and leaves nothing. Steps reach what this machine reaches, but for the machine itself:
// its addresses (API, proxy, engine), its loopback, the networks of its bridges and the closed ones. Of its
// loopback they get the ports that the platform's own settings name (an index, a proxy, a resolver).

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "image/buildah/buildah.hpp"

namespace tow::image::buildah {

/// What a build's network is made of. A value, so that the command made of it can be tested as text.
struct BuildNetwork {
  std::vector<std::string> closed;     // addresses and networks: "10.0.0.1/32", "fd00::1/128"
  std::set<std::uint16_t> loopback;    // TCP ports of this machine's loopback that stay open
  std::vector<std::string> resolvers;  // for resolv.conf; empty: this machine's own
  bool resolver_on_loopback = false;   // 127.0.0.1:53 answers names
  bool outward = true;                 // whether this machine has a way out at all
};

/// This machine as it is now.
BuildNetwork build_network(const Settings& settings);

/// The commands for `ip -batch` that close what is to be closed.
std::string render_routes(const BuildNetwork& network);
/// Wraps a command: a shell makes the namespace at `place`/net, applies `place`/routes and becomes the
/// command.
std::vector<std::string> in_network(const BuildNetwork& network, const std::filesystem::path& place,
                                    std::vector<std::string> command);

/// The port of an address on this machine's loopback ("http://localhost:3141/simple/"), or 0.
std::uint16_t loopback_port(std::string_view address);

/// Whether building this text runs or fetches anything.
bool needs_network(std::string_view containerfile);

}  // namespace tow::image::buildah
