// SPDX-License-Identifier: Apache-2.0
#pragma once
// Making a job, and ending it; the jobs controller carries it out.

#include "deploy/core.hpp"

namespace tow::deploy {

/// Of the revision that serves, else the newest. Throws Error{FailedPrecondition} when there is none.
Task<Entity<Job>> create_job(Core& core, const api::Call& call, const Entity<Deployment>& deployment,
                             const ExecInput& input);

/// It ends soon, if it has not ended; says why. Its record and its logs stay.
void cancel_job(const Entity<Job>& job, std::string why, store::Transaction& transaction);

}  // namespace tow::deploy
