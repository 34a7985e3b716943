// SPDX-License-Identifier: Apache-2.0
#include "store/ledger.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "store/stage.hpp"

namespace tow::store {
namespace {

constexpr std::size_t kOrphansAtOnce = 256;
constexpr std::size_t kOwnersAtOnce = 1'000;

class IndexSnapshot final : public Snapshot {
 public:
  IndexSnapshot(Index index, StoreRevision revision) : index_{std::move(index)}, revision_{revision} {}
  StoreRevision revision() const override { return revision_; }
  RecordPtr get(const Key& key) const override { return index_.get(key); }
  RecordPtr get_by_uid(std::string_view uid) const override { return index_.get_by_uid(uid); }
  std::vector<RecordPtr> list(const Filter& filter) const override { return index_.list(filter); }

 private:
  const Index index_;
  const StoreRevision revision_;
};

}  // namespace

Ledger::Ledger(Log& log, const IsCold& is_cold, const Clock& clock)
    : log_{log}, is_cold_{is_cold}, clock_{clock}, last_{log.last_revision()}, time_{log.last_time()} {
  for (auto& record : log_.load(is_cold_)) hot_.put(std::move(record));
  snapshot_ = std::make_shared<IndexSnapshot>(hot_, last_);
}

void Ledger::commit(std::span<Commit* const> batch) {
  // Each gets an exception of its own: they go to different threads.
  const auto fail_all = [&](const Error& error) {
    for (Commit* commit : batch) commit->error = std::make_exception_ptr(error);
  };
  if (broken_) return fail_all(*broken_);
  try {
    // Times never run backwards in the store, whatever the machine's clock does.
    Stage stage{hot_, log_, is_cold_, last_, std::max(clock_.now(), time_)};
    std::size_t orphans = 0;
    stage_orphans(stage, orphans);
    for (Commit* commit : batch) {
      try {
        commit->revision = stage.apply(std::move(commit->transaction));
      } catch (...) {
        commit->error = std::current_exception();
      }
    }
    if (!stage.changes().empty()) {
      if (feed_) feed_->expect(stage.last());
      log_.append(stage.changes(), stage.now());
      publish(stage);
    }
    orphans_.erase(orphans_.begin(), orphans_.begin() + static_cast<std::ptrdiff_t>(orphans));
    // A failure is that of all, also of those that were refused: they were checked against what did not come
    // to be.
  } catch (const DiskFailed& error) {
    fail_all(error);
    broken_ = fail(Code::Unavailable, "the store is read-only until it is opened again: {}", error.message());
    log::error("store", "{}; nothing can be changed until the server is restarted", error.message());
  } catch (const Error& error) {
    fail_all(error);
  } catch (const std::exception& error) {
    fail_all(fail(Code::Internal, "a commit failed: {}", error.what()));
  }
}

void Ledger::publish(const Stage& stage) {
  hot_ = stage.hot();
  last_ = stage.last();
  time_ = stage.now();
  auto next = std::make_shared<const IndexSnapshot>(hot_, last_);
  SnapshotPtr previous;  // ends after the lock: the last reader of a snapshot pays for its end
  {
    const std::lock_guard lock{snapshot_mutex_};
    previous = std::exchange(snapshot_, std::move(next));
  }
  if (feed_) feed_->publish(stage.changes(), last_);
  for (const auto& logged : stage.changes())
    if (logged.change.type == Change::Type::Removed) add_orphans(logged.change.record->uid);
}

SnapshotPtr Ledger::snapshot() const {
  const std::lock_guard lock{snapshot_mutex_};
  return snapshot_;
}

void Ledger::add_orphans(std::string_view owner) {
  for (auto& key : hot_.owned_by(owner)) orphans_.push_back({std::move(key), std::string{owner}});
  for (auto& key : log_.owned_by(owner))
    if (is_cold_(key.kind)) orphans_.push_back({std::move(key), std::string{owner}});
}

void Ledger::stage_orphans(Stage& stage, std::size_t& taken) {
  if (orphans_.empty()) return;
  taken = std::min(orphans_.size(), kOrphansAtOnce);
  Transaction transaction;
  for (std::size_t i = 0; i < taken; ++i) {
    const auto& [key, owner] = orphans_[i];
    const auto record = is_cold_(key.kind) ? log_.find(key) : hot_.get(key);
    if (record && record->owner == owner && !record->deleted) transaction.erase(key);
  }
  stage.apply(std::move(transaction));
}

bool Ledger::find_orphans() {
  auto found = log_.orphans(searched_, kOwnersAtOnce);
  for (const auto& owner : found.owners) add_orphans(owner);
  searched_ = std::move(found.next);
  return !searched_.empty();
}

}  // namespace tow::store
