// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/network.hpp"

#include <arpa/inet.h>
#include <fmt/ranges.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <re2/re2.h>

#include <memory>
#include <sstream>

#include "base/error.hpp"
#include "image/buildah/files.hpp"

namespace tow::image::buildah {
namespace {

/// Names of the interfaces that a default route leads through.
std::set<std::string> ways_out() {
  std::set<std::string> names;
  std::string line;
  std::istringstream routes{read_file("/proc/net/route")};
  while (std::getline(routes, line)) {
    std::istringstream words{line};
    std::string name, destination, gateway, flags, skip, mask;
    words >> name >> destination >> gateway >> flags >> skip >> skip >> skip >> mask;
    if (destination == "00000000" && mask == "00000000") names.insert(name);
  }
  std::istringstream routes6{read_file("/proc/net/ipv6_route")};
  while (std::getline(routes6, line)) {
    std::istringstream words{line};
    std::vector<std::string> word;
    for (std::string one; words >> one;) word.push_back(one);
    // The kernel's own unreachable default is on lo.
    if (word.size() == 10 && word[0] == std::string(32, '0') && word[1] == "00" && word[9] != "lo")
      names.insert(word[9]);
  }
  return names;
}

std::string text_of(const sockaddr* address, int bits) {
  char text[INET6_ADDRSTRLEN] = {};
  const bool six = address->sa_family == AF_INET6;
  const void* bytes =
      six ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr)
          : &reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
  ::inet_ntop(address->sa_family, bytes, text, sizeof text);
  return fmt::format("{}/{}", text, bits);
}

/// The address's network by its mask, for IPv4: "10.90.1.0/24".
std::string network_of(const ifaddrs& entry) {
  auto address = *reinterpret_cast<const sockaddr_in*>(entry.ifa_addr);
  const auto mask = reinterpret_cast<const sockaddr_in*>(entry.ifa_netmask)->sin_addr.s_addr;
  address.sin_addr.s_addr &= mask;
  return text_of(reinterpret_cast<const sockaddr*>(&address), __builtin_popcount(mask));
}

/// The machine's own addresses, and the networks behind its bridges: containers and virtual machines of its.
void close_machine(const std::set<std::string>& out, std::vector<std::string>& closed) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) throw system_error("cannot read this machine's addresses", errno);
  const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner{list, ::freeifaddrs};
  for (const auto* entry = list; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr) continue;
    const int family = entry->ifa_addr->sa_family;
    if (family == AF_INET) {
      const auto address = ntohl(reinterpret_cast<const sockaddr_in*>(entry->ifa_addr)->sin_addr.s_addr);
      if (address >> 24 == 127) continue;  // the namespace has a loopback of its own
      closed.push_back(text_of(entry->ifa_addr, 32));
      std::error_code error;
      const bool bridge =
          std::filesystem::exists(std::string{"/sys/class/net/"} + entry->ifa_name + "/bridge", error);
      if (bridge && entry->ifa_netmask && !out.contains(entry->ifa_name))
        closed.push_back(network_of(*entry));
    } else if (family == AF_INET6) {
      const auto& address = reinterpret_cast<const sockaddr_in6*>(entry->ifa_addr)->sin6_addr;
      if (!IN6_IS_ADDR_LOOPBACK(&address) && !IN6_IS_ADDR_LINKLOCAL(&address))
        closed.push_back(text_of(entry->ifa_addr, 128));
    }
  }
}

std::vector<std::string> resolvers_of(const std::string& resolv_conf) {
  static const RE2 line{R"((?m)^\s*nameserver\s+(\S+))"};
  std::vector<std::string> result;
  re2::StringPiece rest{resolv_conf};
  std::string address;
  while (RE2::FindAndConsume(&rest, line, &address)) result.push_back(address);
  return result;
}

bool on_loopback(std::string_view address) { return address.starts_with("127.") || address == "::1"; }

