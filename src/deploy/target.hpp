// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which revision a deployment wants: one that exists, or one that is made now.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "deploy/core.hpp"
#include "deploy/planning.hpp"
#include "model/score_plan.hpp"

namespace tow::deploy {

/// A revision's parts, as planned.
struct Prepared {
  Release::Spec release;
  score::Document document;  // with overrides
  PlanInput input;           // refers to both
  std::optional<score::Plan> plan;
};

struct Target {
  int revision = 0;     // 0: none can be made
  std::string problem;  // why
  bool waits = false;   // … which may pass by itself: a component that it refers to is not there yet
  std::optional<Entity<Revision>> made;  // it was made now
  std::unique_ptr<Prepared> prepared;    // … of this
};

Task<Target> find_target(Core& core, Entity<Deployment> deployment, std::vector<Entity<Revision>> revisions,
                         Memory& memory);

/// The values that a deployment has now for the names.
std::map<std::string, Resolved> resolve_for(const store::Snapshot& snapshot,
                                            const Entity<Deployment>& deployment,
                                            const std::vector<std::string>& names);

/// What an instance of a revision is made of. `prepared` spares planning it again; may be null.
Task<engine::Workload> workload_of(Core& core, const Entity<Deployment>& deployment,
                                   const Entity<Revision>& revision, const Prepared* prepared);

}  // namespace tow::deploy
