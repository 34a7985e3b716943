// SPDX-License-Identifier: Apache-2.0
#include "deploy/traffic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tow::deploy {
namespace {

bool is_routed(const Revision::Spec& revision, std::uint16_t port) {
  return std::ranges::any_of(revision.routes, [&](const auto& route) { return route.port == port; });
}

// The ports that have a site, the first one first.
std::vector<std::uint16_t> site_ports(const Revision::Spec& revision) {
  std::vector<std::uint16_t> ports;
  for (const auto& port : revision.ports)
    if (!port.udp && (port.http || is_routed(revision, port.port))) ports.push_back(port.port);
  std::ranges::sort(ports, {},
                    [&](std::uint16_t port) { return std::pair{!is_routed(revision, port), port}; });
  return ports;
}

route::SiteId site_id(const std::string& uid, std::size_t place, std::uint16_t port) {
  return place == 0 ? uid : fmt::format("{}p{}", uid, port);
}

const RevisionPort* find_port(const Revision::Spec& revision, std::uint16_t port) {
  for (const auto& each : revision.ports)
    if (each.port == port && !each.udp) return &each;
  return nullptr;
}

bool is_open(const Side& side, const engine::InstanceView& instance) {
  return instance.phase == engine::Phase::Ready && instance.ordinal < side.count && !instance.address.empty();
}

// Of one ready instance of each side: its part of the side's share, on the router's scale.
std::vector<int> weights(const std::vector<Side>& sides) {
  constexpr double kMost = 256;
  std::vector<double> parts;
  for (const auto& side : sides) {
    const auto open =
        std::ranges::count_if(side.instances, [&](const auto& instance) { return is_open(side, instance); });
    parts.push_back(open && side.share > 0 ? static_cast<double>(side.share) / static_cast<double>(open) : 0);
  }
  const auto sharing = std::ranges::count_if(parts, [](double part) { return part > 0; });
  const double most = parts.empty() ? 0 : std::ranges::max(parts);
  std::vector<int> made;
  for (const double part : parts)
    made.push_back(part == 0      ? 0
                   : sharing == 1 ? 100
                                  : std::max(1, static_cast<int>(std::lround(kMost * part / most))));
  return made;
}

void add_servers(const Side& side, std::uint16_t port, int weight, route::Site& site) {
  const auto* found = find_port(*side.revision, port);
  if (!found) return;
  for (const auto& instance : side.instances) {
    const bool ready = instance.phase == engine::Phase::Ready;
    // What was ready may have sessions, which go on.
    const bool leaving =
        instance.phase == engine::Phase::Unready || instance.phase == engine::Phase::Stopping;
    if (instance.address.empty() || (!ready && !leaving)) continue;
    site.servers.push_back({.id = instance.id,
                            .address = instance.address,
                            .port = found->target,
                            .weight = is_open(side, instance) ? weight : 0});
  }
}

}  // namespace

std::vector<route::Site> sites_of(const TrafficInput& input) {
  std::vector<route::Site> sites;
  const auto ports = site_ports(*input.front);
  for (std::size_t place = 0; place < ports.size(); ++place) {
    route::Site site;
    site.id = site_id(input.deployment_uid, place, ports[place]);
    site.title = input.title;
    for (const auto& route : input.routes)
      if (route.port == ports[place])
        site.matches.push_back({.host = route.host, .path = route.path, .address = {}, .port = 0});
    if (!input.address.empty() && find_port(*input.front, ports[place])->http)
      site.matches.push_back({.host = {}, .path = "/", .address = input.address, .port = ports[place]});
    const auto weight = weights(input.sides);
    for (std::size_t i = 0; i < input.sides.size(); ++i)
      add_servers(input.sides[i], ports[place], weight[i], site);
    sites.push_back(std::move(site));
  }
  return sites;
}

std::optional<engine::Service> service_of(const TrafficInput& input) {
  if (input.front->ports.empty()) return {};
  engine::Service service{
      .environment = input.environment, .name = input.service, .ports = {}, .endpoints = {}};
  for (const auto& port : input.front->ports)
    service.ports.push_back({.port = port.port,
                             .target = port.target,
                             .protocol = port.udp ? engine::Protocol::Udp : engine::Protocol::Tcp,
                             .http = port.http});
  for (const auto& side : input.sides)
    for (const auto& instance : side.instances)
      if (side.plain && instance.phase == engine::Phase::Ready && instance.ordinal < side.count)
        service.endpoints.push_back(instance.address);
  return service;
}

std::vector<route::SiteId> site_ids(const std::string& deployment_uid, const Revision::Spec& revision) {
  std::vector<route::SiteId> ids;
  const auto ports = site_ports(revision);
  for (std::size_t place = 0; place < ports.size(); ++place)
    ids.push_back(site_id(deployment_uid, place, ports[place]));
  return ids;
}

std::string preview_uid(const std::string& deployment_uid) { return deployment_uid + "preview"; }

std::string fingerprint(const route::Site& site) {
  std::string text = fmt::format("{}|{}|{}", site.id, site.title, site.request_limit.count());
  for (const auto& match : site.matches)
    text += fmt::format("|{} {} {} {}", match.host, match.path, match.address, match.port);
  for (const auto& server : site.servers)
    text += fmt::format("|{} {} {} {}", server.id, server.address, server.port, server.weight);
  return text;
}

std::string fingerprint(const engine::Service& service) {
  std::string text = fmt::format("{}|{}", service.environment, service.name);
  for (const auto& entry : service.ports)
    text += fmt::format("|{} {} {} {}", entry.port, entry.target, entry.protocol == engine::Protocol::Udp,
                        entry.http);
  for (const auto& endpoint : service.endpoints) text += "|" + endpoint;
  return text;
}

}  // namespace tow::deploy
