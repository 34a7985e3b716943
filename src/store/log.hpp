// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where an implementation of the store keeps versions: the part of it that differs between memory, SQLite and
// what is to come. All that is common (preconditions, group commit, snapshots, watches) is in core.hpp.
//
// append(), compact and purge are called by one thread at a time; everything else by any thread at any time.
// Reads see whole transactions only. All functions may block on the disk. Failures: Error{Exhausted} when
// there was no room (nothing of the batch is kept, and it may be tried again), Error{Unavailable} when the
// disk failed.

#include <span>

#include "store/store.hpp"

namespace tow::store {

/// A change with its place in the order of everything: the revision, and the number of the change in its
/// transaction.
using Sequence = std::int64_t;
constexpr int kOrdinalBits = 20;
constexpr Sequence sequence(StoreRevision revision, Sequence ordinal = 0) {
  return (revision << kOrdinalBits) | ordinal;
}
constexpr StoreRevision revision_of(Sequence sequence) { return sequence >> kOrdinalBits; }
/// After all changes of a revision.
constexpr Sequence end_of(StoreRevision revision) { return sequence(revision + 1) - 1; }

/// Nothing may be appended after this.
class DiskFailed : public Error {
 public:
  explicit DiskFailed(std::string message) : Error{Code::Unavailable, std::move(message)} {}
};

struct Logged {
  Sequence sequence;
  Change change;
  RecordPtr before;  // the version that it replaced, if known; null for a new entity
};

class Log {
 public:
  virtual ~Log() = default;

  /// The highest revision and time that were ever given out; 0 in an empty log.
  virtual StoreRevision last_revision() const = 0;
  virtual TimePoint last_time() const = 0;
  /// What exists now of the kinds that are not cold.
  virtual std::vector<RecordPtr> load(const IsCold& is_cold) const = 0;

  /// Durable when it returns; all of it or nothing. `time` is that of the changes.
  virtual void append(std::span<const Logged> changes, TimePoint time) = 0;

  virtual RecordPtr find(const Key& key) const = 0;
  virtual RecordPtr find_by_uid(std::string_view uid) const = 0;
  virtual std::vector<Key> owned_by(std::string_view uid) const = 0;
  /// Owners (uids), in order, greater than `after`, of entities that exist; and the last one looked at, empty
  /// at the end. Only those that do not exist themselves are in the list.
  struct Orphans {
    std::vector<std::string> owners;
    std::string next;
  };
  virtual Orphans orphans(std::string_view after, std::size_t limit) const = 0;

  virtual std::vector<RecordPtr> query(const Query& query) const = 0;
  virtual RecordPtr find_at(const Key& key, StoreRevision revision) const = 0;
  virtual std::vector<RecordPtr> list_at(const Filter& filter, StoreRevision revision) const = 0;
  virtual std::vector<Change> history(const Key& key, std::size_t limit) const = 0;
  virtual StoreRevision revision_at(TimePoint time) const = 0;
  /// What a watcher with this filter has to see of the changes after `after`, up to `end`: whole
  /// transactions, in order, until there are about `limit` or a slice of the log has been searched. Throws
  /// WatchLost.
  struct Page {
    std::vector<Change> changes;
    Sequence next;  // go on after this one
  };
  virtual Page changes(Sequence after, Sequence end, const Filter& filter, std::size_t limit) const = 0;

  /// What came before (not: at) this revision is forgotten; 0 when nothing is.
  virtual StoreRevision compacted() const = 0;
  /// From now on compacted() is at least `horizon`; the versions are removed by compact_some(), a slice each
  /// time, until it returns false.
  virtual void begin_compact(StoreRevision horizon) = 0;
  virtual bool compact_some() = 0;
  virtual void purge(const Key& key) = 0;

  /// Nothing is called afterwards.
  virtual void close() = 0;
};

}  // namespace tow::store
