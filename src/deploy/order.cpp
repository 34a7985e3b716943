// SPDX-License-Identifier: Apache-2.0
#include "deploy/order.hpp"

#include <algorithm>

#include "deploy/change.hpp"
#include "deploy/names.hpp"

namespace tow::deploy {
namespace {

using Phase = Deployment::Phase;

/// How far one is that others wait for.
struct Standing {
  bool live = false;
  bool person = false;  // it goes on when somebody continues it
  std::string refused;  // why it will not be live
};

Standing standing(const store::Snapshot& snapshot, const std::string& project, const std::string& environment,
                  const Awaited& awaited) {
  const auto record = snapshot.get(key<Deployment>(project, deployment_name(awaited.component, environment)));
  if (!record || record->deleted) return {.refused = "was destroyed"};
  const auto deployment = decode<Deployment>(record);
  const auto& [spec, status] = std::tie(deployment.spec, deployment.status);
  if (spec.next && spec.next->release == awaited.release) {
    if (!spec.next->refused.empty()) return {.refused = "was not deployed"};
    return {.person = status.waits_for_person};
  }
  // A rollback, or a later push: with what it was to be live together, it will not be.
  if (spec.next || spec.release != awaited.release) return {.refused = "was given another release"};
  if (status.observed_generation < record->generation) return {};
  switch (status.phase) {
    case Phase::Healthy:
      return {.live = true};
    case Phase::Failed:
    case Phase::Degraded:
      return {.refused = "failed"};
    case Phase::Pending:
    case Phase::Progressing:
      return {.person = status.rollout && status.rollout->waiting};
  }
  return {};
}

Task<> refuse(Core& core, const Entity<Deployment>& deployment, std::string why) {
  co_await change_deployment(core, deployment.key(), deployment.spec.next->by,
                             [&](const Entity<Deployment>& now, Deployment::Spec& spec) {
                               // Somebody may have asked for something else meanwhile.
                               if (now.spec.next && now.spec.next->release == deployment.spec.next->release)
                                 spec.next->refused = why;
                             });
}

}  // namespace

std::optional<NextDeployment> in_order(const store::Snapshot& snapshot, const api::Call& call,
                                       const DeployInput& input, const std::string& release,
                                       const std::vector<std::string>& depends_on) {
  const auto& project = call.target.project;
  NextDeployment made{.release = release, .input = {}, .by = call.subject.name, .after = {}, .refused = {}};
  bool waits = false;
  for (const auto& name : depends_on) {
    if (std::ranges::find(input.with, name) == input.with.end()) continue;
    const auto record = snapshot.get(key<Deployment>(project, deployment_name(name, input.environment)));
    if (!record) continue;
    const auto spec = decode<Deployment>(record).spec;
    made.after.push_back({.component = name, .release = spec.next ? spec.next->release : spec.release});
    waits = waits || !standing(snapshot, project, input.environment, made.after.back()).live;
  }
  if (!waits) return {};
  auto later = input;
  later.release = release;
  later.image.clear();
  later.from.clear();
  later.score = {};
  later.with.clear();
  made.input = write(later);
  return made;
}

Deployment::Spec waiting_spec(const DeployInput& input, const std::optional<Entity<Deployment>>& before,
                              NextDeployment next) {
  Deployment::Spec spec;
  if (before) {
    spec = before->spec;
  } else {
    spec.component = input.component;
    spec.environment = input.environment;
    spec.cause = input.cause;
    spec.by = next.by;
  }
  spec.next = std::move(next);
  return spec;
}

Task<bool> deploy_next(Core& core, Entity<Deployment> deployment) {
  const auto& next = deployment.spec.next;
  if (!next || !next->refused.empty()) co_return false;
  const auto snapshot = core.snapshot();
  for (const auto& each : next->after) {
    const auto found = standing(*snapshot, deployment.project(), deployment.spec.environment, each);
    if (!found.refused.empty()) {
      co_await refuse(
          core, deployment,
          fmt::format("not deployed: {}, which it depends on, {}", each.component, found.refused));
      co_return true;
    }
    if (!found.live) co_return false;
  }
  std::string problem;
  try {
    auto input = read_document<DeployInput>(next->input, "what is next", Strictness::Stored);
    api::Call call{.subject = {.name = next->by, .administrator = true},
                   .target = key<Deployment>(deployment.project(), {}),
                   .time = core.now()};
    co_await core.deploy(std::move(call), std::move(input));
  } catch (const Error& error) {
    if (!is_permanent(error.code())) throw;
    problem = error.message();
    for (const auto& fault : error.faults()) problem += "; " + describe(fault);
  }
  if (!problem.empty()) co_await refuse(core, deployment, "not deployed: " + problem);
  co_return true;
}

void tell_of_next(const store::Snapshot& snapshot, const Entity<Deployment>& deployment,
                  Deployment::Status& status) {
  const auto& next = deployment.spec.next;
  if (!next) return;
  status.phase = Phase::Failed;
  status.message = next->refused;
  if (next->refused.empty()) {
    std::vector<std::string> people;
    for (const auto& each : next->after) {
      const auto found = standing(snapshot, deployment.project(), deployment.spec.environment, each);
      if (found.live) continue;
      status.waits_for.push_back(each.component);
      if (found.person) people.push_back(deployment_name(each.component, deployment.spec.environment));
    }
    status.waits_for_person = !people.empty();
    status.phase = Phase::Progressing;
    status.message = fmt::format("waits for {}", fmt::join(status.waits_for, ", "));
    if (!people.empty())
      status.message += fmt::format(", which tow rollout continue {} takes on", fmt::join(people, ", "));
  }
  if (status.serving) status.message += fmt::format("; revision {} goes on serving", status.serving);
}

}  // namespace tow::deploy
