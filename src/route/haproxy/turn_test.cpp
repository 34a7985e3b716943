// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/turn.hpp"

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace tow::route::haproxy {
namespace {

Task<> note(Turn& turn, std::string& seen, char who) {
  const Turn::Held held = co_await turn.wait();
  seen += who;
  co_await yield_now();
  seen += who;
}

TEST(Turn, ComesInTheOrderOfAskingAndOneAtATime) {
  std::string seen;
  run_blocking([](std::string& out) -> Task<> {
    Turn turn;
    Scope scope{co_await boost::asio::this_coro::executor, "test"};
    for (const char who : {'a', 'b', 'c', 'd'}) scope.spawn(note(turn, out, who));
    co_await scope.join();
    const Turn::Held again = co_await turn.wait();  // free again
  }(seen));
  EXPECT_EQ(seen, "aabbccdd");
}

TEST(Turn, PassesOnWhenWhoeverWaitsGivesUp) {
  std::string seen;
  run_blocking([](std::string& out) -> Task<> {
    Turn turn;
    Scope given_up{co_await boost::asio::this_coro::executor, "given up"};
    Scope scope{co_await boost::asio::this_coro::executor, "test"};
    {
      const Turn::Held held = co_await turn.wait();
      given_up.spawn(note(turn, out, 'x'));
      scope.spawn(note(turn, out, 'a'));
      for (int i = 0; i < 5; ++i) co_await yield_now();
      given_up.cancel();
      co_await given_up.join();
    }
    co_await scope.join();
  }(seen));
  EXPECT_EQ(seen, "aa");
}

}  // namespace
}  // namespace tow::route::haproxy
