// SPDX-License-Identifier: Apache-2.0
#pragma once
// What may be routed. Every implementation admits a site through here, so that nothing else of a site is ever
// written into a configuration or a command: what passes consists of the characters named below alone.
// Pure and thread-safe.

#include <string>
#include <string_view>
#include <vector>

#include "route/route.hpp"

namespace tow::route {

/// The site with hosts in lower case and without a final dot, paths without a final slash ("/" stays), and
/// addresses in their canonical spelling. Throws Error{Invalid} with every fault found:
///   id [a-z0-9]; title [A-Za-z0-9 ._:/()@+-]; host [a-z0-9._-] in labels; path of [A-Za-z0-9/._~%@:+,=-]
///   without
///   "//", "." and ".." segments; server id [a-z0-9-]; IP addresses; ports; weights 0–256; no match or server
///   twice; a limit from one millisecond to a day.
Site admitted(Site site);

/// Throws Error{Invalid} for what no site or server can be called.
void check_site_id(std::string_view id);
bool is_site_id(std::string_view id);
void check_server_id(std::string_view id);

/// What a match is known by: "shop.localhost/api/" or "10.90.3.7:8080". A request for host and path goes to
/// the longest key that begins "host" + path + "/", or to the key that equals its original destination.
std::string key(const Match& admitted);

}  // namespace tow::route
