// SPDX-License-Identifier: Apache-2.0
#include "base/task.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <future>
#include <mutex>
#include <unordered_set>
#include <vector>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/waiter.hpp"

namespace tow {

namespace asio = boost::asio;

bool is_cancellation(const std::exception_ptr& error) {
  if (!error) return false;
  try {
    std::rethrow_exception(error);
  } catch (const Error& e) {
    return e.code() == Code::Cancelled;
  } catch (const boost::system::system_error& e) {
    return e.code() == asio::error::operation_aborted;
  } catch (...) {
    return false;
  }
}

// ---- Scope

struct Scope::State {
  // One task. Its signal is used on its strand only, where the task runs: emitting elsewhere would race with
  // it.
  struct Running {
    explicit Running(const Executor& executor) : strand{asio::make_strand(executor)} {}
    asio::strand<Executor> strand;
    asio::cancellation_signal signal;
    bool cancelled = false;  // before it started
  };
  class Ticket;

  State(Executor executor, std::string name) : executor{std::move(executor)}, name{std::move(name)} {}

  void cancel() {
    std::vector<std::shared_ptr<Running>> all;
    {
      const std::lock_guard lock{mutex};
      cancelled = true;
      all.assign(running.begin(), running.end());
    }
    for (auto& task : all)
      asio::post(task->strand, [task] {
        task->cancelled = true;
        task->signal.emit(asio::cancellation_type::terminal);
      });
  }

  void ended(const std::shared_ptr<Running>& task) {
    const std::lock_guard lock{mutex};
    running.erase(task);
    if (running.empty()) joining.wake();
  }

  const Executor executor;
  const std::string name;
  mutable std::mutex mutex;
  bool cancelled = false;
  std::unordered_set<std::shared_ptr<Running>> running;
  Waiters joining;
};

// Held by whatever will run or end a task; its destruction is the task's end, also when the event loop is
// torn down under it.
class Scope::State::Ticket {
 public:
  Ticket(std::shared_ptr<State> state, std::shared_ptr<Running> task)
      : state_{std::move(state)}, task_{std::move(task)} {}
  Ticket(Ticket&&) = default;
  Ticket& operator=(Ticket&&) = delete;
  ~Ticket() {
    if (state_) state_->ended(task_);
  }

  Running& task() const { return *task_; }
  void report(const std::exception_ptr& error) const {
    if (error && !is_cancellation(error)) log::error(state_->name, "a task failed: {}", describe(error));
  }

 private:
  std::shared_ptr<State> state_;
  std::shared_ptr<Running> task_;
};

Scope::Scope(Executor executor, std::string name)
    : state_{std::make_shared<State>(std::move(executor), std::move(name))} {}

Scope::~Scope() {
  const auto left = running();
  if (left == 0) return;
  log::error(state_->name, "the scope ended while {} of its tasks still ran: cancel() and join() it first",
             left);
  std::abort();
}

void Scope::spawn(Task<> task) {
  auto running = std::make_shared<State::Running>(state_->executor);
  {
    const std::lock_guard lock{state_->mutex};
    if (state_->cancelled) return;
    state_->running.insert(running);
  }
  // Posted, so that the task does not start inside the caller, and so that its signal is connected on its
  // strand.
  auto start = [task = std::move(task), ticket = State::Ticket{state_, running}]() mutable {
    auto& self = ticket.task();
    if (self.cancelled) return;
    auto done = [ticket = std::move(ticket)](const std::exception_ptr& error) { ticket.report(error); };
    asio::co_spawn(self.strand, std::move(task),
                   asio::bind_cancellation_slot(self.signal.slot(), std::move(done)));
  };
  asio::post(running->strand, std::move(start));
}

void Scope::cancel() { state_->cancel(); }

Task<> Scope::join() {
  const auto state = state_;
  const auto executor = co_await asio::this_coro::executor;
  bool cancelled = false;
  for (;;) {
    Waiter waiter{executor};
    const Waiters::Leave leave{state->mutex, state->joining, waiter};
    {
      const std::lock_guard lock{state->mutex};
      if (state->running.empty()) break;
      state->joining.add(waiter);
    }
    const bool now = co_await waiter.wait_to_end([state] { state->cancel(); });
    cancelled = cancelled || now;
  }
  if (cancelled) throw Error{Code::Cancelled, "cancelled while joining " + state->name};
}

std::size_t Scope::running() const {
  const std::lock_guard lock{state_->mutex};
  return state_->running.size();
}

const Executor& Scope::executor() const { return state_->executor; }

Task<> with_scope(std::string name, std::function<Task<>(Scope&)> body) {
  const auto executor = co_await asio::this_coro::executor;
  Scope scope{executor, std::move(name)};
  std::exception_ptr failure;
  try {
    co_await body(scope);
  } catch (...) {
    failure = std::current_exception();
  }
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await while_cleaning_up();
  scope.cancel();
  try {
    co_await scope.join();
  } catch (...) {
    if (!failure) failure = std::current_exception();
  }
  co_await asio::this_coro::throw_if_cancelled(throws);
  if (failure) std::rethrow_exception(failure);
}

// ---- Signal

struct Signal::State {
  std::mutex mutex;
  bool pending = false;
  Waiters waiting;

