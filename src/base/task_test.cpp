// SPDX-License-Identifier: Apache-2.0
#include "base/task.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <stdexcept>
#include <thread>

#include "base/clock.hpp"
#include "base/error.hpp"

namespace tow {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr Duration kLong = 1h;  // what waits for this is ended by something else, or the test hangs

Task<> forever() {
  Signal never;
  co_await never.wait();
}

Task<Executor> here() { co_return co_await asio::this_coro::executor; }

TEST(RunBlocking, ReturnsTheValue) {
  EXPECT_EQ(run_blocking([]() -> Task<int> { co_return 42; }()), 42);
}

TEST(RunBlocking, WaitsForWhatRunsElsewhere) {
  asio::thread_pool pool{1};
  const auto strand = asio::make_strand(Executor{pool.get_executor()});
  for (int i = 0; i < 5000; ++i) {
    run_blocking([](auto other) -> Task<> {
      co_await asio::co_spawn(other, yield_now(), asio::use_awaitable);
    }(strand));
  }
  pool.join();
}

TEST(RunBlocking, ThrowsWhatTheTaskThrows) {
  EXPECT_THROW(run_blocking([]() -> Task<> {
                 co_await yield_now();
                 throw Error{Code::Conflict, "no"};
               }()),
               Error);
}

TEST(Scope, JoinWaitsForEveryTask) {
  int ended = 0;
  run_blocking([](int& count) -> Task<> {
    Scope scope{co_await here(), "test"};
    const auto work = [](int steps, int& counter) -> Task<> {
      for (int i = 0; i < steps; ++i) co_await yield_now();
      ++counter;
    };
    for (int i = 0; i < 10; ++i) scope.spawn(work(i, count));
    EXPECT_EQ(scope.running(), 10U);
    co_await scope.join();
    EXPECT_EQ(scope.running(), 0U);
    co_await scope.join();  // again, at once
  }(ended));
  EXPECT_EQ(ended, 10);
}

TEST(Scope, DoesNotStartATaskInsideTheCaller) {
  run_blocking([]() -> Task<> {
    Scope scope{co_await here(), "test"};
    bool started = false;
    scope.spawn([](bool& flag) -> Task<> {
      flag = true;
      co_return;
    }(started));
    EXPECT_FALSE(started);
    co_await scope.join();
    EXPECT_TRUE(started);
  }());
}

TEST(Scope, CancelEndsWhatWaitsAndDropsWhatComesLater) {
  run_blocking([]() -> Task<> {
    Scope scope{co_await here(), "test"};
    scope.spawn(forever());
    scope.spawn(SystemClock{}.sleep(kLong));
    co_await yield_now();
    scope.spawn(forever());  // not started yet when the cancellation comes
    scope.cancel();
    scope.spawn(forever());
    EXPECT_EQ(scope.running(), 3U);
    co_await scope.join();
  }());
}

TEST(Scope, ATaskMayCancelItsOwnScope) {
  run_blocking([]() -> Task<> {
    Scope scope{co_await here(), "test"};
    scope.spawn(forever());
    scope.spawn([](Scope& own) -> Task<> {
      own.cancel();
      co_return;
    }(scope));
    co_await scope.join();
  }());
}

TEST(Scope, KeepsTheLambdaThatItIsGiven) {
  run_blocking([]() -> Task<> {
    auto token = std::make_shared<int>(1);
    const std::weak_ptr<int> watched = token;
    int seen = 0;
    Scope scope{co_await here(), "test"};
    scope.spawn([kept = std::move(token), &seen]() -> Task<> {
      co_await yield_now();
      seen = *kept;
    });
    EXPECT_FALSE(watched.expired());
    co_await scope.join();
    EXPECT_EQ(seen, 1);
    EXPECT_TRUE(watched.expired());
  }());
}

TEST(Scope, DestroysATasksLocalsBeforeItIsJoined) {
  run_blocking([]() -> Task<> {
    auto token = std::make_shared<int>(1);
    Scope scope{co_await here(), "test"};
    scope.spawn([](std::shared_ptr<int>) -> Task<> { co_await forever(); }(token));
    co_await yield_now();
    scope.cancel();
    co_await scope.join();
    EXPECT_EQ(token.use_count(), 1);
  }());
}

TEST(Scope, LogsAFailureButNotACancellation) {
  testing::internal::CaptureStderr();
  run_blocking([]() -> Task<> {
    Scope scope{co_await here(), "kitchen"};
    scope.spawn([]() -> Task<> {
      co_await yield_now();
      throw std::runtime_error{"burnt"};
    }());
    scope.spawn(forever());
    co_await yield_now();
    scope.cancel();
    co_await scope.join();
  }());
  const auto said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("error kitchen a task failed: burnt"), said.npos) << said;
  EXPECT_EQ(said.find("cancelled"), said.npos) << said;
}

