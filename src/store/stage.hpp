// SPDX-License-Identifier: Apache-2.0
#pragma once
// Transactions that are about to be made durable together: each is checked against what exists and what the
// ones before it will have done. Nothing outside sees any of it. Used by one thread.

#include <map>
#include <unordered_map>

#include "store/index.hpp"
#include "store/log.hpp"

namespace tow::store {

class Stage {
 public:
  /// Begins where `hot`, `log` and `last` stand. What happens here happens at `now`.
  Stage(Index hot, const Log& log, const IsCold& is_cold, StoreRevision last, TimePoint now);

  /// All writes, or none and an exception: see Store::commit. Returns the transaction's revision, or the last
  /// one when nothing changed.
  StoreRevision apply(Transaction transaction);

  const std::vector<Logged>& changes() const { return changes_; }
  const Index& hot() const { return hot_; }
  StoreRevision last() const { return last_; }
  TimePoint now() const { return now_; }

 private:
  // One entity while a transaction is applied.
  struct Draft {
    RecordPtr before;             // null: it did not exist
    std::shared_ptr<Record> now;  // null: as before
    bool exists = false;
    const Record& current() const { return now ? *now : *before; }
  };
  using Drafts = std::vector<Draft>;
  struct Running;

  void create(Running& running, Record draft);
  void change(Running& running, Write write);
  std::vector<Change> finish(Running& running) const;
  Draft& draft(Running& running, const Key& key) const;
  void publish(const Change& change);

  bool exists(const Running& running, std::string_view uid) const;
  RecordPtr find(const Key& key) const;
  RecordPtr find_by_uid(std::string_view uid) const;

  Index hot_;
  const Log& log_;
  const IsCold& is_cold_;
  StoreRevision last_;
  TimePoint now_;
  std::vector<Logged> changes_;
  // Of cold kinds, what this batch changes; null is removed.
  std::map<Key, RecordPtr> cold_;
  std::unordered_map<std::string, Key> cold_uids_;
};

}  // namespace tow::store
