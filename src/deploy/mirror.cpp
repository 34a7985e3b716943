// SPDX-License-Identifier: Apache-2.0
// What the engine has, in the store: instances; and what it has that the store does not know: orphans.
// Volumes that are to go.
#include <algorithm>

#include "base/log.hpp"
#include "deploy/core.hpp"
#include "deploy/names.hpp"

namespace tow::deploy {
namespace {

// "Ready"
std::string phase_name(engine::Phase phase) {
  std::string text{engine::name(phase)};
  if (!text.empty() && text[0] >= 'a') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

ContainerStatus status_of(const engine::ContainerView& view) {
  ContainerStatus made{.name = view.name,
                       .phase = view.complete ? "Complete" : phase_name(view.phase),
                       .restarts = view.restarts,
                       .reason = view.reason,
                       .started = view.started,
                       .last_end = {}};
  if (view.last_end)
    made.last_end = EndStatus{
        .time = view.last_end->time, .exit_code = view.last_end->exit_code, .reason = view.last_end->reason};
  return made;
}

Instance::Status status_of(const engine::InstanceView& view) {
  Instance::Status made{.phase = phase_name(view.phase),
                        .address = view.address,
                        .restarts = view.restarts,
                        .exit_code = view.exit_code,
                        .reason = view.reason,
                        .started = view.started,
                        .ready = view.ready,
                        .containers = {}};
  for (const auto& container : view.containers) made.containers.push_back(status_of(container));
  return made;
}

// An engine that is new, or a machine that was off, knows no ends of before; the record does.
void keep_last_ends(const RecordPtr& before, Instance::Status& status) {
  for (const auto& known : decode<Instance>(before).status.containers)
    for (auto& container : status.containers)
      if (container.name == known.name && !container.last_end) container.last_end = known.last_end;
}

void mirror(const store::Snapshot& snapshot, const Record& revision,
            const std::optional<engine::GroupView>& group, const std::string& deployment,
            store::Transaction& transaction) {
  std::map<std::string, RecordPtr> known;
  for (auto& record : snapshot.list({.kind = std::string{Instance::kind},
                                     .project = revision.key.project,
                                     .owner = revision.uid,
                                     .labels = {}}))
    known.emplace(record->key.name, std::move(record));
  if (group)
    for (const auto& view : group->instances) {
      const auto found = known.find(view.id);
      auto seen = status_of(view);
      if (found != known.end()) keep_last_ends(found->second, seen);
      auto status = encode_status<Instance>(seen);
      if (found != known.end()) {
        if (found->second->status != status) transaction.put_status(found->second->key, std::move(status));
        known.erase(found);
        continue;
      }
      auto record = draft<Instance>(revision.key.project, view.id,
                                    {.revision = revision.key.name, .deployment = deployment});
      record.owner = revision.uid;
      record.labels = revision.labels;
      const auto key = record.key;
      transaction.create(std::move(record));
      transaction.put_status(key, std::move(status));
    }
  for (const auto& [name, record] : known)
    if (!record->deleted) transaction.erase(record->key);
}

}  // namespace

// `id` is a deployment's key.
Task<control::Outcome> Core::reconcile_instances(Key id) {
  const auto view = snapshot();
  const auto deployment = view->get(id);
  if (!deployment) co_return control::Outcome{};
  store::Transaction transaction;
  for (const auto& revision : view->list({.kind = std::string{Revision::kind},
                                          .project = id.project,
                                          .owner = deployment->uid,
                                          .labels = {}}))
    if (!revision->deleted)
      mirror(*view, *revision, settings.engine.group(revision->uid), id.name, transaction);
  if (!transaction.empty()) co_await settings.store.commit(std::move(transaction), store::Durability::Soon);
  co_return control::Outcome{};
}

// A group that no revision stands for: its record is gone, so nobody will ever ask for it again.
Task<control::Outcome> Core::reconcile_orphan(Key id) {
  const auto group = settings.engine.group(id.name);
  if (!group || group->retiring || snapshot()->get_by_uid(id.name)) co_return control::Outcome{};
  log::warning("deploy", "the engine has a group {} of which nothing is recorded; it is ended", id.name);
  co_await settings.engine.retire(id.name, settings.limits.grace);
  co_return control::Outcome{};
}

Task<control::Outcome> Core::reconcile_volume(Key id) {
  const auto view = snapshot();
  const auto record = view->get(id);
  if (!record || !record->deleted) co_return control::Outcome{};
  // What mounts it must have ended.
  for (const auto& revision : view->list({.kind = std::string{Revision::kind},
                                          .project = id.project,
                                          .owner = {},
                                          .labels = record->labels})) {
    const auto spec = decode<Revision>(revision).spec;
    const bool mounts = std::ranges::find(spec.volumes, id.name) != spec.volumes.end();
    if (mounts && settings.engine.group(revision->uid))
      co_return control::Outcome{.again = std::chrono::seconds{2}};
  }
  co_await settings.engine.remove_volume(record->uid);
  store::Transaction transaction;
  transaction.remove_finalizer(id, std::string{kFinalizer});
  co_await settings.store.commit(std::move(transaction));
  co_return control::Outcome{};
}

Task<control::Outcome> Core::settle_router(Key) {
  co_await settings.router.settle();
  co_return control::Outcome{};
}

}  // namespace tow::deploy
