// SPDX-License-Identifier: Apache-2.0
// What the server refuses, bounds and gives up on.
#include <gtest/gtest.h>

#include <thread>

#include "base/error.hpp"
#include "http/loopback_test.hpp"

namespace tow::http {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using ServerLimits = ServerTest;

TEST_F(ServerLimits, RefusesWhatIsNoProperRequest) {
  struct Case {
    const char* reason;
    std::string request;
    int status;
  };
  const std::string host = "Host: h\r\n";
  const Case cases[] = {
      {"no HTTP", "hello there\r\n\r\n", 400},
      {"TLS on a plain port", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03"s, 400},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"no Host", "GET /hello HTTP/1.1\r\n\r\n", 400},
      {"two Hosts", "GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"length and coding: smuggling",
       "POST /echo HTTP/1.1\r\n" + host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       400},
      {"coding and length, the other way round",
       "POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
       400},
      {"two lengths", "POST /echo HTTP/1.1\r\n" + host + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
       400},
      {"the same length twice",
       "POST /echo HTTP/1.1\r\n" + host + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
      {"a list of lengths", "POST /echo HTTP/1.1\r\n" + host + "Content-Length: 3, 3\r\n\r\nabc", 400},
      {"a signed length", "POST /echo HTTP/1.1\r\n" + host + "Content-Length: +3\r\n\r\nabc", 400},
      {"a length beyond 64 bits",
       "POST /echo HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n", 400},
      {"an unknown coding", "POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n",
       501},
      {"a coding that some take for chunked",
       "POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: xchunked\r\n\r\n", 501},
      {"a coding twice",
       "POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
       400},
      {"a coding in HTTP/1.0",
       "POST /echo HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"a space before the colon", "GET /hello HTTP/1.1\r\nHost : h\r\n\r\n", 400},
      {"a NUL in a value", "GET /hello HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n"s, 400},
      {"a bare line feed", "GET /hello HTTP/1.1\r\nHost: h\nX: y\r\n\r\n", 400},
      {"a dot segment", "GET /a/../hello HTTP/1.1\r\n" + host + "\r\n", 400},
      {"a NUL in the path", "GET /%00 HTTP/1.1\r\n" + host + "\r\n", 400},
      {"a broken query", "GET /show?q=%zz HTTP/1.1\r\n" + host + "\r\n", 400},
      {"a tunnel", "CONNECT h:443 HTTP/1.1\r\n" + host + "\r\n", 400},
      {"an expectation that cannot be met", "POST /echo HTTP/1.1\r\n" + host + "Expect: x\r\n\r\n", 417},
      {"broken chunks", "POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n",
       400},
      {"a chunk without its end",
       "POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", 400},
      {"endless chunk extensions",
       "POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(40'000, 'x'),
       400},
  };
  start();
  for (const auto& c : cases) {
    RawClient client{server->port()};
    client.send(c.request);
    const auto response = client.rest();
    EXPECT_EQ(status_in(response), c.status) << c.reason << ": " << response;
    EXPECT_NE(response.find("Connection: close\r\n"), std::string::npos) << c.reason;
    EXPECT_NE(response.find("application/problem+json"), std::string::npos) << c.reason;
  }
  EXPECT_EQ(body_of(exchange("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")), "hello") << "and the server lives";
}

TEST_F(ServerLimits, BoundsHeads) {
  start();
  const std::string start_line = "GET /hello HTTP/1.1\r\nHost: h\r\n";
  EXPECT_EQ(status_in(exchange(start_line + "X: " + std::string(16'000, 'x') + "\r\n\r\n")), 200);
  EXPECT_EQ(status_in(exchange(start_line + "X: " + std::string(17'000, 'x') + "\r\n\r\n")), 431);
  EXPECT_EQ(status_in(exchange("GET /" + std::string(17'000, 'x'))), 414);
  std::string many = start_line;
  for (int i = 0; i < 4'000; ++i) many += "X: y\r\n";
  EXPECT_EQ(status_in(exchange(many)), 431) << "an end is never sent";
  RawClient slow{server->port()};
  slow.send(start_line);
  for (int i = 0; i < 3'000; ++i) slow.send("X: y\r\n");  // each ends where a line does
  EXPECT_EQ(status_in(slow.response()), 431) << "a head that comes line by line is counted as a whole";
}

TEST_F(ServerLimits, BoundsBodies) {
  settings.body_limit = 1000;
  start();
  const std::string post = "POST /echo HTTP/1.1\r\nHost: h\r\n";
  const std::string fits(1000, 'x'), large(1001, 'x');
  EXPECT_EQ(status_in(exchange(post + "Content-Length: 1000\r\n\r\n" + fits)), 200);
  EXPECT_EQ(status_in(exchange(post + "Content-Length: 1001\r\n\r\n" + large)), 413);
  EXPECT_EQ(status_in(exchange(post + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + large + "\r\n0\r\n\r\n")),
            413);
  EXPECT_EQ(status_in(exchange(post + "Content-Length: 999999999\r\n\r\n")), 413) << "before it is sent";
}

TEST_F(ServerLimits, AHandlerMayLiftTheLimit) {
  settings.body_limit = 10;
  router.add("POST", "/count", [](Request& request, Responder& responder) -> Task<> {
    request.body.set_limit(std::nullopt);
    std::size_t total = 0;
    for (;;) {
      const auto piece = co_await request.body.read();
      if (piece.empty()) break;
      total += piece.size();
    }
    const auto again = co_await request.body.read();
    responder.send(Response::text(fmt::format("{}{}", total, again)));
  });
  start();
  const std::string large(3'000'000, 'x');
  EXPECT_EQ(body_of(exchange("POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n" + large)),
            "3000000");
}

TEST_F(ServerLimits, SkipsASmallUnreadBodyAndGivesUpOnALargeOne) {
  RawClient client{start()};
  client.send("POST /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(body_of(client.response()), "ignored");
  client.send("abcGET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(body_of(client.response()), "hello");
  const std::string large(300'000, 'x');
  client.send("POST /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n" + large);
  const auto last = client.rest();
  EXPECT_EQ(body_of(last), "ignored") << "the answer arrives although the body was not read";
  EXPECT_NE(last.find("Connection: close"), std::string::npos);
}

TEST_F(ServerLimits, ARefusalAfterAHeadRequestHasItsBody) {
  RawClient client{start()};
  client.send("HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  client.until("\r\n\r\n");
  client.send("nonsense\r\n\r\n");
  EXPECT_NE(client.rest().find("\"status\":400"), std::string::npos);
}

TEST_F(ServerLimits, BoundsOpenStreams) {
  settings.streams = 1;
  router.add("GET", "/events", [this](Request&, Responder& responder) -> Task<> {
    responder.events();
    co_await go.wait();
  });
  RawClient first{start()};
  first.send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n");
  first.until("\r\n\r\n");
  EXPECT_EQ(status_in(exchange("GET /events HTTP/1.1\r\nHost: h\r\n\r\n")), 503);
  go.notify();
  EXPECT_EQ(first.until("0\r\n\r\n"), "0\r\n\r\n");
  first.send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(status_in(first.until("\r\n\r\n")), 200) << "a stream that has ended is not counted";
}

TEST_F(ServerLimits, AClientThatTakesNothingIsCut) {
  settings.write_time = 50ms;
  router.add("GET", "/flood", [this](Request&, Responder& responder) -> Task<> {
    auto& writer = responder.begin(200, {});
    const std::string piece(1 << 20, 'x');
    try {
      for (;;) co_await writer.write(piece);
    } catch (const Error& error) {
      if (error.code() == Code::Timeout) left.open();
      throw;
    }
  });
  RawClient client{start()};
  client.send("GET /flood HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(left.wait());
}

TEST_F(ServerLimits, SlowRequestsAreEnded) {
  settings.header_time = settings.body_time = 30ms;
  start();
  EXPECT_EQ(status_in(exchange("GET /hello HTTP/1.1\r\nHo")), 408) << "half a head";
  EXPECT_EQ(status_in(exchange("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab")), 408)
      << "half a body";
}

TEST_F(ServerLimits, IdleConnectionsAreClosed) {
  settings.idle_time = 30ms;
  RawClient client{start()};
  EXPECT_EQ(client.rest(), "");
  RawClient second{server->port()};
  second.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(body_of(second.rest()), "hello") << "nothing is said to a client that has its answer";
}

TEST_F(ServerLimits, BoundsConnections) {
  settings.connections = 2;
  start();
  RawClient first{server->port()}, second{server->port()};
  for (auto* client : {&first, &second}) {
    client->send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    client->response();
  }
  RawClient third{server->port()};
  EXPECT_EQ(status_in(third.rest()), 503);
}

TEST_F(ServerLimits, BoundsConnectionsOfOnePeer) {
  settings.connections_per_peer = 1;
  settings.limit_loopback_peers = true;
  RawClient first{start()};
  first.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  first.response();
  EXPECT_EQ(status_in(RawClient{server->port()}.rest()), 429);
  first.send("GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  first.rest();
  while (server->counts().connections > 0) std::this_thread::yield();
  EXPECT_EQ(body_of(exchange("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")), "hello")
      << "the place is free again";
}

TEST_F(ServerLimits, HoldsManyIdleConnections) {
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 400; ++i) clients.push_back(std::make_unique<RawClient>(server->port()));
  for (auto& client : clients) client->send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  for (auto& client : clients) EXPECT_EQ(body_of(client->response()), "hello");
  EXPECT_EQ(server->counts().connections, 400U);
  run_blocking(server->stop(10s));
  for (auto& client : clients) EXPECT_EQ(client->rest(), "");
}

}  // namespace
}  // namespace tow::http
