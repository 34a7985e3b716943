// SPDX-License-Identifier: Apache-2.0
#pragma once
// The thread that commits: it takes whatever waits as one batch, so that all of it shares one fsync, and does
// what else must happen in order with the commits (collecting, compaction) a slice at a time between batches.

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "store/ledger.hpp"

namespace tow::store {

class GroupCommit {
 public:
  /// How long a commit that may wait for company waits, in real time.
  GroupCommit(Ledger& ledger, std::chrono::milliseconds soon);
  /// stop()s.
  ~GroupCommit();

  Task<StoreRevision> commit(Transaction transaction, Durability durability);
  /// Runs `slice` between batches until it returns false. What it throws is thrown here.
  Task<> run(std::function<bool()> slice);
  /// Finishes what is queued, refuses what comes later, and waits for the thread. May be called twice.
  void stop();

 private:
  using Time = std::chrono::steady_clock::time_point;
  class Waiting;
  struct Item;
  struct Job;

  void loop();
  bool wait_for_work(std::unique_lock<std::mutex>& lock);
  std::vector<std::shared_ptr<Item>> take_batch();
  void commit_batch(std::span<const std::shared_ptr<Item>> batch);
  void run_slice();
  void refuse_jobs();
  void refuse_if_stopped() const;

  Ledger& ledger_;
  const std::chrono::milliseconds soon_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Item>> queue_;
  std::size_t urgent_ = 0;  // in the queue, that do not wait for company
  // Those who were just answered often come back at once. For a moment, a fraction of what the last batch
  // took, the next one waits for as many, so that two halves of them do not take turns.
  std::size_t expected_ = 0;
  Time gather_until_{};
  std::deque<std::shared_ptr<Job>> jobs_;
  Time retry_orphans_{};
  bool searching_ = true;  // for what was orphaned before the store was opened
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace tow::store
