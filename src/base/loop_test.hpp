// SPDX-License-Identifier: Apache-2.0
#pragma once
// For tests: one thread, and a clock that stands still until it is moved. Nothing waits for real time, and
// every run of the same test is the same.

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "base/clock.hpp"
#include "base/error.hpp"

namespace tow {

class LoopTest {
 public:
  int most_steps = 100'000;  // at one moment of the clock
  /// Everything that can happen now happens. What other threads are at, as `busy_` says, is waited for.
  /// Error{Timeout} when it goes round and round and no time passes.
  void settle() {
    int steps = 0;
    while (true) {
      while (step())
        if (++steps > most_steps) throw Error{Code::Timeout, "it goes on and on, and no time passes"};
      if (!busy_ || !busy_()) return;
      io.restart();
      io.run_one_for(std::chrono::milliseconds{100});
    }
  }
  /// One handler, if there is one.
  bool step() {
    io.restart();
    return io.poll_one() > 0;
  }
  /// To the first sleeper's time, if there is one.
  bool skip() {
    const auto next = clock.next();
    if (next) clock.advance(std::max(*next - clock.now(), Duration{0}));
    return next.has_value();
  }
  /// Some handlers, one after the other, and time where there is none: for stopping anywhere.
  void go(std::int64_t steps) {
    for (; steps > 0; --steps)
      if (!step()) skip();
  }
  void advance(Duration duration) {
    settle();
    const auto end = clock.now() + duration;
    while (const auto next = clock.next()) {
      if (*next > end) break;
      skip();
      settle();
    }
    clock.advance(end - clock.now());
    settle();
  }
  /// Lets time pass until it holds; false when it does not within the limit.
  bool until(const std::function<bool()>& holds, Duration limit = std::chrono::minutes{30}) {
    settle();
    const auto end = clock.now() + limit;
    while (!holds()) {
      const auto next = clock.next();
      if (!next || *next > end) return false;
      skip();
      settle();
    }
    return true;
  }
  /// Runs it to its end; time goes on while it waits.
  void run(Task<> task) {
    bool done = false;
    std::exception_ptr error;
    boost::asio::co_spawn(io, std::move(task), [&](std::exception_ptr e) {
      error = e;
      done = true;
    });
    const bool ended = until([&] { return done; });
    if (error) std::rethrow_exception(error);
    if (!ended) throw Error{Code::Timeout, "the call never ended"};
  }
  template <class T>
  T run(Task<T> task) {
    std::optional<T> result;
    run(keep(std::move(task), result));
    return std::move(*result);
  }
  TimePoint now() const { return clock.now(); }

 private:
  std::shared_ptr<FakeClock> shared_clock_ = std::make_shared<FakeClock>();
  template <class T>
  static Task<> keep(Task<T> task, std::optional<T>& result) {
    result.emplace(co_await std::move(task));
  }

 public:
  boost::asio::io_context io;
  FakeClock& clock = *shared_clock_;

 protected:
  std::shared_ptr<FakeClock> shared_clock() const { return shared_clock_; }
  std::function<bool()> busy_;
};

}  // namespace tow
