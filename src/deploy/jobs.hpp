// SPDX-License-Identifier: Apache-2.0
#pragma once
// Making a job; the jobs controller carries it out.

#include "deploy/core.hpp"

namespace tow::deploy {

/// Of the revision that serves, else the newest. Throws Error{FailedPrecondition} when there is none.
Task<Entity<Job>> create_job(Core& core, const api::Call& call, const Entity<Deployment>& deployment,
                             const ExecInput& input);

}  // namespace tow::deploy
