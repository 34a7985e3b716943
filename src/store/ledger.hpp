// SPDX-License-Identifier: Apache-2.0
#pragma once
// Turns batches of transactions into durable, published state, and collects what has lost its owner. The
// heart that all implementations share. The functions that change something are called by one thread at a
// time; snapshot() by any thread.

#include <deque>
#include <mutex>

#include "base/clock.hpp"
#include "store/feed.hpp"
#include "store/index.hpp"
#include "store/log.hpp"

namespace tow::store {

class Stage;

/// One transaction on its way, and what became of it.
struct Commit {
  Transaction transaction;
  StoreRevision revision = 0;
  std::exception_ptr error;
};

class Ledger {
 public:
  /// Reads what the log has. All arguments outlive the ledger.
  Ledger(Log& log, const IsCold& is_cold, const Clock& clock);
  /// Whom publications are told to. Before the first commit.
  void set_feed(std::shared_ptr<Feed> feed) { feed_ = std::move(feed); }

  /// One batch, one fsync. Every commit has its revision or its error afterwards, and what was done is
  /// readable and watchable. Throws nothing.
  void commit(std::span<Commit* const> batch);

  /// How many entities have lost their owner. The next batch, an empty one too, erases some of them.
  std::size_t orphans() const { return orphans_.size(); }
  /// Looks for what lost its owner before the ledger was opened: a slice each time, until it returns false.
  bool find_orphans();

  SnapshotPtr snapshot() const;
  StoreRevision last_revision() const { return last_; }

 private:
  struct Orphan {
    Key key;
    std::string owner;
  };

  void stage_orphans(Stage& stage, std::size_t& taken);
  void add_orphans(std::string_view owner);
  void publish(const Stage& stage);

  Log& log_;
  const IsCold& is_cold_;
  const Clock& clock_;
  std::shared_ptr<Feed> feed_;
  Index hot_;
  StoreRevision last_;
  TimePoint time_;
  std::deque<Orphan> orphans_;
  std::string searched_;  // owners up to this one have been looked at
  std::optional<Error> broken_;
  mutable std::mutex snapshot_mutex_;  // held only to copy or swap the pointer
  SnapshotPtr snapshot_;
};

}  // namespace tow::store
