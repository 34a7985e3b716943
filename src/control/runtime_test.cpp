// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <map>

#include "control/control.hpp"
#include "model/project.hpp"
#include "store/memory/memory.hpp"

namespace tow::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Body = std::function<Task<>()>;

// A store, a clock and a runtime on one event loop; a test is a coroutine on it.
struct Bench {
  FakeClock clock;
  std::unique_ptr<store::Store> store = store::memory::open({.is_cold = {}, .clock = &clock, .feed = {}});
  std::unique_ptr<Runtime> runtime;

  void run(std::size_t concurrency, std::function<Task<Outcome>(Key)> reconcile, Body body) {
    run_blocking(main({.name = "test",
                       .watches = {{.kind = "Project", .keys = {}}},
                       .reconcile = std::move(reconcile),
                       .concurrency = concurrency},
                      std::move(body)));
  }
  Task<> main(Controller controller, Body body) {
    const auto executor = co_await boost::asio::this_coro::executor;
    runtime = std::make_unique<Runtime>(Settings{.store = *store, .clock = clock, .executor = executor});
    runtime->add(std::move(controller));
    runtime->start();
    co_await settle();
    co_await body();
    co_await runtime->stop();
  }
  Task<> settle() {
    for (int i = 0; i < 50; ++i) co_await yield_now();
  }
  Task<> advance(Duration duration) {
    clock.advance(duration);
    co_await settle();
  }
  Task<> create(std::string name) {
    store::Transaction transaction;
    transaction.create(draft<Project>({}, std::move(name), {}));
    co_await store->commit(std::move(transaction));
    co_await settle();
  }
};

TEST(Runtime, ReconcilesWhatExistsAndWhatChanges) {
  Bench bench;
  std::map<std::string, int> seen;
  const auto reconcile = [&](Key key) -> Task<Outcome> {
    ++seen[key.name];
    co_return Outcome{};
  };
  bench.run(4, reconcile, [&]() -> Task<> {
    co_await bench.create("a");
    co_await bench.create("b");
    EXPECT_EQ(seen, (std::map<std::string, int>{{"a", 1}, {"b", 1}}));
    bench.runtime->poke("test", key<Project>({}, "a"));
    co_await bench.settle();
    EXPECT_EQ(seen["a"], 2);
    EXPECT_TRUE(bench.runtime->idle());
  });
}

TEST(Runtime, AFailureIsRepeatedAfterABackoff) {
  Bench bench;
  int calls = 0;
  const auto reconcile = [&](Key) -> Task<Outcome> {
    if (++calls < 3) throw fail(Code::Unavailable, "not yet");
    co_return Outcome{};
  };
  bench.run(4, reconcile, [&]() -> Task<> {
    co_await bench.create("a");
    EXPECT_EQ(calls, 1);
    co_await bench.advance(milliseconds{60});
    EXPECT_EQ(calls, 2);
    co_await bench.advance(milliseconds{120});
    EXPECT_EQ(calls, 3);
    co_await bench.advance(seconds{600});
    EXPECT_EQ(calls, 3);
  });
}

TEST(Runtime, LooksAgainWhenAskedTo) {
  Bench bench;
  int calls = 0;
  const auto reconcile = [&](Key) -> Task<Outcome> {
    ++calls;
    co_return Outcome{.again = seconds{10}};
  };
  bench.run(4, reconcile, [&]() -> Task<> {
    co_await bench.create("a");
    for (int expected = 2; expected < 6; ++expected) {
      co_await bench.advance(seconds{10});
      EXPECT_EQ(calls, expected);
    }
  });
}

TEST(Runtime, RunsNoMoreAtOnceThanItMayAndNoKeyTwice) {
  Bench bench;
  int running = 0, most = 0;
  std::map<std::string, int> by_key;
  const auto reconcile = [&](Key key) -> Task<Outcome> {
    most = std::max(most, ++running);
    EXPECT_EQ(++by_key[key.name], 1) << key.name;
    co_await bench.clock.sleep(seconds{1});
    --by_key[key.name];
    --running;
    co_return Outcome{};
  };
  bench.run(3, reconcile, [&]() -> Task<> {
    for (const char* name : {"a", "b", "c", "d", "e"}) co_await bench.create(name);
    for (const char* name : {"a", "b"}) bench.runtime->poke("test", key<Project>({}, name));
    for (int i = 0; i < 4; ++i) co_await bench.advance(seconds{1});
    EXPECT_EQ(most, 3);
    EXPECT_EQ(running, 0);
  });
}

TEST(Runtime, WhatIsDueWaitsForAFreePlaceWithoutTurningInCircles) {
  Bench bench;
  std::map<std::string, int> calls;
  const auto reconcile = [&](Key key) -> Task<Outcome> {
    ++calls[key.name];
    if (key.name == "slow") co_await bench.clock.sleep(seconds{10});
    co_return Outcome{.again = key.name == "slow" ? std::nullopt : std::optional<Duration>{seconds{1}}};
  };
  bench.run(1, reconcile, [&]() -> Task<> {
    co_await bench.create("quick");
    co_await bench.create("slow");
    co_await bench.advance(seconds{5});
    EXPECT_EQ(calls, (std::map<std::string, int>{{"quick", 1}, {"slow", 1}}));
    co_await bench.advance(seconds{5});
    EXPECT_EQ(calls["quick"], 2) << "it was due for long";
    co_await bench.create("slow-2");
    bench.clock.advance(seconds{1});  // something is due when it stops
  });
}

TEST(Runtime, StoppingCancelsWhatRuns) {
  struct Guard {
    bool& flag;
    ~Guard() { flag = true; }
  };
  Bench bench;
  bool ended = false;
  const auto reconcile = [&](Key) -> Task<Outcome> {
    const Guard guard{ended};
    co_await bench.clock.sleep(std::chrono::hours{1});
    co_return Outcome{};
  };
  bench.run(4, reconcile, [&]() -> Task<> { co_await bench.create("a"); });
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace tow::control