TEST(Scope, ACancelledJoinCancelsAndStillWaits) {
  run_blocking([]() -> Task<> {
    Scope outer{co_await here(), "outer"};
    bool cleaned = false;
    outer.spawn([](bool& done) -> Task<> {
      Scope inner{co_await here(), "inner"};
      inner.spawn([](bool& flag) -> Task<> {
        try {
          co_await forever();
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), Code::Cancelled);
        }
        co_await while_cleaning_up();
        for (int i = 0; i < 5; ++i) co_await yield_now();
        flag = true;
      }(done));
      co_await inner.join();
      ADD_FAILURE() << "a cancelled join must throw";
    }(cleaned));
    co_await yield_now();
    outer.cancel();
    outer.cancel();  // twice is once
    co_await outer.join();
    EXPECT_TRUE(cleaned);
  }());
}

TEST(Scope, WithScopeEndsItsTasksHoweverTheBodyEnds) {
  run_blocking([]() -> Task<> {
    auto token = std::make_shared<int>(1);
    const auto body = [&token](Scope& scope) -> Task<> {
      scope.spawn([](std::shared_ptr<int>) -> Task<> { co_await forever(); }(token));
      co_await yield_now();
      throw Error{Code::Exhausted, "full"};
    };
    try {
      co_await with_scope("test", body);
      ADD_FAILURE() << "what the body throws must come out";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::Exhausted);
    }
    EXPECT_EQ(token.use_count(), 1);
  }());
}

TEST(Scope, WithScopeEndsItsTasksWhenItIsCancelled) {
  run_blocking([]() -> Task<> {
    auto token = std::make_shared<int>(1);
    Scope outer{co_await here(), "outer"};
    outer.spawn(with_scope("inner", [&token](Scope& scope) -> Task<> {
      scope.spawn([](std::shared_ptr<int>) -> Task<> { co_await forever(); }(token));
      co_await forever();
    }));
    for (int i = 0; i < 5; ++i) co_await yield_now();
    outer.cancel();
    co_await outer.join();
    EXPECT_EQ(token.use_count(), 1);
  }());
}

TEST(Scope, CountsATaskAsEndedWhenItsLoopIsTornDown) {
  std::optional<Scope> scope;
  {
    asio::io_context context;
    scope.emplace(context.get_executor(), "test");
    scope->spawn(forever());
    context.poll();
    EXPECT_EQ(scope->running(), 1U);
  }
  EXPECT_EQ(scope->running(), 0U);
}

void leave_a_task() {
  asio::io_context context;
  Scope scope{context.get_executor(), "left"};
  scope.spawn(forever());
}

TEST(ScopeDeathTest, StopsTheProcessWhenTasksStillRun) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(leave_a_task(), "left the scope ended while 1 of its tasks still ran");
}

TEST(Scope, WorksFromManyThreadsOnAPool) {
  asio::thread_pool pool{4};
  std::atomic<int> ended = 0;
  {
    Scope scope{pool.get_executor(), "test"};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (int i = 0; i < 250; ++i)
          scope.spawn([](std::atomic<int>& count, bool waits) -> Task<> {
            co_await yield_now();
            ++count;
            if (waits) co_await forever();
          }(ended, i % 2 == 0));
      });
    for (auto& thread : threads) thread.join();
    while (ended < 1000) std::this_thread::yield();
    scope.cancel();
    run_blocking(scope.join());
  }
  EXPECT_EQ(ended, 1000);
}

TEST(Scope, OnATasksExecutorNothingRunsAtTheSameTime) {
  asio::thread_pool pool{4};
  Scope scope{pool.get_executor(), "outer"};
  int steps = 0;  // no lock, and no data race
  scope.spawn([](int& count) -> Task<> {
    const auto body = [&count](Scope& inner) -> Task<> {
      const auto work = [](int& shared) -> Task<> {
        for (int i = 0; i < 500; ++i) {
          ++shared;
          co_await yield_now();
        }
      };
      for (int i = 0; i < 8; ++i) inner.spawn(work(count));
      co_await inner.join();
    };
    co_await with_scope("inner", body);
  }(steps));
  run_blocking(scope.join());
  EXPECT_EQ(steps, 4000);
}

