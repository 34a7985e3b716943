// SPDX-License-Identifier: Apache-2.0
// Probes over the loopback.
#include "engine/local/probe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <string_view>
#include <thread>
#include <vector>

namespace tow::engine::local {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// A loop that is held up sees both in one turn: the answer, and that the probe's time is over. What the timer
// then still says must not reach a socket that is gone: the address sanitizer watches.
Task<> answered_at_the_last_moment() {
  const auto executor = co_await asio::this_coro::executor;
  tcp::acceptor listening{executor, {asio::ip::address_v4::loopback(), 0}};
  tcp::socket peer{executor};
  std::array<char, 512> request{};
  const Probe probe{.kind = Probe::Kind::Http,
                    .port = listening.local_endpoint().port(),
                    .timeout = std::chrono::milliseconds{500}};
  listening.async_accept(peer, [&](boost::system::error_code) {
    peer.async_read_some(asio::buffer(request), [&](boost::system::error_code, std::size_t) {
      // Asio keeps the memory of some coroutines for later ones: with these it has enough, and the probe's is
      // freed.
      std::vector<Task<>> enough;
      for (int i = 0; i < 8; ++i) enough.push_back(yield_now());
      asio::write(peer, asio::buffer(std::string_view{"HTTP/1.1 200 OK\r\n\r\n"}));
      std::this_thread::sleep_for(probe.timeout);
    });
  });
  BlockingPool pool{1};
  const auto why = co_await ask(probe, "127.0.0.1", pool, {});
  co_await yield_now();  // the timer's turn
  if (why)
    EXPECT_THAT(*why, testing::HasSubstr("does not answer within"));  // a slow machine: too late even so
}

TEST(ProbeReal, AnAnswerAndTheEndOfItsTimeAtOnce) { run_blocking(answered_at_the_last_moment()); }

}  // namespace
}  // namespace tow::engine::local
