// SPDX-License-Identifier: Apache-2.0
// Where the traffic goes in one pass: sites, service, routes, and the preview of a new side.
#include <algorithm>

#include "base/fault.hpp"
#include "deploy/names.hpp"
#include "deploy/pass.hpp"

namespace tow::deploy {
namespace {

using Phase = Revision::Phase;

}  // namespace

// Whose ports and routes count: what serves, else what comes up, else the newest: whoever asks is told then
// that nothing is ready.
Tracked* Pass::front() {
  if (auto* found = serving()) return found;
  Tracked* newest = nullptr;
  for (auto& each : all_)
    if (each.entity.status.phase == Phase::Starting || each.entity.status.phase == Phase::Pending)
      newest = &each;
  return newest || all_.empty() ? newest : &all_.back();
}

// The sides of the deployment's own sites.
std::vector<Side> Pass::sides() {
  std::vector<Side> made;
  int given = 0;
  for (auto& each : all_) {
    const auto& status = each.entity.status;
    if (!each.group || leaving_.contains(each.number())) continue;
    const bool shares =
        status.weight > 0 && (status.phase == Phase::Starting || status.phase == Phase::Failed);
    const bool leaves =
        status.phase == Phase::Draining || (status.phase == Phase::Failed && status.draining_since);
    if (!shares && !leaves && status.phase != Phase::Serving) continue;
    Side side{.revision = &each.entity.spec,
              .instances = each.group->instances,
              .share = shares ? status.weight : 0,
              .plain = status.phase == Phase::Serving || (shares && wanted_.batches)};
    if (const auto shrinking = memory_.shrinking.find(each.number()); shrinking != memory_.shrinking.end())
      side.count = shrinking->second.to;
    given += side.share;
    made.push_back(std::move(side));
  }
  for (auto& side : made)
    if (auto* now = serving(); now && side.revision == &now->entity.spec)
      side.share = std::max(100 - given, 0);
  return made;
}

// A revision that is ready beside the one that serves can be looked at.
std::vector<route::Site> Pass::preview_sites(const store::Snapshot& snapshot) {
  previews_.clear();
  auto* next = coming();
  if (deployment_.spec.strategy.type != StrategyType::BlueGreen || !next || !next->group || !serving())
    return {};
  if (wanted_.stages.empty() || leaving_.contains(next->number())) return {};
  TrafficInput input{
      .deployment_uid = preview_uid(deployment_.uid()),
      .title = fmt::format("{} {} (revision {})", deployment_.project(), deployment_.name(), next->number()),
      .service = {},
      .environment = {},
      .address = {},
      .front = &next->entity.spec,
      .routes = {},
      .sides = {}};
  for (auto route : next->entity.spec.routes) {
    route.host = preview_host(route.host);
    if (taken_by(snapshot, route, deployment_.uid())) continue;
    previews_.push_back(url(route));
    input.routes.push_back(std::move(route));
  }
  if (input.routes.empty()) return {};
  input.sides.push_back({.revision = &next->entity.spec, .instances = next->group->instances, .share = 100});
  auto made = sites_of(input);
  std::erase_if(made, [](const route::Site& site) { return site.matches.empty(); });
  return made;
}

Task<> Pass::direct_traffic() {
  auto* face = front();
  if (!face) {
    co_await leave_sites({});
    co_return;
  }
  TrafficInput input{.deployment_uid = deployment_.uid(),
                     .title = fmt::format("{} {}", deployment_.project(), deployment_.name()),
                     .service = deployment_.spec.component,
                     .environment = environment_.uid(),
                     .address = memory_.address,
                     .front = &face->entity.spec,
                     .routes = {},
                     .sides = sides()};
  const auto snapshot = core_.snapshot();
  for (const auto& route : face->entity.spec.routes)
    if (!taken_by(*snapshot, route, deployment_.uid())) input.routes.push_back(route);
  if (const auto service = service_of(input)) {
    const auto told = fingerprint(*service);
    if (told != memory_.service) {
      memory_.address = co_await core_.settings.engine.ensure_service(*service);
      fault_point("deploy.service-ensured");
      memory_.service = told;
      input.address = memory_.address;
    }
  } else if (!memory_.service.empty() || !deployment_.status.address.empty()) {
    co_await core_.settings.engine.remove_service(environment_.uid(), deployment_.spec.component);
    memory_.service.clear();
    memory_.address.clear();
  }
  auto sites = sites_of(input);
  std::ranges::move(preview_sites(*snapshot), std::back_inserter(sites));
  std::set<route::SiteId> kept;
  for (const auto& site : sites) kept.insert(site.id);
  co_await leave_sites(kept);
  for (const auto& site : sites) {
    const auto told = fingerprint(site);
    if (memory_.sites[site.id] == told) continue;
    co_await core_.settings.router.apply(site);
    fault_point("deploy.traffic-moved");
    memory_.sites[site.id] = told;
  }
  urls_.clear();
  for (const auto& route : input.routes) urls_.push_back(url(route));
}

Task<> Pass::leave_sites(std::set<route::SiteId> kept) {
  std::vector<route::SiteId> gone;
  for (const auto& [id, told] : memory_.sites)
    if (!kept.contains(id)) gone.push_back(id);
  for (const auto& id : gone) {
    co_await core_.settings.router.remove(id);
    memory_.sites.erase(id);
  }
}

std::string Pass::url(const RevisionRoute& route) const {
  const auto port = core_.settings.router.public_port();
  const auto path = route.path == "/" ? std::string{} : route.path;
  return port == 80 ? fmt::format("http://{}{}", route.host, path)
                    : fmt::format("http://{}:{}{}", route.host, port, path);
}

// Route entities follow what serves and what is to serve.
void Pass::record_routes(const store::Snapshot& snapshot, store::Transaction& transaction) {
  std::map<std::string, Route::Spec> wanted;
  for (auto* each : {front(), find(target_.revision)}) {
    if (!each) continue;
    for (const auto& route : each->entity.spec.routes) {
      std::uint16_t target = route.port;
      for (const auto& port : each->entity.spec.ports)
        if (port.port == route.port && !port.udp) target = port.target;
      wanted[route_name(deployment_.name(), route.host, route.path)] = {
          .deployment = deployment_.name(), .host = route.host, .path = route.path, .port = target};
    }
  }
  for (const auto& record : snapshot.list({.kind = std::string{Route::kind},
                                           .project = deployment_.project(),
                                           .owner = deployment_.uid(),
                                           .labels = {}})) {
    const auto found = wanted.find(record->key.name);
    if (found == wanted.end()) {
      if (!record->deleted) transaction.erase(record->key);
      continue;
    }
    if (auto spec = encode_spec<Route>(found->second); spec != record->spec)
      transaction.put_spec(record->key, std::move(spec));
    wanted.erase(found);
  }
  for (const auto& [name, spec] : wanted) {
    auto record = draft<Route>(deployment_.project(), name, spec);
    record.owner = deployment_.uid();
    record.labels = deployment_labels(deployment_.spec.component, deployment_.spec.environment);
    record.labels["host"] = spec.host;
    transaction.create(std::move(record));
  }
}

}  // namespace tow::deploy
