// SPDX-License-Identifier: Apache-2.0
#include "store/group_commit.hpp"

#include <pthread.h>

#include "base/fault.hpp"
#include "base/log.hpp"
#include "base/waiter.hpp"

namespace tow::store {
namespace {

// A batch is bounded, so that the first in it does not wait for thousands.
constexpr std::size_t kBatch = 1'024;
constexpr std::chrono::seconds kRetryOrphans{1};
constexpr std::string_view kClosing = "the store is closing";

}  // namespace

GroupCommit::GroupCommit(Ledger& ledger, std::chrono::milliseconds soon)
    : ledger_{ledger}, soon_{soon}, thread_{[this] { loop(); }} {}

GroupCommit::~GroupCommit() { stop(); }

// Who waits for the thread, and the thread that ends the wait. The lock is held while the waiter is woken and
// taken once more before it goes on, so that neither it nor its event loop can vanish meanwhile.
class GroupCommit::Waiting {
 public:
  // Throws what end() was given. A cancellation does not interrupt it: what is queued happens.
  Task<> wait() {
    {
      Waiter waiter{co_await boost::asio::this_coro::executor};
      const Place place{*this, &waiter};
      co_await waiter.wait_to_end([] {});
    }
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

  void end(std::exception_ptr failure) {
    const std::lock_guard lock{mutex_};
    error_ = std::move(failure);
    ended_ = true;
    if (waiter_) waiter_->wake();
  }

 private:
  struct Place {
    Place(Waiting& waiting, Waiter* waiter) : waiting{waiting} {
      const std::lock_guard lock{waiting.mutex_};
      waiting.waiter_ = waiter;
      if (waiting.ended_) waiter->wake();
    }
    ~Place() {
      const std::lock_guard lock{waiting.mutex_};
      waiting.waiter_ = nullptr;
    }
    Waiting& waiting;
  };

  std::mutex mutex_;
  Waiter* waiter_ = nullptr;
  bool ended_ = false;
  std::exception_ptr error_;
};

struct GroupCommit::Item : Waiting {
  Commit commit;
  Durability durability;
  Time since;
};

struct GroupCommit::Job : Waiting {
  std::function<bool()> slice;
};

Task<StoreRevision> GroupCommit::commit(Transaction transaction, Durability durability) {
  const auto item = std::make_shared<Item>();
  item->commit.transaction = std::move(transaction);
  item->durability = durability;
  {
    const std::lock_guard lock{mutex_};
    refuse_if_stopped();
    item->since = std::chrono::steady_clock::now();
    queue_.push_back(item);
    if (durability == Durability::Now) ++urgent_;
    if (urgent_ == 1 || queue_.size() == 1 || queue_.size() == expected_) changed_.notify_one();
  }
  co_await item->wait();
  co_return item->commit.revision;
}

Task<> GroupCommit::run(std::function<bool()> slice) {
  const auto job = std::make_shared<Job>();
  job->slice = std::move(slice);
  {
    const std::lock_guard lock{mutex_};
    refuse_if_stopped();
    jobs_.push_back(job);
    changed_.notify_one();
  }
  co_await job->wait();
}

void GroupCommit::refuse_if_stopped() const {
  if (stopping_) throw Error{Code::Unavailable, std::string{kClosing}};
}

void GroupCommit::stop() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void GroupCommit::loop() {
  pthread_setname_np(pthread_self(), "store commit");
  std::unique_lock lock{mutex_};
  while (wait_for_work(lock)) {
    const auto batch = take_batch();
    lock.unlock();
    const auto begin = std::chrono::steady_clock::now();
    commit_batch(batch);
    const auto end = std::chrono::steady_clock::now();
    run_slice();
    lock.lock();
    expected_ = batch.size() + queue_.size();
    gather_until_ = end + (end - begin) / 8;
  }
  refuse_jobs();
}

// False when the thread is to end.
bool GroupCommit::wait_for_work(std::unique_lock<std::mutex>& lock) {
  for (;;) {
    if (stopping_) return !queue_.empty();
    if (queue_.size() >= kBatch || !jobs_.empty() || searching_) return true;
    if (urgent_ > 0 && queue_.size() >= expected_) return true;
    Time deadline = Time::max();
    if (urgent_ > 0)
      deadline = gather_until_;
    else if (!queue_.empty())
      deadline = queue_.front()->since + soon_;
    if (ledger_.orphans() > 0) deadline = std::min(deadline, retry_orphans_);
    if (deadline == Time::max())
      changed_.wait(lock);
    else if (std::chrono::steady_clock::now() >= deadline)
      return true;
    else
      changed_.wait_until(lock, deadline);
  }
}

std::vector<std::shared_ptr<GroupCommit::Item>> GroupCommit::take_batch() {
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(std::min(queue_.size(), kBatch));
  std::vector<std::shared_ptr<Item>> batch{std::make_move_iterator(queue_.begin()),
                                           std::make_move_iterator(end)};
  queue_.erase(queue_.begin(), end);
  for (const auto& item : batch) urgent_ -= item->durability == Durability::Now;
  return batch;
}

void GroupCommit::commit_batch(std::span<const std::shared_ptr<Item>> batch) {
  const auto orphans = ledger_.orphans();
  const auto revision = ledger_.last_revision();
  if (batch.empty() && orphans == 0) return;
  std::vector<Commit*> commits;
  for (const auto& item : batch) commits.push_back(&item->commit);
  fault_point("store.committing");
  ledger_.commit(commits);
  fault_point("store.committed");
  // Where nothing of them went, the disk is full or broken.
  const bool stuck = orphans > 0 && ledger_.orphans() >= orphans && ledger_.last_revision() == revision;
  retry_orphans_ = std::chrono::steady_clock::now() + (stuck ? kRetryOrphans : std::chrono::seconds{0});
  for (const auto& item : batch) item->end(std::move(item->commit.error));
}

void GroupCommit::run_slice() {
  if (searching_) {
    try {
      searching_ = ledger_.find_orphans();
    } catch (const Error& error) {
      searching_ = false;
      log::error("store", "cannot look for what has lost its owner: {}", error.message());
    }
    return;
  }
  std::shared_ptr<Job> job;
  {
    const std::lock_guard lock{mutex_};
    if (jobs_.empty()) return;
    job = jobs_.front();
  }
  std::exception_ptr failure;
  try {
    if (job->slice()) return;
  } catch (...) {
    failure = std::current_exception();
  }
  {
    const std::lock_guard lock{mutex_};
    jobs_.pop_front();
  }
  job->end(std::move(failure));
}

void GroupCommit::refuse_jobs() {
  for (const auto& job : jobs_)
    job->end(std::make_exception_ptr(Error{Code::Unavailable, std::string{kClosing}}));
  jobs_.clear();
}

}  // namespace tow::store
