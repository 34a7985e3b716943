// SPDX-License-Identifier: Apache-2.0
#include "route/check.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <set>

#include "base/error.hpp"

namespace tow::route {
namespace {

constexpr std::string_view kLower = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view kDigits = "0123456789";

bool consists_of(std::string_view text, std::initializer_list<std::string_view> alphabets) {
  return std::ranges::all_of(text, [&](char c) {
    return std::ranges::any_of(alphabets, [&](std::string_view set) { return set.contains(c); });
  });
}

bool is_server_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && consists_of(id, {kLower, kDigits, "-"});
}

bool is_host(std::string_view host) {
  if (host.empty() || host.size() > 253 || !consists_of(host, {kLower, kDigits, "._-"})) return false;
  for (std::size_t begin = 0; begin <= host.size();) {
    const std::size_t end = std::min(host.find('.', begin), host.size());
    if (end == begin || end - begin > 63 || host[begin] == '-' || host[end - 1] == '-') return false;
    begin = end + 1;
  }
  return true;
}

bool is_path(std::string_view path) {
  if (!path.starts_with('/') || path.size() > 1024) return false;
  if (!consists_of(path, {kLower, kUpper, kDigits, "/._~%@:+,=-"})) return false;
  const std::string closed = std::string{path} + "/";
  for (const std::string_view bad : {"//", "/./", "/../"}) {
    if (path != "/" && closed.contains(bad)) return false;
  }
  return true;
}

/// The canonical spelling, or nothing for what is no address of one machine.
std::optional<std::string> canonical_address(const std::string& text) {
  char out[INET6_ADDRSTRLEN];
  in6_addr six;
  if (in_addr four; inet_pton(AF_INET, text.c_str(), &four) == 1) {
    const std::uint32_t number = ntohl(four.s_addr);
    if (number == 0 || number >> 28 >= 0xe) return std::nullopt;  // unspecified, multicast, broadcast
    return inet_ntop(AF_INET, &four, out, sizeof out);
  }
  if (inet_pton(AF_INET6, text.c_str(), &six) != 1) return std::nullopt;
  if (IN6_IS_ADDR_UNSPECIFIED(&six) || IN6_IS_ADDR_MULTICAST(&six)) return std::nullopt;
  return inet_ntop(AF_INET6, &six, out, sizeof out);
}

/// A value as a message may show it: short, and nothing that a terminal would obey.
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 80)) out += c >= ' ' && c < 127 ? c : '?';
  return out;
}

struct Faults {
  std::vector<Fault> found;
  void add(std::string path, std::string message) {
    found.push_back({std::move(path), {}, std::move(message)});
  }
};

void admit(Match& match, const std::string& path, Faults& faults) {
  if (match.host.empty() == match.address.empty()) {
    faults.add(path, "needs either a host or an address");
    return;
  }
  if (!match.host.empty()) {
    std::ranges::transform(match.host, match.host.begin(), [](char c) {
      return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    if (match.host.ends_with('.')) match.host.pop_back();
    if (!is_host(match.host))
      faults.add(path + ".host", fmt::format("\"{}\" is not a host name", shown(match.host)));
    while (match.path.size() > 1 && match.path.ends_with('/') && !match.path.ends_with("//"))
      match.path.pop_back();
    if (!is_path(match.path)) {
      faults.add(path + ".path",
                 fmt::format("\"{}\" is not a path: it begins with \"/\" and consists of letters, digits and "
                             "/._~%@:+,=-, without empty, \".\" and \"..\" segments",
                             shown(match.path)));
    }
    return;
  }
  if (const auto address = canonical_address(match.address)) {
    match.address = *address;
  } else {
    faults.add(path + ".address", fmt::format("\"{}\" is not an IP address", shown(match.address)));
  }
  if (match.port == 0) faults.add(path + ".port", "is missing");
  if (match.path != "/") faults.add(path + ".path", "an internal address is routed as a whole");
}

void admit(Server& server, const std::string& path, Faults& faults) {
  if (!is_server_id(server.id)) {
    faults.add(path + ".id",
               fmt::format("\"{}\" is not an instance id (1-128 of a-z, 0-9, -)", shown(server.id)));
  }
  if (const auto address = canonical_address(server.address)) {
    server.address = *address;
  } else {
    faults.add(path + ".address", fmt::format("\"{}\" is not an IP address", shown(server.address)));
  }
  if (server.port == 0) faults.add(path + ".port", "is missing");
  if (server.weight < 0 || server.weight > 256) {
    faults.add(path + ".weight", fmt::format("{} is not between 0 and 256", server.weight));
  }
}

}  // namespace

bool is_site_id(std::string_view id) {
  return !id.empty() && id.size() <= 64 && consists_of(id, {kLower, kDigits});
}

std::string key(const Match& match) {
  if (!match.host.empty()) return match.host + (match.path == "/" ? "/" : match.path + "/");
  return fmt::format("{}:{}", match.address, match.port);
}

bool is_held(const Site& site) {
  return site.hold && std::ranges::none_of(site.servers, [](const Server& each) { return each.weight > 0; });
}

void check_site_id(std::string_view id) {
  if (!is_site_id(id)) throw fail(Code::Invalid, "\"{}\" is not a site id (1-64 of a-z, 0-9)", shown(id));
}

void check_server_id(std::string_view id) {
  if (!is_server_id(id))
    throw fail(Code::Invalid, "\"{}\" is not an instance id (1-128 of a-z, 0-9, -)", shown(id));
}

Site admitted(Site site) {
  Faults faults;
  if (!is_site_id(site.id)) {
    faults.add("id", fmt::format("\"{}\" is not a site id (1-64 of a-z, 0-9)", shown(site.id)));
  }
  if (site.title.empty() || site.title.size() > 200 || site.title.starts_with(' ') ||
      site.title.ends_with(' ') || !consists_of(site.title, {kLower, kUpper, kDigits, " ._:/()@+-"})) {
    faults.add("title", fmt::format("\"{}\" is not a title (1-200 letters, digits, spaces and ._:/()@+-)",
                                    shown(site.title)));
  }
  std::set<std::string> keys;
  for (std::size_t i = 0; i < site.matches.size(); ++i) {
    const std::string path = fmt::format("matches[{}]", i);
    admit(site.matches[i], path, faults);
    if (!keys.insert(key(site.matches[i])).second) faults.add(path, "stands there twice");
  }
  std::set<std::string> ids;
  for (std::size_t i = 0; i < site.servers.size(); ++i) {
    const std::string path = fmt::format("servers[{}]", i);
    admit(site.servers[i], path, faults);
    if (!ids.insert(site.servers[i].id).second) faults.add(path + ".id", "stands there twice");
  }
  if (site.hold && (site.hold->limit < Duration{1} || site.hold->limit > std::chrono::minutes{30} ||
                    site.hold->most < 1 || site.hold->most > 10'000)) {
    faults.add("hold", "is not for up to 30 minutes and of 1 to 10,000 requests");
  }
  if (site.request_limit < Duration{1} || site.request_limit > std::chrono::hours{24}) {
    faults.add("request_limit", "is not between one millisecond and a day");
  }
  if (!faults.found.empty()) {
    std::string message = fmt::format("the site \"{}\" cannot be routed", shown(site.id));
    for (const Fault& fault : faults.found) message += "\n" + describe(fault);
    throw Error{Code::Invalid, std::move(message), std::move(faults.found)};
  }
  return site;
}

}  // namespace tow::route
