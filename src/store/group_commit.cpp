// SPDX-License-Identifier: Apache-2.0
#include "store/group_commit.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.hpp"

namespace tow::store {
namespace {

namespace asio = boost::asio;

// A batch is bounded, so that the first in it does not wait for thousands.
constexpr std::size_t kBatch = 1'024;
constexpr std::chrono::seconds kRetryOrphans{1};
constexpr std::string_view kClosing = "the store is closing";

// Suspends the task, hands out the function that resumes it (once, from any thread) on the task's own
// executor. A cancellation does not interrupt it: what is queued happens.
template <class Start>
Task<> suspend(Start start) {
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
      [&start](auto handler) {
        auto work = asio::make_work_guard(handler);
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        start([shared, work = std::move(work)] { asio::post(work.get_executor(), std::move(*shared)); });
      },
      asio::use_awaitable);
}

}  // namespace

GroupCommit::GroupCommit(Ledger& ledger, std::chrono::milliseconds soon)
    : ledger_{ledger}, soon_{soon}, thread_{[this] { loop(); }} {}

GroupCommit::~GroupCommit() { stop(); }

Task<StoreRevision> GroupCommit::commit(Transaction transaction, Durability durability) {
  auto waiting = std::make_shared<Waiting>();
  waiting->transaction = std::move(transaction);
  waiting->durability = durability;
  co_await suspend([&](std::function<void()> resume) {
    const std::lock_guard lock{mutex_};
    if (stopping_) {
      waiting->error = std::make_exception_ptr(Error{Code::Unavailable, std::string{kClosing}});
      return resume();
    }
    waiting->since = std::chrono::steady_clock::now();
    waiting->resume = std::move(resume);
    queue_.push_back(waiting);
    if (durability == Durability::Now) ++urgent_;
    changed_.notify_one();
  });
  if (waiting->error) std::rethrow_exception(waiting->error);
  co_return waiting->revision;
}

Task<> GroupCommit::run(std::function<bool()> slice) {
  auto job = std::make_shared<Job>();
  job->slice = std::move(slice);
  co_await suspend([&](std::function<void()> resume) {
    const std::lock_guard lock{mutex_};
    job->resume = std::move(resume);
    jobs_.push_back(job);
    if (stopping_) return refuse_jobs();
    changed_.notify_one();
  });
  if (job->error) std::rethrow_exception(job->error);
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
  std::unique_lock lock{mutex_};
  while (wait_for_work(lock)) {
    const auto batch = take_batch();
    lock.unlock();
    commit_batch(batch);
    run_slice();
    lock.lock();
  }
  refuse_jobs();
}

// False when the thread is to end.
bool GroupCommit::wait_for_work(std::unique_lock<std::mutex>& lock) {
  for (;;) {
    if (stopping_) return !queue_.empty();
    if (urgent_ > 0 || queue_.size() >= kBatch || !jobs_.empty() || searching_) return true;
    Time deadline = Time::max();
    if (!queue_.empty()) deadline = queue_.front()->since + soon_;
    if (ledger_.orphans() > 0) deadline = std::min(deadline, retry_orphans_);
    if (deadline == Time::max())
      changed_.wait(lock);
    else if (std::chrono::steady_clock::now() >= deadline)
      return true;
    else
      changed_.wait_until(lock, deadline);
  }
}

std::vector<std::shared_ptr<GroupCommit::Waiting>> GroupCommit::take_batch() {
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(std::min(queue_.size(), kBatch));
  std::vector<std::shared_ptr<Waiting>> batch{std::make_move_iterator(queue_.begin()),
                                              std::make_move_iterator(end)};
  queue_.erase(queue_.begin(), end);
  for (const auto& waiting : batch) urgent_ -= waiting->durability == Durability::Now;
  return batch;
}

void GroupCommit::commit_batch(std::span<const std::shared_ptr<Waiting>> batch) {
  const auto orphans = ledger_.orphans();
  if (batch.empty() && orphans == 0) return;
  std::vector<Commit*> commits;
  for (const auto& waiting : batch) commits.push_back(waiting.get());
  ledger_.commit(commits);
  // Where nothing of them went, the disk is full or broken.
  retry_orphans_ = std::chrono::steady_clock::now();
  if (orphans > 0 && ledger_.orphans() >= orphans) retry_orphans_ += kRetryOrphans;
  for (const auto& waiting : batch) std::exchange(waiting->resume, nullptr)();
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
  try {
    if (job->slice()) return;
  } catch (...) {
    job->error = std::current_exception();
  }
  {
    const std::lock_guard lock{mutex_};
    jobs_.pop_front();
  }
  std::exchange(job->resume, nullptr)();
}

void GroupCommit::refuse_jobs() {
  for (const auto& job : jobs_) {
    job->error = std::make_exception_ptr(Error{Code::Unavailable, std::string{kClosing}});
    std::exchange(job->resume, nullptr)();
  }
  jobs_.clear();
}

}  // namespace tow::store