  // False when a notification had come before.
  bool enter(Waiter& waiter) {
    const std::lock_guard lock{mutex};
    if (std::exchange(pending, false)) return false;
    waiting.add(waiter);
    return true;
  }
};

Signal::Signal() : state_{std::make_shared<State>()} {}
Signal::~Signal() = default;

void Signal::notify() {
  const auto state = state_;  // whoever is woken may destroy the signal
  const std::lock_guard lock{state->mutex};
  if (!state->waiting.wake()) state->pending = true;
}

Task<> Signal::wait() { co_await wait_for(Duration::max()); }

Task<bool> Signal::wait_for(Duration limit) {
  const auto state = state_;
  const auto executor = co_await asio::this_coro::executor;
  Waiter waiter{executor};
  if (!state->enter(waiter)) co_return true;
  const Waiters::Leave leave{state->mutex, state->waiting, waiter};
  const bool woken = co_await waiter.wait(limit);
  co_return woken;
}

// ---- BlockingPool

struct BlockingPool::State {
  explicit State(std::size_t threads) : pool{threads} {}
  asio::thread_pool pool;
};

namespace {

// The work uses its task's variables: the task's frame stays until it has ended, even when it is torn down.
struct UntilReady {
  std::future<void> future;
  ~UntilReady() { future.wait(); }
};

}  // namespace

BlockingPool::BlockingPool(std::size_t threads) : state_{std::make_unique<State>(threads)} {}
BlockingPool::~BlockingPool() { state_->pool.join(); }

Task<> BlockingPool::post(std::function<void()> work) {
  const auto executor = co_await asio::this_coro::executor;
  Waiter waiter{executor};
  std::exception_ptr failure;
  const auto ended = std::make_shared<std::promise<void>>();
  const UntilReady until_ended{ended->get_future()};
  asio::post(state_->pool, [&work, &waiter, &failure, ended] {
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
    waiter.wake();
    ended->set_value();
  });
  co_await waiter.wait_to_end([] {});
  if (failure) std::rethrow_exception(failure);
}

// ---- running and yielding

void run_blocking(Task<> task) {
  asio::io_context context{1};
  const auto work = asio::make_work_guard(context);  // also while the task waits for another executor alone
  std::exception_ptr failure;
  bool ended = false;
  asio::co_spawn(context, std::move(task), [&](const std::exception_ptr& error) {
    failure = error;
    ended = true;
    context.stop();
  });
  context.run();
  if (failure) std::rethrow_exception(failure);
  if (!ended) throw Error{Code::Internal, "the event loop stopped before its task ended"};
}

Task<> yield_now() { co_await asio::post(asio::use_awaitable); }

}  // namespace tow
