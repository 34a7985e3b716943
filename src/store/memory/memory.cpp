// SPDX-License-Identifier: Apache-2.0
#include "store/memory/memory.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <shared_mutex>

#include "store/core.hpp"

namespace tow::store::memory {
namespace {

class MemoryLog final : public Log {
 public:
  StoreRevision last_revision() const override { return 0; }
  TimePoint last_time() const override { return {}; }
  std::vector<RecordPtr> load(const IsCold&) const override { return {}; }

  void append(std::span<const Logged> changes, TimePoint time) override {
    const std::unique_lock lock{mutex_};
    for (const auto& [sequence, change, before] : changes) {
      versions_.emplace(sequence, Version{change, time});
      by_key_[change.record->key].insert(sequence);
      if (change.type == Change::Type::Removed)
        now_.erase(change.record->key);
      else
        now_.put(change.record);
    }
  }

  RecordPtr find(const Key& key) const override {
    const std::shared_lock lock{mutex_};
    return now_.get(key);
  }
  RecordPtr find_by_uid(std::string_view uid) const override {
    const std::shared_lock lock{mutex_};
    return now_.get_by_uid(uid);
  }
  std::vector<Key> owned_by(std::string_view uid) const override {
    const std::shared_lock lock{mutex_};
    return now_.owned_by(uid);
  }
  Orphans orphans(std::string_view, std::size_t) const override {
    return {};
  }  // nothing outlives the process

  std::vector<RecordPtr> query(const Query& query) const override {
    const std::shared_lock lock{mutex_};
    return newest_first(now_.list(query.filter), query);
  }

  RecordPtr find_at(const Key& key, StoreRevision revision) const override {
    const std::shared_lock lock{mutex_};
    check(revision);
    const auto found = by_key_.find(key);
    return found == by_key_.end() ? nullptr : as_of(found->second, revision);
  }

  std::vector<RecordPtr> list_at(const Filter& filter, StoreRevision revision) const override {
    const std::shared_lock lock{mutex_};
    check(revision);
    std::vector<RecordPtr> found;
    for (const auto& [key, sequences] : by_key_)
      if (auto record = as_of(sequences, revision); record && matches(filter, *record))
        found.push_back(std::move(record));
    return found;
  }

  std::vector<Change> history(const Key& key, std::size_t limit) const override {
    const std::shared_lock lock{mutex_};
    std::vector<Change> found;
    const auto sequences = by_key_.find(key);
    if (sequences == by_key_.end()) return found;
    for (auto each = sequences->second.rbegin(); each != sequences->second.rend() && found.size() < limit;
         ++each)
      found.push_back(versions_.at(*each).change);
    return found;
  }

  StoreRevision revision_at(TimePoint time) const override {
    const std::shared_lock lock{mutex_};
    StoreRevision last = time >= compacted_time_ ? compacted_ : 0;
    for (const auto& [sequence, version] : versions_) {
      if (version.time > time) break;
      last = std::max(last, revision_of(sequence));
    }
    return last;
  }

  Page changes(Sequence after, Sequence end, const Filter& filter, std::size_t limit) const override {
    const std::shared_lock lock{mutex_};
    check(revision_of(after));
    Page page{.changes = {}, .next = end};
    for (auto each = versions_.upper_bound(after); each != versions_.end() && each->first <= end; ++each) {
      const auto& [sequence, version] = *each;
      if (page.changes.size() >= limit && revision_of(sequence) != page.changes.back().revision) {
        page.next = end_of(revision_of(sequence) - 1);
        break;
      }
      if (auto seen = seen_through(filter, version.change, before(sequence)))
        page.changes.push_back(std::move(*seen));
    }
    return page;
  }

  StoreRevision compacted() const override {
    const std::shared_lock lock{mutex_};
    return compacted_;
  }

  void begin_compact(StoreRevision horizon) override {
    const std::unique_lock lock{mutex_};
    compacted_ = horizon;
    for (const auto& [sequence, version] : versions_)
      if (revision_of(sequence) <= horizon) compacted_time_ = version.time;
  }

  bool compact_some() override {
    const std::unique_lock lock{mutex_};
    const auto end = end_of(compacted_);
    for (auto& [key, sequences] : by_key_) {
      // What held at the horizon stays, unless it was a removal.
      auto first = sequences.upper_bound(end);
      if (first == sequences.begin()) continue;
      --first;
      if (versions_.at(*first).change.type == Change::Type::Removed) ++first;
      for (auto each = sequences.begin(); each != first; ++each) versions_.erase(*each);
      sequences.erase(sequences.begin(), first);
    }
    std::erase_if(by_key_, [](const auto& each) { return each.second.empty(); });
    return false;
  }

  void purge(const Key& key) override {
    const std::unique_lock lock{mutex_};
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return;
    const Sequence newest = *found->second.rbegin();
    std::erase_if(found->second, [&](Sequence sequence) {
      Change& change = versions_.at(sequence).change;
      if (change.type == Change::Type::Removed) {
        auto blank = *change.record;
        blank.spec = blank.status = "{}";
        change.record = std::make_shared<const Record>(std::move(blank));
        return false;
      }
      if (sequence == newest) return false;
      versions_.erase(sequence);
      return true;
    });
  }

  void close() override {}

 private:
  struct Version {
    Change change;
    TimePoint time;
  };

  void check(StoreRevision revision) const {
    if (revision < compacted_)
      throw WatchLost{
          fmt::format("revision {} is no longer kept; history begins at {}", revision, compacted_)};
  }

  RecordPtr as_of(const std::set<Sequence>& sequences, StoreRevision revision) const {
    const auto after = sequences.upper_bound(end_of(revision));
    if (after == sequences.begin()) return nullptr;
    const auto& change = versions_.at(*std::prev(after)).change;
    return change.type == Change::Type::Removed ? nullptr : change.record;
  }

  // The version of the same entity that this one replaced.
  RecordPtr before(Sequence sequence) const {
    const auto& sequences = by_key_.at(versions_.at(sequence).change.record->key);
    const auto place = sequences.find(sequence);
    if (place == sequences.begin()) return nullptr;
    const auto& change = versions_.at(*std::prev(place)).change;
    return change.type == Change::Type::Removed ? nullptr : change.record;
  }

  mutable std::shared_mutex mutex_;
  Index now_;  // hot and cold
  std::map<Sequence, Version> versions_;
  std::map<Key, std::set<Sequence>> by_key_;
  StoreRevision compacted_ = 0;
  TimePoint compacted_time_{};
};

}  // namespace

std::unique_ptr<Store> open(Settings settings) {
  return make_store(std::make_unique<MemoryLog>(), {.commits = CoreSettings::Commits::Inline,
                                                    .is_cold = std::move(settings.is_cold),
                                                    .clock = settings.clock,
                                                    .feed = settings.feed});
}

}  // namespace tow::store::memory
