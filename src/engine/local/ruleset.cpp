// SPDX-License-Identifier: Apache-2.0
#include "engine/local/ruleset.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "engine/local/claims.hpp"

namespace tow::engine::local {
namespace {

std::string_view protocol(const Service::Entry& entry) {
  return entry.protocol == Protocol::Udp ? "udp" : "tcp";
}

/// "svc_10_90_2_1_tcp_80": a chain for each port of a service.
std::string chain(const Ruleset::Entry& entry) {
  std::string address = to_string(entry.address);
  std::ranges::replace(address, '.', '_');
  return fmt::format("svc_{}_{}_{}", address, protocol(entry.port), entry.port.port);
}

std::string key(const Ruleset::Entry& entry) {
  return fmt::format("{} . {} . {}", to_string(entry.address), protocol(entry.port), entry.port.port);
}

}  // namespace

std::string render_proxy_port(const std::string& table, std::uint16_t port) {
  std::string text = fmt::format(
      "flush chain inet {0} to_proxy\nflush chain inet {0} proxy\nflush chain inet {0} proxy_port\n", table);
  if (port == 0) return text;
  // The proxy finds the address that was meant by SO_ORIGINAL_DST.
  text += fmt::format("add rule inet {} to_proxy meta l4proto tcp redirect to :{}\n", table, port);
  text += fmt::format("add rule inet {} proxy tcp dport {} ct status dnat accept\n", table, port);
  // It listens on every address, for redirected traffic comes to that of each bridge.
  text += fmt::format("add rule inet {} proxy_port tcp dport {} reject with tcp reset\n", table, port);
  return text;
}

std::string render_environment(const std::string& table, const Ruleset::Environment& e) {
  std::string text =
      fmt::format("add element inet {} same {{ \"{}\" . \"{}\" }}\n", table, e.bridge, e.bridge);
  text += fmt::format("add element inet {} service_networks {{ {} }}\n", table, to_string(e.services));
  // Added before it is deleted, so that deleting is fine when it was not there.
  text += fmt::format("add element inet {} outbound {{ \"{}\" }}\n", table, e.bridge);
  if (!e.outbound) text += fmt::format("delete element inet {} outbound {{ \"{}\" }}\n", table, e.bridge);
  return text;
}

std::string render_environment_removal(const std::string& table, const Ruleset::Environment& e) {
  std::string text = render_environment(table, {e.bridge, e.services, false});
  text += fmt::format("delete element inet {} same {{ \"{}\" . \"{}\" }}\n", table, e.bridge, e.bridge);
  text += fmt::format("delete element inet {} service_networks {{ {} }}\n", table, to_string(e.services));
  return text;
}

std::string render_entry(const std::string& table, const Ruleset::Entry& entry) {
  const std::string name = chain(entry);
  std::string text = fmt::format("add chain inet {0} {1}\nflush chain inet {0} {1}\n", table, name);
  if (entry.port.http) {
    text += fmt::format("add rule inet {} {} goto to_proxy\n", table, name);
  } else if (entry.endpoints.size() == 1) {
    text += fmt::format("add rule inet {} {} meta l4proto {} dnat ip to {}:{}\n", table, name,
                        protocol(entry.port), to_string(entry.endpoints[0]), entry.port.target);
  } else if (!entry.endpoints.empty()) {
    std::string targets;
    for (std::size_t i = 0; i < entry.endpoints.size(); ++i)
      targets +=
          fmt::format("{}{} : {} . {}", i ? ", " : "", i, to_string(entry.endpoints[i]), entry.port.target);
    text += fmt::format(
        "add rule inet {} {} meta l4proto {} dnat ip addr . port to numgen inc mod {} map {{ {} }}\n", table,
        name, protocol(entry.port), entry.endpoints.size(), targets);
  }  // without an endpoint the packet goes on to the forward chain, which refuses it
  text += fmt::format("add element inet {} services {{ {} : goto {} }}\n", table, key(entry), name);
  return text;
}

std::string render_entry_removal(const std::string& table, const Ruleset::Entry& entry) {
  return render_entry(table, entry) + fmt::format(
                                          "delete element inet {0} services {{ {1} }}\nflush chain inet {0} "
                                          "{2}\ndelete chain inet {0} {2}\n",
                                          table, key(entry), chain(entry));
}

std::string render_closed(const std::string& table, Address instance, bool closed) {
  std::string text = fmt::format("add element inet {} closed {{ {} }}\n", table, to_string(instance));
  if (!closed) text += fmt::format("delete element inet {} closed {{ {} }}\n", table, to_string(instance));
  return text;
}

std::string render(const Ruleset& r) {
  std::string text = fmt::format(R"(table inet {0}
delete table inet {0}
table inet {0} {{
  set {3} {{ type ipv4_addr; flags interval; comment "{4}"; elements = {{ {2} }}; }}
  set same {{ type ifname . ifname; }}
  set outbound {{ type ifname; }}
  set service_networks {{ type ipv4_addr; flags interval; }}
  set closed {{ type ipv4_addr; }}
  map services {{ type ipv4_addr . inet_proto . inet_service : verdict; }}
  chain to_proxy {{ }}
  chain proxy {{ }}
  chain proxy_port {{ }}

  chain prerouting {{
    type nat hook prerouting priority dstnat; policy accept;
    iifname "{1}*" ip daddr . meta l4proto . th dport vmap @services
  }}
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "{1}*" ct status dnat masquerade
    ip saddr {2} oifname != "{1}*" masquerade
  }}

  chain input {{
    type filter hook input priority filter; policy accept;
    iifname "{1}*" jump from_instance
    iifname != "lo" ip daddr {2} drop
    iifname != "lo" jump proxy_port
  }}
  chain from_instance {{
    ct state established,related accept
    meta l4proto {{ tcp, udp }} th dport 53 fib daddr . iif type local accept
    jump proxy
    meta l4proto tcp reject with tcp reset
    reject with icmpx admin-prohibited
  }}

  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname "{1}*" jump from_environment
    oifname "{1}*" jump to_environment
  }}
  chain from_environment {{
    ct state established,related accept
    ct status dnat iifname . oifname @same accept
    ip daddr @service_networks meta l4proto tcp reject with tcp reset
    ip daddr @service_networks reject
    iifname . oifname @same accept
    oifname "{1}*" reject with icmpx admin-prohibited
    ip daddr {{ {2}, 169.254.0.0/16 }} reject with icmpx admin-prohibited
    ip saddr @closed reject with icmpx admin-prohibited
    iifname @outbound accept
    reject with icmpx admin-prohibited
  }}
  chain to_environment {{
    ct state established,related accept
    iifname . oifname @same accept
    drop
  }}
  chain output {{
    type filter hook output priority filter; policy accept;
    oifname "{1}*" icmp type redirect drop
  }}
}}
)",
                                 r.table, r.bridge_prefix, to_string(r.range), kClaim, r.comment);
  text += render_proxy_port(r.table, r.proxy_port);
  for (const auto& environment : r.environments) text += render_environment(r.table, environment);
  for (const auto& entry : r.entries) text += render_entry(r.table, entry);
  for (const auto address : r.closed) text += render_closed(r.table, address, true);
  return text;
}

}  // namespace tow::engine::local