TEST(Signal, RemembersANotificationThatNobodyAwaited) {
  run_blocking([]() -> Task<> {
    Signal signal;
    signal.notify();
    signal.notify();  // two are one
    co_await signal.wait();
    EXPECT_FALSE(co_await signal.wait_for(1ms));
  }());
}

TEST(Signal, WakesAllWhoWait) {
  run_blocking([]() -> Task<> {
    Signal signal;
    Scope scope{co_await here(), "test"};
    for (int i = 0; i < 3; ++i) scope.spawn(signal.wait());
    for (int i = 0; i < 5; ++i) co_await yield_now();
    signal.notify();
    co_await scope.join();
    EXPECT_FALSE(co_await signal.wait_for(0ms)) << "who was woken leaves nothing behind";
  }());
}

TEST(Signal, ANotificationIsNotGivenToWhomWasCancelled) {
  run_blocking([]() -> Task<> {
    Signal signal;
    Scope scope{co_await here(), "test"};
    scope.spawn(signal.wait());
    co_await yield_now();
    scope.cancel();
    co_await scope.join();
    signal.notify();
    EXPECT_TRUE(co_await signal.wait_for(kLong));
  }());
}

TEST(Signal, ReachesEveryThreadOfAPool) {
  constexpr int kRounds = 2000;
  asio::thread_pool pool{3};
  Signal ball[2];
  std::atomic<int> returns = 0;
  Scope scope{pool.get_executor(), "test"};
  const auto player = [](Signal& mine, Signal& other, std::atomic<int>& count) -> Task<> {
    for (int i = 0; i < kRounds; ++i) {
      co_await mine.wait();
      ++count;
      other.notify();
    }
  };
  scope.spawn(player(ball[0], ball[1], returns));
  scope.spawn(player(ball[1], ball[0], returns));
  ball[0].notify();
  run_blocking(scope.join());
  EXPECT_EQ(returns, 2 * kRounds);
}

TEST(Signal, NotifyingWhileCancellingHarmsNobody) {
  asio::thread_pool pool{2};
  for (int round = 0; round < 200; ++round) {
    Signal signal;
    Scope scope{pool.get_executor(), "test"};
    for (int i = 0; i < 4; ++i) scope.spawn(signal.wait());
    std::thread other{[&] { signal.notify(); }};
    scope.cancel();
    run_blocking(scope.join());
    other.join();
  }
}

TEST(BlockingPool, ReturnsToTheCallersThread) {
  BlockingPool pool{2};
  run_blocking([](BlockingPool& blocking) -> Task<> {
    const auto mine = std::this_thread::get_id();
    const auto theirs = co_await blocking.run([] { return std::this_thread::get_id(); });
    EXPECT_NE(theirs, mine);
    EXPECT_EQ(std::this_thread::get_id(), mine);
    auto moved = co_await blocking.run([] { return std::make_unique<int>(7); });
    EXPECT_EQ(*moved, 7);
  }(pool));
}

TEST(BlockingPool, ThrowsWhatTheWorkThrows) {
  BlockingPool pool{1};
  const auto work = [] { throw Error{Code::Exhausted, "full"}; };
  EXPECT_THROW(run_blocking(pool.run(work)), Error);
}

TEST(BlockingPool, FinishesItsWorkThoughTheTaskIsCancelled) {
  BlockingPool pool{1};
  std::atomic<bool> released = false, finished = false;
  run_blocking([](BlockingPool& blocking, std::atomic<bool>& release, std::atomic<bool>& done) -> Task<> {
    Scope scope{co_await here(), "test"};
    scope.spawn(blocking.run([&] {
      release.wait(false);
      done = true;
    }));
    co_await yield_now();
    scope.cancel();
    co_await yield_now();
    EXPECT_EQ(scope.running(), 1U);
    release = true;
    release.notify_all();
    co_await scope.join();
    EXPECT_TRUE(done);
  }(pool, released, finished));
}

}  // namespace
}  // namespace tow
