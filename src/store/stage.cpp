// SPDX-License-Identifier: Apache-2.0
#include "store/stage.hpp"

#include <algorithm>

#include "base/ids.hpp"

namespace tow::store {
namespace {

// Serializers leave strings with room to grow; what is kept for long should not have it.
void trim(std::string& text) {
  if (text.capacity() > text.size() + text.size() / 8 + 32) text.shrink_to_fit();
}

bool same_content(const Record& a, const Record& b) {
  return a.spec == b.spec && a.status == b.status && a.labels == b.labels && a.annotations == b.annotations &&
         a.finalizers == b.finalizers && a.deleted == b.deleted;
}

}  // namespace

struct Stage::Running {
  Drafts drafts;  // in the order in which the transaction touches them
  std::map<Key, std::size_t> places;
  std::unordered_map<std::string, std::size_t> created_uids;
};

Stage::Stage(Index hot, const Log& log, const IsCold& is_cold, StoreRevision last, TimePoint now)
    : hot_{std::move(hot)}, log_{log}, is_cold_{is_cold}, last_{last}, now_{now} {}

StoreRevision Stage::apply(Transaction transaction) {
  Running running;
  for (Write write : transaction.writes()) {
    if (write.record.key.kind.empty() || write.record.key.name.empty())
      throw fail(Code::Invalid, "an entity needs a kind and a name; got \"{}\"", to_string(write.record.key));
    if (write.action == Write::Action::Create)
      create(running, std::move(write.record));
    else
      change(running, std::move(write));
  }
  auto changes = finish(running);
  if (changes.size() >> kOrdinalBits)
    throw fail(Code::Invalid, "{} changes are too many for one transaction", changes.size());
  if (changes.empty()) return last_;

  ++last_;
  Sequence ordinal = 0;
  for (auto& change : changes) {
    publish(change);
    auto before = running.drafts[running.places.at(change.record->key)].before;
    if (change.record->created_revision == last_) before = nullptr;
    changes_.push_back({sequence(last_, ordinal++), std::move(change), std::move(before)});
  }
  return last_;
}

void Stage::create(Running& running, Record record) {
  Draft& entity = draft(running, record.key);
  if (entity.exists) {
    throw fail(Code::AlreadyExists, "{} exists already{}", to_string(record.key),
               entity.current().deleted ? " (it is being deleted; wait until it is gone)" : "");
  }
  if (record.uid.empty())
    record.uid = new_uid();
  else if (exists(running, record.uid) || (entity.before && entity.before->uid == record.uid))
    throw fail(Code::AlreadyExists, "{}: the uid {} is taken", to_string(record.key), record.uid);
  if (!record.owner.empty() && !exists(running, record.owner))
    throw fail(Code::FailedPrecondition, "{}: its owner (uid {}) does not exist", to_string(record.key),
               record.owner);
  record.generation = 1;
  record.created_revision = record.revision = last_ + 1;
  record.created = now_;
  record.deleted.reset();
  trim(record.spec);
  trim(record.status);
  running.created_uids[record.uid] = running.places.at(record.key);
  entity.now = std::make_shared<Record>(std::move(record));
  entity.exists = true;
}

void Stage::change(Running& running, Write write) {
  const Key& key = write.record.key;
  Draft& entity = draft(running, key);
  if (!entity.exists) throw fail(Code::NotFound, "{} does not exist", to_string(key));
  if (write.if_revision && *write.if_revision != entity.current().revision) {
    throw fail(Code::Conflict, "{} has changed: it is at revision {}, not {}; read it again", to_string(key),
               entity.current().revision, *write.if_revision);
  }
  if (!entity.now) entity.now = std::make_shared<Record>(*entity.before);
  Record& record = *entity.now;
  const auto finalizer = std::ranges::find(record.finalizers, write.finalizer);
  switch (write.action) {
    case Write::Action::PutSpec:
      record.spec = std::move(write.record.spec);
      trim(record.spec);
      break;
    case Write::Action::PutStatus:
      record.status = std::move(write.record.status);
      trim(record.status);
      break;
    case Write::Action::PutMetadata:
      record.labels = std::move(write.record.labels);
      record.annotations = std::move(write.record.annotations);
      break;
    case Write::Action::AddFinalizer:
      if (finalizer != record.finalizers.end()) break;
      if (record.deleted)
        throw fail(Code::FailedPrecondition, "{} is being deleted: it takes no new finalizer",
                   to_string(key));
      record.finalizers.push_back(std::move(write.finalizer));
      break;
    case Write::Action::RemoveFinalizer:
      if (finalizer != record.finalizers.end()) record.finalizers.erase(finalizer);
      if (record.deleted && record.finalizers.empty()) entity.exists = false;
      break;
    case Write::Action::Erase:
      if (!record.deleted) record.deleted = now_;
      if (record.finalizers.empty()) entity.exists = false;
      break;
    case Write::Action::Create:
      break;
  }
}

// Whatever a transaction does to an entity, watchers see one change of it: from before to after.
std::vector<Change> Stage::finish(Running& running) const {
  const StoreRevision revision = last_ + 1;
  std::vector<Change> changes;
  for (auto& entity : running.drafts) {
    if (!entity.now) continue;  // looked at only
    const bool same_entity = entity.before && entity.before->uid == entity.now->uid;
    if (entity.before && !(entity.exists && same_entity))
      changes.push_back({revision, Change::Type::Removed, entity.before});
    if (!entity.exists || (same_entity && same_content(*entity.before, *entity.now))) continue;
    if (same_entity) entity.now->generation += entity.now->spec != entity.before->spec;
    entity.now->revision = revision;
    entity.now->updated = now_;
    changes.push_back({revision, Change::Type::Put, entity.now});
  }
  return changes;
}

Stage::Draft& Stage::draft(Running& running, const Key& key) const {
  const auto [place, added] = running.places.try_emplace(key, running.drafts.size());
  if (added) {
    auto before = find(key);
    const bool exists = before != nullptr;
    running.drafts.push_back({std::move(before), nullptr, exists});
  }
  return running.drafts[place->second];
}

void Stage::publish(const Change& change) {
  const Record& record = *change.record;
  const bool removed = change.type == Change::Type::Removed;
  if (!is_cold_(record.key.kind)) {
    if (removed)
      hot_.erase(record.key);
    else
      hot_.put(change.record);
    return;
  }
  cold_uids_[record.uid] = record.key;
  cold_[record.key] = removed ? nullptr : change.record;
}

bool Stage::exists(const Running& running, std::string_view uid) const {
  if (const auto created = running.created_uids.find(std::string{uid});
      created != running.created_uids.end()) {
    const Draft& entity = running.drafts[created->second];
    if (entity.exists && entity.current().uid == uid) return true;
  }
  const auto found = find_by_uid(uid);
  if (!found) return false;
  const auto place = running.places.find(found->key);
  if (place == running.places.end()) return true;
  const Draft& entity = running.drafts[place->second];
  return entity.exists && entity.current().uid == uid;
}

RecordPtr Stage::find(const Key& key) const {
  if (!is_cold_(key.kind)) return hot_.get(key);
  if (const auto changed = cold_.find(key); changed != cold_.end()) return changed->second;
  return log_.find(key);
}

RecordPtr Stage::find_by_uid(std::string_view uid) const {
  if (auto found = hot_.get_by_uid(uid)) return found;
  if (const auto changed = cold_uids_.find(std::string{uid}); changed != cold_uids_.end()) {
    const auto& found = cold_.at(changed->second);
    return found && found->uid == uid ? found : nullptr;
  }
  auto found = log_.find_by_uid(uid);
  return found && is_cold_(found->key.kind) ? found : nullptr;
}

}  // namespace tow::store
