// SPDX-License-Identifier: Apache-2.0
// Requests that wait for an instance: what they keep, how long and how many may, and what frees their place.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "route/haproxy/lab.hpp"

namespace tow::route::haproxy {
namespace {

using namespace std::chrono_literals;
using lab::Answer;
using lab::Client;
using lab::Instance;
using lab::Proxied;
using testing::HasSubstr;

Site sleeper(Hold hold, std::vector<Server> servers = {}) {
  Site made = lab::site("a", "web.test", std::move(servers));
  made.hold = hold;
  return made;
}

/// A proxy with one site, and how often somebody was said to wait for it.
class Held : public testing::Test {
 protected:
  void begin(Hold hold) {
    hold_ = hold;
    listen_and_start();
    proxied.apply(sleeper(hold));
  }
  void listen_and_start() {
    proxied.router().observe_held([this](const SiteId&) { ++told; });
    proxied.start();
  }
  void wake() { proxied.apply(sleeper(hold_, {instance.server()})); }
  bool is_told() {
    return lab::soon([&] { return told > 0; });
  }
  std::future<Answer> ask(const std::string& method = "GET", const std::string& headers = {},
                          const std::string& body = {}) {
    return std::async(std::launch::async, [=, port = proxied.port()] {
      return Client{port}.request("web.test", "/", headers, method, body);
    });
  }

  Hold hold_;
  std::atomic<int> told = 0;
  Instance instance{"i-0"};
  Proxied proxied{[](Settings& settings) { settings.max_connections = 1000; }};
};

TEST_F(Held, FiftyAtOnceAreAllServedAndEachArrivesOnce) {
  begin({});
  std::vector<std::future<Answer>> answers;
  for (int i = 0; i < 50; ++i) {
    // Some are more than fits into the proxy's buffers.
    answers.push_back(
        ask("POST", fmt::format("X-Number: {}\r\n", i), std::string(i % 5 == 0 ? 300'000 : 10, 'x')));
  }
  ASSERT_TRUE(is_told());
  wake();
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(answers[static_cast<std::size_t>(i)].get().status, 200) << i;
    EXPECT_EQ(instance.arrivals(std::to_string(i)), 1) << i;
  }
}

TEST_F(Held, WhoeverWaitsTooLongIsToldWhy) {
  begin({.limit = 200ms});
  const Answer answer = ask().get();
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("shop web.development sleeps"));
  EXPECT_EQ(answer.header("Retry-After"), "5");
  EXPECT_EQ(instance.requests(), 0);
}

TEST_F(Held, WhoeverIsOneTooManyIsToldAtOnce) {
  begin({.limit = 20s, .most = 1});
  auto first = ask();
  ASSERT_TRUE(is_told());
  const Answer second = ask().get();
  EXPECT_EQ(second.status, 503);
  EXPECT_THAT(second.body, HasSubstr("shop web.development is being woken"));
  wake();
  EXPECT_EQ(first.get().status, 200);
}

TEST_F(Held, AClientThatLeavesFreesItsPlaceAndIsNotServed) {
  begin({.limit = 60s, .most = 1});
  std::optional<Client> client{proxied.port()};
  client->send("GET / HTTP/1.1\r\nHost: web.test\r\n\r\n");
  ASSERT_TRUE(is_told());
  EXPECT_EQ(ask().get().status, 503) << "there is one place, and it is taken";
  client.reset();
  std::future<Answer> next;
  ASSERT_TRUE(lab::soon([&] {
    next = ask();
    return next.wait_for(300ms) == std::future_status::timeout;
  })) << "the place is not free";
  wake();
  EXPECT_EQ(next.get().status, 200);
  EXPECT_EQ(instance.requests(), 1);
}

TEST_F(Held, NobodyTakesMoreThanItsShareOfAllConnections) {
  begin({.limit = 20s, .most = 10'000});  // one in twenty connections may wait
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 120; ++i) {
    clients.push_back(std::make_unique<Client>(proxied.port()));
    clients.back()->send("GET / HTTP/1.1\r\nHost: web.test\r\n\r\n");
  }
  Instance other{"o-0"};
  proxied.apply(lab::site("b", "other.test", {other.server()}));
  EXPECT_EQ(lab::get(proxied.port(), "other.test").status, 200);
  int refused = 0;
  for (const auto& client : clients) refused += client->receive("\r\n\r\n", 20ms).contains(" 503 ");
  EXPECT_EQ(refused, 70);
}

TEST_F(Held, AReloadTakesNobodyItsPlace) {
  begin({});
  auto answer = ask("POST", "X-Number: 1\r\n", "body");
  ASSERT_TRUE(is_told());
  proxied.force_reload();
  told = 0;
  ASSERT_TRUE(is_told()) << "it waits in the new worker";
  wake();
  EXPECT_EQ(answer.get().status, 200);
  EXPECT_EQ(instance.arrivals("1"), 1);
}

TEST_F(Held, WithoutAControlPlaneItWaitsForOne) {
  begin({});
  auto answer = ask();
  ASSERT_TRUE(is_told());
  proxied.restart();
  told = 0;
  listen_and_start();
  ASSERT_TRUE(is_told());
  wake();
  EXPECT_EQ(answer.get().status, 200);
}

TEST_F(Held, AWebSocketOpensWhenSomebodyIsThere) {
  begin({});
  Client client{proxied.port()};
  client.send("GET / HTTP/1.1\r\nHost: web.test\r\n" + std::string{lab::kUpgrade} + "\r\n");
  ASSERT_TRUE(is_told());
  wake();
  EXPECT_THAT(client.receive("\r\n\r\n"), HasSubstr(" 101 "));
  client.send("hello");
  EXPECT_EQ(client.receive("hello"), "hello");
  instance.end_streams();
}

TEST_F(Held, AConnectionOutlivesItsHeldRequest) {
  begin({});
  Client client{proxied.port()};
  auto first = std::async(std::launch::async, [&] { return client.request("web.test", "/head"); });
  ASSERT_TRUE(is_told());
  wake();
  const std::string head = first.get().body;
  EXPECT_THAT(head, HasSubstr("forwarded-for: 127.0.0.1\r\n"));
  EXPECT_EQ(client.request("web.test").body, "i-0");
  EXPECT_EQ(instance.connections(), 1) << "and is none of the instance's own";
}

TEST_F(Held, ARequestThatFindsAServerIsNotHeld) {
  begin({});
  wake();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(ask().get().status, 200);
  EXPECT_EQ(told, 0);
}

}  // namespace
}  // namespace tow::route::haproxy
