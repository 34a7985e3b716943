// SPDX-License-Identifier: Apache-2.0
#pragma once
// The configuration and maps of HAProxy from what was applied. Pure and thread-safe; golden tests beside it.
// Everything that goes in passed admitted() or frame(): nothing is quoted here because nothing needs it.

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "route/haproxy/haproxy.hpp"
#include "route/route.hpp"

namespace tow::route::haproxy {

/// What is fixed for one run of HAProxy: settings as they came out on this machine.
struct Frame {
  Settings settings;  // ports resolved
  std::string user;   // empty: HAProxy is not started as root
  std::string group;
};

/// Throws Error{Invalid} with every setting that cannot stand in a configuration.
void check(const Settings& settings);

/// "b17": what a backend is called by its number.
std::string backend_name(int number);
/// The number in such a name, or nothing.
std::optional<int> backend_number(std::string_view name);

/// What is routed: each site by the number of its backend, and the numbers of the spare backends.
struct Sites {
  std::map<int, Site> claimed;
  std::set<int> spare;
};

/// All of the configuration that does not depend on sites: with the same one, a running HAProxy can stay.
std::string preamble(const Frame& frame);

/// File names, relative to the runtime directory, to contents. The last is the configuration itself.
std::vector<std::pair<std::string, std::string>> render(const Frame& frame, const Sites& sites);

inline constexpr std::string_view kConfiguration = "haproxy.cfg";
inline constexpr std::string_view kRoutes = "routes.map";      // host and path -> backend
inline constexpr std::string_view kInternal = "internal.map";  // original destination -> backend
inline constexpr std::string_view kSites = "sites.map";        // backend -> described()
inline constexpr std::string_view kAsleep = "asleep.map";  // the keys of both whose requests wait -> backend
inline constexpr std::string_view kHoldProgram = "hold.lua";
inline constexpr std::string_view kWakeSocket = "empty/wake.sock";  // where it is said for which sites

/// Where such a request goes instead of to the backend: "hold_public", "hold_internal".
std::string hold_backend(const Match& match);
bool is_hold_backend(std::string_view name);

/// "60000|01j9zk|shop web.development": limit, id and title, which the configuration takes apart by "field".
/// Where requests are ever held, also for how long, how many, and whether they are now: "|30000|200|asleep".
std::string described(const Site& site);
/// Back into a site without matches and servers; nothing for what is not of this form.
std::optional<Site> parse_described(std::string_view text);

/// "10.0.0.1:80", "[fd00::1]:80".
std::string endpoint(const std::string& address, std::uint16_t port);

}  // namespace tow::route::haproxy
