// SPDX-License-Identifier: Apache-2.0
#include "deploy/teardown.hpp"

#include "base/fault.hpp"
#include "base/log.hpp"
#include "deploy/names.hpp"
#include "deploy/traffic.hpp"

namespace tow::deploy {
namespace {

// The engine and the store tell when something is gone; this is for what they might not tell.
constexpr Duration kPatience = std::chrono::seconds{2};

std::vector<RecordPtr> owned(const store::Snapshot& snapshot, std::string_view kind, const Record& owner) {
  return snapshot.list(
      {.kind = std::string{kind}, .project = owner.key.project, .owner = owner.uid, .labels = {}});
}

Task<> end_traffic(Core& core, const Entity<Deployment>& deployment,
                   const std::vector<Entity<Revision>>& revisions) {
  std::set<route::SiteId> sites;
  auto memory = core.recall(deployment.uid());
  for (const auto& [id, told] : memory.sites) sites.insert(id);
  for (const auto& revision : revisions)
    for (const auto& uid : {deployment.uid(), preview_uid(deployment.uid())})
      for (auto& id : site_ids(uid, revision.spec)) sites.insert(std::move(id));
  for (const auto& id : sites) co_await core.settings.router.remove(id);
  memory.sites.clear();
  core.remember(deployment.uid(), std::move(memory));
}

// True when the engine has none of its groups any more.
Task<bool> end_instances(Core& core, const std::vector<Entity<Revision>>& revisions) {
  bool gone = true;
  for (const auto& revision : revisions) {
    const auto group = core.settings.engine.group(revision.uid());
    if (!group) continue;
    gone = false;
    if (!group->retiring) co_await core.settings.engine.retire(revision.uid(), core.settings.limits.grace);
  }
  co_return gone;
}

}  // namespace

void erase_scope(const store::Snapshot& snapshot, const std::string& project, const std::string& scope,
                 store::Transaction& transaction) {
  if (const auto record = snapshot.get(key<Configuration>(project, scope)); record && !record->deleted)
    transaction.erase(record->key);
  for (const auto& record : snapshot.list({.kind = std::string{Secret::kind},
                                           .project = project,
                                           .owner = {},
                                           .labels = {{"scope", scope}}}))
    if (!record->deleted) transaction.erase(record->key);
}

Task<control::Outcome> tear_down(Core& core, Entity<Deployment> deployment) {
  auto snapshot = core.snapshot();
  const auto& record = *deployment.record;
  const auto revisions = revisions_of(*snapshot, record);
  co_await end_traffic(core, deployment, revisions);
  fault_point("deploy.traffic-ended");

  store::Transaction first;
  for (const auto& route : owned(*snapshot, Route::kind, record))
    if (!route->deleted) first.erase(route->key);
  const auto jobs = owned(*snapshot, Job::kind, record);
  for (const auto& job : jobs)
    if (!job->deleted) first.erase(job->key);
  if (!first.empty()) co_await core.settings.store.commit(std::move(first));

  const bool gone = co_await end_instances(core, revisions);
  if (!gone || !jobs.empty()) co_return control::Outcome{.again = kPatience};

  const auto environment = snapshot->get(key<Environment>(deployment.project(), deployment.spec.environment));
  if (environment) co_await core.settings.engine.remove_service(environment->uid, deployment.spec.component);
  fault_point("deploy.service-ended");
  for (const auto& revision : revisions) co_await core.settings.engine.remove_logs(revision.uid());

  snapshot = core.snapshot();
  store::Transaction last;
  erase_scope(*snapshot, deployment.project(), deployment.name(), last);
  last.remove_finalizer(deployment.key(), std::string{kFinalizer});
  co_await core.settings.store.commit(std::move(last));
  core.forget(deployment.uid());
  log::info("deploy", "{} {} is gone", deployment.project(), deployment.name());
  co_return control::Outcome{};
}

}  // namespace tow::deploy