/// A resolver on this machine's loopback is out of reach: systemd's tells where it asks itself, any other is
/// let in by its port.
void choose_resolvers(BuildNetwork& network) {
  const auto own = resolvers_of(read_file("/etc/resolv.conf"));
  const auto usable = [](const std::vector<std::string>& all) {
    std::vector<std::string> result;
    for (const auto& one : all)
      if (!on_loopback(one)) result.push_back(one);
    return result;
  };
  const auto direct = usable(own);
  if (!direct.empty()) {
    if (direct.size() != own.size()) network.resolvers = direct;
  } else if (const auto upstream = usable(resolvers_of(read_file("/run/systemd/resolve/resolv.conf")));
             !upstream.empty()) {
    network.resolvers = upstream;
  } else if (!own.empty()) {
    network.resolvers = {"127.0.0.1"};
    network.resolver_on_loopback = true;
  }
}

/// Link-local addresses: what a cloud tells its machines about themselves, credentials among it.
void close_metadata(BuildNetwork& network) {
  for (const auto& resolver : resolvers_of(read_file("/etc/resolv.conf")))
    if (resolver.starts_with("169.254.")) return;
  network.closed.emplace_back("169.254.0.0/16");
}

}  // namespace

BuildNetwork build_network(const Settings& settings) {
  BuildNetwork network;
  const auto out = ways_out();
  network.outward = !out.empty();
  close_machine(out, network.closed);
  for (const auto& closed : settings.closed_networks) network.closed.push_back(closed);
  close_metadata(network);
  choose_resolvers(network);
  std::vector<std::string> addresses{settings.python_index, settings.npm_registry};
  for (const auto& [name, value] : settings.proxy)
    if (!name.starts_with("no_") && !name.starts_with("NO_")) addresses.push_back(value);
  for (const auto& address : addresses)
    if (const auto port = loopback_port(address)) network.loopback.insert(port);
  return network;
}

std::string render_routes(const BuildNetwork& network) {
  std::string text = "link set lo up\n";
  for (const auto& closed : network.closed) text += "route replace unreachable " + closed + "\n";
  return text;
}

std::vector<std::string> in_network(const BuildNetwork& network, const std::filesystem::path& place,
                                    std::vector<std::string> command) {
  // $0 is the file that the namespace is mounted on, in a mount namespace which only this build has. pasta
  // goes into the background when it is ready; all of them are in the build's process namespace and end with
  // it.
  std::string script = ": >\"$0\" && unshare --net=\"$0\" true || exit 125\n";
  if (network.outward) {
    auto tcp = network.loopback;
    if (network.resolver_on_loopback) tcp.insert(53);
    script += fmt::format(
        "pasta --netns \"$0\" --config-net --no-map-gw --quiet --runas 0 --tcp-ports none --udp-ports none "
        "--tcp-ns {} --udp-ns {} </dev/null >\"$0.log\" 2>&1 || {{ "
        "echo \"pasta made no network for the build: $(tail -n 1 \"$0.log\")\" >&2; exit 125; }}\n",
        tcp.empty() ? "none" : fmt::format("{}", fmt::join(tcp, ",")),
        network.resolver_on_loopback ? "53" : "none");
  }
  script += "nsenter --net=\"$0\" ip -batch \"${0%/*}/routes\" || exit 125\n";
  script += "exec nsenter --net=\"$0\" -- \"$@\"\n";
  std::vector<std::string> result{"sh", "-c", script, (place / "net").string()};
  for (auto& word : command) result.push_back(std::move(word));
  return result;
}

std::uint16_t loopback_port(std::string_view address) {
  static const RE2 pattern{
      R"(^(?:(https?|socks\w*)://)?(?:[^@/]*@)?(?:localhost|127(?:\.\d+){3}|\[::1\])(?::(\d{1,5}))?(?:/|$))"};
  std::string scheme;
  std::string port;
  if (!RE2::PartialMatch(address, pattern, &scheme, &port)) return 0;
  if (port.empty()) return scheme == "https" ? 443 : 80;
  const int number = std::stoi(port);
  return number < 65536 ? static_cast<std::uint16_t>(number) : 0;
}

bool needs_network(std::string_view containerfile) {
  static const RE2 instruction{R"((?im)^\s*(?:ONBUILD\s+)?(?:RUN|ADD)\s)"};
  return RE2::PartialMatch(containerfile, instruction);
}

}  // namespace tow::image::buildah
