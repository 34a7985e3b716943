// SPDX-License-Identifier: Apache-2.0
#pragma once
// The versioned entity store: the only shared mutable state of the control plane.
//
// Promises, held by the contract suite for every implementation:
//   - commit() returns after the transaction is on disk, and nothing of it can be read or watched before.
//   - All writes of a transaction apply, or none; preconditions are checked against what is pending, too.
//   - Every transaction has a revision of its own, larger than all before; none is ever reused.
//   - A watch gives every later change once, in order, or says that it cannot (WatchLost).
//   - A snapshot never changes and never waits for the disk.
// All of it is thread-safe. One process owns a data directory.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/task.hpp"
#include "model/record.hpp"

namespace tow::store {

struct Write {
  enum class Action { Create, PutSpec, PutStatus, PutMetadata, AddFinalizer, RemoveFinalizer, Erase };
  Action action;
  Record record;  // of it only what the action needs: always the key
  std::optional<StoreRevision> if_revision;
  std::string finalizer;
};

/// Writes that happen together. Every method returns the transaction, so that calls can be chained.
class Transaction {
 public:
  /// uid, times, generation and revision are set by the store (a uid that is given is kept).
  /// Error{AlreadyExists} when the key is taken, also by an entity that is marked for deletion, or the uid
  /// is; Error{FailedPrecondition} when it has an owner that does not exist.
  Transaction& create(Record draft);
  /// Error{NotFound}; Error{Conflict} when `if_revision` is not its revision. An equal spec changes nothing:
  /// neither generation nor revision, and no watcher hears of it. The same holds for status and metadata.
  Transaction& put_spec(Key key, std::string json, std::optional<StoreRevision> if_revision = {});
  Transaction& put_status(Key key, std::string json, std::optional<StoreRevision> if_revision = {});
  Transaction& put_metadata(Key key, Labels labels, Labels annotations,
                            std::optional<StoreRevision> if_revision = {});
  /// Error{FailedPrecondition} when the entity is marked for deletion and does not have it yet.
  Transaction& add_finalizer(Key key, std::string name);
  /// The last one of an entity marked for deletion removes it.
  Transaction& remove_finalizer(Key key, std::string name);
  /// Marks it for deletion; without finalizers it goes at once. Nothing when it is marked already.
  /// Error{NotFound}; Error{Conflict}.
  /// What it owns (by owner uid) is erased by the store's collector in later transactions.
  Transaction& erase(Key key, std::optional<StoreRevision> if_revision = {});

  const std::vector<Write>& writes() const { return writes_; }
  bool empty() const { return writes_.empty(); }

 private:
  std::vector<Write> writes_;
};

enum class Durability {
  Now,   // an fsync as soon as the disk is free, shared with all who wait
  Soon,  // for observations: may wait up to 50 ms for a shared one
};

struct Filter {
  std::string kind;     // empty: every kind
  std::string project;  // empty: every project
  std::string owner;
  Labels labels;  // all must be equal
};

/// An immutable view of all hot entities as of one revision. Cheap to make and to copy.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  virtual StoreRevision revision() const = 0;
  /// Null when there is none.
  virtual RecordPtr get(const Key& key) const = 0;
  virtual RecordPtr get_by_uid(std::string_view uid) const = 0;
  /// In order of kind, project, name. A filter with owner, or with kind, walks an index.
  virtual std::vector<RecordPtr> list(const Filter& filter) const = 0;
};
using SnapshotPtr = std::shared_ptr<const Snapshot>;

struct Change {
  enum class Type { Put, Removed };
  StoreRevision revision;
  Type type;
  RecordPtr record;  // after the change; for Removed as it was last
};

/// The watcher is too far behind, or asked for revisions that are compacted: list again, then watch from
/// there.
class WatchLost : public Error {
 public:
  explicit WatchLost(std::string message) : Error{Code::Exhausted, std::move(message)} {}
};

/// One reader's place in the stream. Used by one task at a time; may be destroyed at any time between calls.
class Watch {
 public:
  virtual ~Watch() = default;
  /// Waits for at least one change and returns all that are there (about 1,000 at most: a transaction is
  /// never split, so that the revision of the last change is a place to go on from). An entity whose labels
  /// change so that it leaves the filter is seen as Removed. Throws WatchLost, Error{Cancelled};
  /// Error{Unavailable} when the store closes.
  virtual Task<std::vector<Change>> next() = 0;
};

/// For kinds that are not kept in memory, and for pages of any kind. Newest first.
struct Query {
  Filter filter;
  StoreRevision before = 0;  // 0: from the newest; else the created_revision to go on below
  std::size_t limit = 100;   // more when the last transaction of the page created several
};

class Store {
 public:
  virtual ~Store() = default;

  /// Durable when it returns. Its revision, or the last one when it changed nothing. Throws Error:
  /// AlreadyExists, NotFound, Conflict (nothing of it applied), Exhausted (disk full), Unavailable (the disk
  /// failed; the store is read-only until it is opened again). Not interrupted by cancellation once it is
  /// queued.
  virtual Task<StoreRevision> commit(Transaction transaction, Durability durability = Durability::Now) = 0;

  virtual SnapshotPtr snapshot() const = 0;
  /// Changes after `from` (that is: from + 1 and later) that match. A `from` that this store has not reached
  /// yet, or has compacted, makes the first next() throw WatchLost.
  virtual std::unique_ptr<Watch> watch(StoreRevision from, Filter filter = {}) = 0;

  /// Hot and cold kinds alike.
  virtual Task<std::vector<RecordPtr>> query(Query query) = 0;
  virtual Task<RecordPtr> find(Key key) = 0;

  /// History, as long as it is kept (30 days by default): an entity, or all that matches, as of a revision.
  /// Throws WatchLost when that revision is compacted.
  virtual Task<RecordPtr> find_at(Key key, StoreRevision revision) = 0;
  virtual Task<std::vector<RecordPtr>> list_at(Filter filter, StoreRevision revision) = 0;
  /// The versions of one entity, newest first.
  virtual Task<std::vector<Change>> history(Key key, std::size_t limit = 100) = 0;
  /// The last revision committed at or before a time.
  virtual Task<StoreRevision> revision_at(TimePoint time) = 0;

  /// Forgets history before a time; what exists now stays. Commits go on meanwhile.
  virtual Task<> compact(TimePoint before) = 0;
  /// Removes the earlier versions of an entity for good (a secret's rotation), also of those before it that
  /// had its key: there they are missing in history, and a watch that goes on from there misses them, too.
  virtual Task<> purge_history(Key key) = 0;

  /// Ends watches, waits for what is queued, checkpoints. Nothing may be called afterwards.
  virtual Task<> close() = 0;
};

/// Which kinds are cold: many, seldom read, not held in memory.
using IsCold = std::function<bool(std::string_view kind)>;

}  // namespace tow::store
