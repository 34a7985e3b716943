// SPDX-License-Identifier: Apache-2.0
#pragma once
// From the plan of a Score document to what the engine runs. Pure.

#include <map>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "model/deployment.hpp"
#include "model/project.hpp"
#include "model/score_plan.hpp"

namespace tow::deploy {

struct WorkloadPlace {
  std::string project;
  std::string environment;
  engine::EnvironmentId environment_uid;
  std::uint32_t user_base = 0;
  EnvironmentType::Spec policy;
  std::map<std::string, std::string> volumes;  // uid by identity of the resource
};

/// Throws Error{Invalid} when the plan asks for more than the environment's type allows, or for an image that
/// the release does not have.
engine::Workload workload(const score::Plan& plan, const Release::Spec& release, const WorkloadPlace& place);
/// Every mount of every container.
std::vector<score::PlannedVolume> mounts_of(const score::Plan& plan);

/// For a job: the main container alone, which nobody probes or waits for.
void as_job(engine::Workload& workload);

/// What a revision records of its plan.
void record_plan(const score::Plan& plan, const std::string& domain, const std::string& environment,
                 Revision::Spec& revision);

}  // namespace tow::deploy
