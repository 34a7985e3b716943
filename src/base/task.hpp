// SPDX-License-Identifier: Apache-2.0
#pragma once
// Tasks, scopes, and the little that tasks need to wait for one another. Thread-safety is said per class.
// A Task is Asio's coroutine; nothing in it starts before it is awaited or given to a Scope.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>
#include <concepts>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/units.hpp"

namespace tow {

template <class T = void>
using Task = boost::asio::awaitable<T>;
using Executor = boost::asio::any_io_executor;

/// A cancelled task gets an exception out of what it awaits, and out of everything that it awaits later:
/// Error{Cancelled} or Asio's operation_aborted. This knows both.
bool is_cancellation(const std::exception_ptr& error);

/// `co_await while_cleaning_up();` lets a task that was cancelled await again what it must to leave no trace.
inline auto while_cleaning_up() { return boost::asio::this_coro::throw_if_cancelled(false); }

/// Owns every task that is started in it: none is detached. Cancelling asks each of them to end (what it
/// awaits then throws Error{Cancelled} or an Asio error); joining waits until all have ended. The destructor
/// requires that nothing runs any more (join first), else the process stops.
/// On the executor of a task (co_await this_coro::executor) no two of its tasks, nor that task, ever run at
/// the same time: they may share variables without locks. On a pool's executor they run in parallel. A task
/// that ends with an exception other than a cancellation is logged under the scope's name. Thread-safe.
class Scope {
 public:
  Scope(Executor executor, std::string name);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  /// Starts the task on the scope's executor. After cancel() it is dropped unstarted.
  void spawn(Task<> task);
  /// The same for a function that returns the task, a lambda with captures say: it is kept until the task has
  /// ended. (A lambda that is called in place dies before its task starts, and its captures with it.)
  template <std::invocable<> F>
  void spawn(F function) {
    spawn([](F kept) -> Task<> { co_await kept(); }(std::move(function)));
  }
  void cancel();
  /// Waits until every task has ended; never from inside one of them. May be called more than once. When the
  /// joining task is cancelled, the scope is, too, is waited for all the same, and Error{Cancelled} is
  /// thrown.
  Task<> join();
  std::size_t running() const;
  const Executor& executor() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Runs `body` with a scope on the caller's executor. However the body ends, the scope is then cancelled and
/// joined, so that no task outlives what it refers to; what the body threw is thrown again.
Task<> with_scope(std::string name, std::function<Task<>(Scope&)> body);

/// A flag that tasks wait for. notify() wakes all who wait now, and the next who waits if nobody does
/// (so that a notification between "looked" and "waits" is not lost). Thread-safe.
class Signal {
 public:
  Signal();
  ~Signal();
  void notify();
  /// Throws Error{Cancelled} when the waiting task is cancelled.
  Task<> wait();
  /// The same with a limit in real time; false when it passed first.
  Task<bool> wait_for(Duration limit);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// Threads for work that blocks (fsync, unpacking, getaddrinfo). Thread-safe.
/// The destructor waits for what runs.
class BlockingPool {
 public:
  explicit BlockingPool(std::size_t threads);
  ~BlockingPool();

  /// Runs `work` on one of the pool's threads and returns what it returned, on the caller's own executor.
  /// What it throws is thrown here. It is not interrupted by a cancellation.
  template <class F>
  auto run(F work) -> Task<std::invoke_result_t<F>> {
    using R = std::invoke_result_t<F>;
    if constexpr (std::is_void_v<R>) {
      co_await post(std::move(work));
    } else {
      std::optional<R> result;
      co_await post([&] { result.emplace(work()); });
      co_return std::move(*result);
    }
  }

 private:
  Task<> post(std::function<void()> work);
  struct State;
  std::unique_ptr<State> state_;
};

/// Runs a task to its end on an event loop of its own. For main functions and tests.
void run_blocking(Task<> task);
template <class T>
T run_blocking(Task<T> task) {
  std::optional<T> result;
  run_blocking([](Task<T> inner, std::optional<T>& out) -> Task<> { out.emplace(co_await std::move(inner)); }(
                                                            std::move(task), result));
  return std::move(*result);
}

/// Lets other tasks of the executor run first.
Task<> yield_now();

}  // namespace tow
