// SPDX-License-Identifier: Apache-2.0
#include "base/clock.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/error.hpp"

namespace tow {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

TEST(SystemClock, SleepsNoLessThanItWasTold) {
  SystemClock clock;
  const auto before = std::chrono::steady_clock::now();
  run_blocking(clock.sleep(3ms));
  EXPECT_GE(std::chrono::steady_clock::now() - before, 3ms);
  run_blocking(clock.sleep(-5ms));
}

Task<> note(FakeClock& clock, Duration duration, std::string& order, char name) {
  co_await clock.sleep(duration);
  order += name;
}

Task<> settle() {
  for (int i = 0; i < 10; ++i) co_await yield_now();
}

TEST(FakeClock, WakesSleepersInTheOrderOfTheirTimes) {
  run_blocking([]() -> Task<> {
    FakeClock clock;
    std::string order;
    const auto start = clock.now();
    Scope scope{co_await asio::this_coro::executor, "test"};
    scope.spawn(note(clock, 3s, order, 'c'));
    scope.spawn(note(clock, 1s, order, 'a'));
    scope.spawn(note(clock, 2s, order, 'b'));
    scope.spawn(note(clock, 4s, order, 'd'));
    co_await settle();
    EXPECT_EQ(order, "");
    EXPECT_EQ(clock.next(), start + 1s);
    clock.advance(999ms);
    co_await settle();
    EXPECT_EQ(order, "");
    clock.advance(2001ms);
    co_await settle();
    EXPECT_EQ(order, "abc");
    EXPECT_EQ(clock.next(), start + 4s);
    clock.advance(1h);
    co_await scope.join();
    EXPECT_EQ(order, "abcd");
    EXPECT_EQ(clock.next(), std::nullopt);
    EXPECT_EQ(clock.now(), start + 3s + 1h);
  }());
}

TEST(FakeClock, ForgetsASleeperThatWasCancelled) {
  run_blocking([]() -> Task<> {
    FakeClock clock;
    Scope scope{co_await asio::this_coro::executor, "test"};
    scope.spawn(clock.sleep(1s));
    co_await settle();
    EXPECT_TRUE(clock.next());
    scope.cancel();
    co_await scope.join();
    EXPECT_FALSE(clock.next());
  }());
}

TEST(FakeClock, ZeroOnlyYieldsAndForeverDoesNotOverflow) {
  run_blocking([]() -> Task<> {
    FakeClock clock;
    co_await clock.sleep(0ms);
    Scope scope{co_await asio::this_coro::executor, "test"};
    scope.spawn(clock.sleep(Duration::max()));
    co_await settle();
    EXPECT_EQ(clock.next(), TimePoint::max());
    scope.cancel();
    co_await scope.join();
  }());
}

TEST(Random, TheSameSeedGivesTheSameNumbers) {
  Random a{7}, b{7}, other{8};
  EXPECT_EQ(a.next(), b.next());
  EXPECT_NE(a.next(), other.next());
  Random published{1234567};
  EXPECT_EQ(published.next(), 6457827717110365317U);  // the published reference sequence of SplitMix64
  EXPECT_EQ(published.next(), 3203168211198807973U);
}

TEST(Random, StaysWithinItsBounds) {
  Random random{1};
  std::set<std::int64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    seen.insert(random.between(-2, 2));
    const double real = random.real();
    EXPECT_GE(real, 0.0);
    EXPECT_LT(real, 1.0);
  }
  EXPECT_EQ(seen, (std::set<std::int64_t>{-2, -1, 0, 1, 2}));
  EXPECT_EQ(random.between(5, 5), 5);
  random.between(std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max());
}

}  // namespace
}  // namespace tow
