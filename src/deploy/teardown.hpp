// SPDX-License-Identifier: Apache-2.0
#pragma once
// How things end: everything of a deployment that is marked for deletion goes, in order; each step can be
// repeated.

#include "deploy/core.hpp"

namespace tow::deploy {

/// Traffic, instances, jobs, names, logs, configuration of its own; then it lets the entity go, and the store
/// collects what it owned.
Task<control::Outcome> tear_down(Core& core, Entity<Deployment> deployment);

/// Erases configuration and secrets of a scope, in the transaction.
void erase_scope(const store::Snapshot& snapshot, const std::string& project, const std::string& scope,
                 store::Transaction& transaction);

}  // namespace tow::deploy
