// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the names and ids of other folders say: revisions are called COMPONENT.ENVIRONMENT.NUMBER, instances
// REVISIONUID-N, and the sites of a deployment DEPLOYMENTUID and DEPLOYMENTUIDpPORT.

#include <optional>
#include <string>
#include <string_view>

namespace tow::observe {

struct RevisionName {
  std::string component;
  std::string environment;
  int number = 0;
  std::string deployment() const { return component + "." + environment; }
};
std::optional<RevisionName> parse_revision_name(std::string_view name);

/// An end of the instance's id that tells it from others: "x7k2q-0".
std::string short_name(std::string_view instance);

/// The uid of a group in an instance's id.
std::string_view group_of(std::string_view instance);
/// The uid of a deployment in the id of one of its sites.
std::string_view deployment_of(std::string_view site);

}  // namespace tow::observe
