// SPDX-License-Identifier: Apache-2.0
#include "deploy/core.hpp"

#include <algorithm>

#include "deploy/names.hpp"

namespace tow::deploy {

void Core::poke(std::string_view controller, Key key) {
  std::function<void(std::string_view, Key)> copy;
  {
    const std::lock_guard lock{mutex};
    copy = poker;
  }
  if (copy) copy(controller, std::move(key));
}

// The engine knows groups and jobs by uid.
void Core::engine_saw(const std::string& id) {
  const auto view = snapshot();
  const auto record = view->get_by_uid(id);
  if (!record) return poke("orphans", {"Group", {}, id});
  if (record->key.kind == Job::kind) return poke("jobs", record->key);
  if (record->key.kind != Revision::kind) return;
  const auto deployment = deployment_of_revision(record->key);
  poke("deployments", deployment);
  poke("instances", deployment);
}

void Core::forget(const std::string& uid) {
  const std::lock_guard lock{mutex};
  memories.erase(uid);
}

Memory Core::recall(const std::string& uid) {
  const std::lock_guard lock{mutex};
  return memories[uid];
}

void Core::remember(const std::string& uid, Memory memory) {
  const std::lock_guard lock{mutex};
  memories[uid] = std::move(memory);
}

void Core::fed(const Key& deployment) {
  bool last = false;
  {
    const std::lock_guard lock{mutex};
    last = unfed.erase(deployment) > 0 && unfed.empty();
  }
  if (last) poke("settle", {"Router", {}, "router"});
}

std::vector<Key> Core::waiting_in(const std::string& project) {
  std::vector<Key> keys;
  const std::lock_guard lock{mutex};
  for (const auto& each : waiting)
    if (each.project == project) keys.push_back(each);
  return keys;
}

EnvironmentType::Spec policy_of(const store::Snapshot& snapshot, const Environment::Spec& environment) {
  const auto record = snapshot.get(key<EnvironmentType>({}, environment.type));
  return record ? decode<EnvironmentType>(record).spec : EnvironmentType::Spec{};
}

std::vector<Entity<Revision>> revisions_of(const store::Snapshot& snapshot, const Record& deployment) {
  std::vector<Entity<Revision>> revisions;
  for (const auto& record : snapshot.list({.kind = std::string{Revision::kind},
                                           .project = deployment.key.project,
                                           .owner = deployment.uid,
                                           .labels = {}}))
    if (!record->deleted) revisions.push_back(decode<Revision>(record));
  std::ranges::sort(revisions, {}, [](const auto& each) { return each.spec.number; });
  return revisions;
}

Entity<Deployment> need_deployment(const store::Snapshot& snapshot, const Key& key) {
  const auto record = snapshot.get(key);
  if (!record) {
    std::vector<std::string> known;
    for (const auto& each : snapshot.list(
             {.kind = std::string{Deployment::kind}, .project = key.project, .owner = {}, .labels = {}}))
      known.push_back(each->key.name);
    throw fail(Code::NotFound, "there is no deployment {} in {}{}", key.name, key.project,
               known.empty() ? "" : fmt::format("; there is {}", fmt::join(known, ", ")));
  }
  if (record->deleted) throw fail(Code::FailedPrecondition, "{} is being destroyed", key.name);
  return decode<Deployment>(record);
}

std::optional<std::string> taken_by(const store::Snapshot& snapshot, const RevisionRoute& route,
                                    const std::string& deployment_uid) {
  const auto all = snapshot.list(
      {.kind = std::string{Route::kind}, .project = {}, .owner = {}, .labels = {{"host", route.host}}});
  RecordPtr first;
  for (const auto& record : all) {
    if (record->deleted || decode<Route>(record).spec.path != route.path) continue;
    if (!first || record->created_revision < first->created_revision ||
        (record->created_revision == first->created_revision && record->uid < first->uid))
      first = record;
  }
  if (!first || first->owner == deployment_uid) return {};
  return fmt::format("{} of project {}", decode<Route>(first).spec.deployment, first->key.project);
}

}  // namespace tow::deploy
