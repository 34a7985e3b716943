// SPDX-License-Identifier: Apache-2.0
#pragma once
// What Signal, Scope, the clocks and child processes are made of: one task's wait, ended from any thread.
// Includes Asio's timers, so only .cpp files include it.

#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "base/task.hpp"

namespace tow {

/// A local variable of the task that waits, or of what lives on the same executor. wake() may come from any
/// thread, before, during or after a wait; it is remembered. Whoever wakes must know that the waiter still
/// lives: see Waiters.
class Waiter {
 public:
  explicit Waiter(const Executor& executor) : timer_{executor} {}

  /// True once woken, false when `limit` passed first. Throws Error{Cancelled}.
  Task<bool> wait(std::optional<Duration> limit = {});

  /// Waits until woken, even in a task that is cancelled; the first cancellation calls `on_cancel`, which is
  /// to make the waking come soon. Returns whether there was one.
  Task<bool> wait_to_end(std::function<void()> on_cancel);

  void wake();

 private:
  std::mutex mutex_;
  bool woken_ = false;
  boost::asio::steady_timer timer_;  // guarded by mutex_, too: a timer is not thread-safe
};

/// Those who wait for one thing. The owner's mutex guards it and is held over wake(), so that no waiter (and
/// no event loop of one) can vanish while another thread wakes it.
class Waiters {
 public:
  void add(Waiter& waiter) { all_.push_back(&waiter); }
  /// Wakes and forgets all; returns whether there was one.
  bool wake();

  /// Takes a waiter out again when its wait is over, however it ends.
  class Leave {
   public:
    Leave(std::mutex& mutex, Waiters& waiters, Waiter& waiter)
        : mutex_{mutex}, waiters_{waiters}, waiter_{waiter} {}
    ~Leave() {
      const std::lock_guard lock{mutex_};
      std::erase(waiters_.all_, &waiter_);
    }
    Leave(const Leave&) = delete;
    Leave& operator=(const Leave&) = delete;

   private:
    std::mutex& mutex_;
    Waiters& waiters_;
    Waiter& waiter_;
  };

 private:
  std::vector<Waiter*> all_;
};

}  // namespace tow
