// SPDX-License-Identifier: Apache-2.0
// How connections and servers begin and end.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <future>
#include <thread>

#include "base/error.hpp"
#include "http/loopback_test.hpp"

namespace tow::http {
namespace {

using namespace std::chrono_literals;
using ServerLife = ServerTest;

TEST_F(ServerLife, ATaskOfAHandlerThatReadsIsCancelledWithIt) {
  router.add("POST", "/gateway", [this](Request& request, Responder&) -> Task<> {
    struct Leaving {
      Latch& latch;
      ~Leaving() { latch.open(); }
    } leaving{left};
    co_await with_scope("gateway", [&](Scope& scope) -> Task<> {
      scope.spawn([](Body& body) -> Task<> { co_await body.read(); }(request.body));
      entered.open();
      Signal forever;
      co_await forever.wait();
    });
  });
  RawClient client{start()};
  client.send("POST /gateway HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n");
  ASSERT_TRUE(entered.wait());
  client.reset();
  EXPECT_TRUE(left.wait());
}

TEST_F(ServerLife, AResetCancelsTheHandler) {
  RawClient client{start()};
  client.send("GET /forever HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(entered.wait());
  client.reset();
  EXPECT_TRUE(left.wait());
}

TEST_F(ServerLife, AClientThatGoesAwayCancelsTheHandler) {
  settings.half_close_time = 20ms;
  RawClient client{start()};
  client.send("GET /forever HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(entered.wait());
  client.close();
  EXPECT_TRUE(left.wait());
}

TEST_F(ServerLife, AClosedUnixSocketCancelsTheHandlerAtOnce) {
  settings.half_close_time = 1h;
  const auto path = std::filesystem::temp_directory_path() / fmt::format("http-test-{}.sock", ::getpid());
  server = std::make_unique<Server>(settings, router.handler());
  server->listen({.host = {}, .socket = path});
  RawClient client{path};
  client.send("GET /forever HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(entered.wait());
  client.close();
  EXPECT_TRUE(left.wait());
}

TEST_F(ServerLife, AHalfClosedClientGetsItsAnswer) {
  RawClient client{start()};
  client.send("GET /when-told HTTP/1.1\r\nHost: h\r\n\r\n");
  client.half_close();
  ASSERT_TRUE(entered.wait());
  go.notify();
  EXPECT_EQ(body_of(client.rest()), "done");
}

TEST_F(ServerLife, StopLetsRequestsFinish) {
  RawClient idle{start()}, busy{server->port()};
  idle.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  idle.response();
  busy.send("GET /when-told HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(entered.wait());
  const auto port = server->port();
  auto stopped = std::async(std::launch::async, [&] { run_blocking(server->stop(10s)); });
  EXPECT_EQ(idle.rest(), "") << "idle connections are closed at once";
  go.notify();
  const auto answer = busy.rest();
  EXPECT_EQ(body_of(answer), "done");
  stopped.get();
  EXPECT_FALSE(RawClient{port}.connected());
  run_blocking(server->stop(0ms));
}

TEST_F(ServerLife, StopUnderLoadCutsNoResponse) {
  const auto port_of_server = start();
  std::atomic<int> answered = 0, cut = 0;
  std::vector<std::jthread> clients;
  for (int i = 0; i < 4; ++i)
    clients.emplace_back([&] {
      for (;;) {
        RawClient client{port_of_server};
        if (!client.connected()) return;
        for (int n = 0; n < 20; ++n) {
          client.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
          const auto response = client.response();
          if (response.empty()) break;  // closed between two requests
          if (!response.ends_with("\r\n\r\nhello")) ++cut;
          ++answered;
        }
      }
    });
  while (answered < 500) std::this_thread::yield();
  run_blocking(server->stop(10s));
  clients.clear();
  EXPECT_EQ(cut, 0);
  EXPECT_EQ(server->counts().connections, 0U);
}

TEST_F(ServerLife, StopCancelsWhatOutlivesTheGrace) {
  RawClient client{start()};
  client.send("GET /forever HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(entered.wait());
  run_blocking(server->stop(20ms));
  EXPECT_TRUE(left.wait());
  EXPECT_EQ(client.rest(), "");
}

TEST_F(ServerLife, StopEndsEventStreamsAtOnce) {
  router.add("GET", "/events", [](Request&, Responder& responder) -> Task<> {
    responder.events();
    Signal never;
    co_await never.wait();
  });
  RawClient client{start()};
  client.send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n");
  client.until("\r\n\r\n");
  run_blocking(server->stop(1h));
  EXPECT_EQ(client.rest(), "");
}

TEST_F(ServerLife, APortInUseIsNamed) {
  const auto port = start();
  Server other{settings, router.handler()};
  try {
    other.listen({.host = "127.0.0.1", .port = port});
    FAIL() << "two servers on one port";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::FailedPrecondition);
    EXPECT_NE(error.message().find(std::to_string(port)), std::string::npos) << error.message();
  }
  EXPECT_THROW(other.listen({.host = "192.0.2.1"}), Error);
  EXPECT_THROW(other.listen({.host = "example.org"}), Error);
  stop();
  EXPECT_EQ(other.listen({.host = "127.0.0.1", .port = port}), port) << "free again at once";
}

TEST_F(ServerLife, UnixSockets) {
  const auto path = std::filesystem::temp_directory_path() / fmt::format("http-test-{}.sock", ::getpid());
  router.add("GET", "/who", [](Request& request, Responder& responder) -> Task<> {
    const auto& peer = request.peer;
    responder.send(Response::text(fmt::format("{} {} {} {}", peer.address, peer.local, peer.uid, peer.pid)));
    co_return;
  });
  const Address address{.host = {}, .socket = path, .mode = 0660};
  {
    Server crashed{settings, router.handler()};
    crashed.listen(address);
    for (const int copy : crashed.hand_over()) ::close(copy);  // so that the file stays
  }
  ASSERT_TRUE(std::filesystem::exists(path));
  Server fresh{settings, router.handler()};
  fresh.listen(address);  // a socket that nobody listens on is replaced
  struct stat file{};
  ASSERT_EQ(::stat(path.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777U, 0660U);
  RawClient client{path};
  client.send("GET /who HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(body_of(client.response()), fmt::format("unix true {} {}", ::getuid(), ::getpid()));
  Server second{settings, router.handler()};
  EXPECT_THROW(second.listen(address), Error) << "one that somebody listens on is not";
  run_blocking(fresh.stop(0ms));
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(ServerLife, ASuccessorTakesTheSocketsOver) {
  const auto port = start();
  const auto descriptors = server->hand_over();
  ASSERT_EQ(descriptors.size(), 1U);
  stop();
  RawClient waiting{port};  // nobody accepts now, but the socket listens on
  ASSERT_TRUE(waiting.connected());
  waiting.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  server = std::make_unique<Server>(settings, router.handler());
  EXPECT_EQ(server->adopt(descriptors[0]), port);
  EXPECT_EQ(body_of(waiting.response()), "hello");
}

TEST_F(ServerLife, RunsOnAnExecutorOfTheCallers) {
  run_blocking([this]() -> Task<> {
    const auto executor = co_await boost::asio::this_coro::executor;
    settings.executor = executor;
    Server own{settings, router.handler()};
    own.listen({.host = "127.0.0.1"});
    auto asked = std::async(std::launch::async, [port = own.port()] {
      RawClient client{port};
      client.send("GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
      return client.rest();
    });
    while (own.counts().requests == 0) co_await yield_now();
    co_await own.stop(10s);
    EXPECT_EQ(body_of(asked.get()), "hello");
  }());
}

TEST(Address, ParsesAndPrints) {
  for (const std::string_view text : {"127.0.0.1:80", "[::1]:8080", "localhost:0", "unix:///run/x.sock"})
    EXPECT_EQ(Address::parse(text).text(), text);
  for (const std::string_view text :
       {"", "127.0.0.1", ":80", "a:", "a:65536", "a:x", "::1:80", "unix://x", "[::1]"})
    EXPECT_THROW(Address::parse(text), Error) << text;
}

}  // namespace
}  // namespace tow::http
