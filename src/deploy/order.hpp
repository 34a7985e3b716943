// SPDX-License-Identifier: Apache-2.0
#pragma once
// Components that are deployed together: one that depends on another is deployed when the other is live.
// Until then its deployment keeps what it was asked for as `next`, and everything else in it goes on to hold:
// what runs can be scaled, configured, restarted and rolled back meanwhile. For src/deploy alone.

#include "deploy/core.hpp"

namespace tow::deploy {

/// What is to wait, and for whom: of what the release depends on and is deployed along with it
/// (`input.with`), whatever is not live yet. Nothing when it can be deployed now.
std::optional<NextDeployment> in_order(const store::Snapshot& snapshot, const api::Call& call,
                                       const DeployInput& input, const std::string& release,
                                       const std::vector<std::string>& depends_on);

/// A deployment's spec while it waits: as it was, or empty.
Deployment::Spec waiting_spec(const DeployInput& input, const std::optional<Entity<Deployment>>& before,
                              NextDeployment next);

/// Deploys what is next when its turn has come, or notes why it never will. True when it changed the
/// deployment.
Task<bool> deploy_next(Core& core, Entity<Deployment> deployment);

/// Says in the status of a deployment what is next, and what becomes of it.
void tell_of_next(const store::Snapshot& snapshot, const Entity<Deployment>& deployment,
                  Deployment::Status& status);

}  // namespace tow::deploy
