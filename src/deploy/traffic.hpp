// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which instances get which traffic: from revisions and instances to the router's sites and the engine's
// service. Pure. A deployment has one site for each port of its service that speaks HTTP or has a route; the
// first, the lowest port with a route (else the lowest), is called by the deployment's uid alone.

#include <climits>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "model/deployment.hpp"
#include "route/route.hpp"

namespace tow::deploy {

/// One revision's part in it.
struct Side {
  const Revision::Spec* revision = nullptr;
  std::vector<engine::InstanceView> instances;
  int count = INT_MAX;  // instances from this ordinal on get nothing new
  int share = 0;        // percent of what is new; 0: none gets any
  bool plain = false;   // plain TCP and UDP, which have no shares, lead to it
};

struct TrafficInput {
  std::string deployment_uid;
  std::string title;  // "shop web.development"
  std::string service;
  engine::EnvironmentId environment;
  std::string address;  // of the service, with which its HTTP ports are matched; may be empty
  const Revision::Spec* front = nullptr;  // whose ports and routes count
  std::vector<RevisionRoute> routes;      // of those, the ones that are this deployment's
  std::vector<Side> sides;
};

std::vector<route::Site> sites_of(const TrafficInput& input);
/// Nothing when it has no ports.
std::optional<engine::Service> service_of(const TrafficInput& input);
/// What stands for the deployment's uid in the sites of a preview.
std::string preview_uid(const std::string& deployment_uid);
/// The ids that the sites of a revision may have, for removal.
std::vector<route::SiteId> site_ids(const std::string& deployment_uid, const Revision::Spec& revision);

/// Equal for equal sites; to leave out what is applied already.
std::string fingerprint(const route::Site& site);
std::string fingerprint(const engine::Service& service);

}  // namespace tow::deploy
