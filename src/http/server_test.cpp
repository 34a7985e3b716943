// SPDX-License-Identifier: Apache-2.0
#include "http/server.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <thread>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "http/loopback_test.hpp"

namespace tow::http {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

// What a handler that waits tells the test.
struct Latch {
  void open() { promise.set_value(); }
  bool wait() { return future.wait_for(10s) == std::future_status::ready; }
  std::promise<void> promise;
  std::future<void> future = promise.get_future();
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    router.add("GET", "/hello", [](Request&, Responder& responder) -> Task<> {
      responder.send(Response::text("hello"));
      co_return;
    });
    router.add("POST", "/echo", [](Request& request, Responder& responder) -> Task<> {
      auto body = co_await request.body.all();
      responder.send(Response::text(std::move(body)));
    });
    router.add("POST", "/ignore", [](Request&, Responder& responder) -> Task<> {
      responder.send(Response::text("ignored"));
      co_return;
    });
    router.add("GET", "/show", [](Request& request, Responder& responder) -> Task<> {
      responder.send(Response::text(fmt::format(
          "{} {} q={} host={} peer={}", request.method, request.path, request.query.get("q").value_or("-"),
          request.headers.get("host").value_or("-"), request.peer.address)));
      co_return;
    });
    router.add("GET", "/forever", [this](Request&, Responder&) -> Task<> {
      entered.open();
      struct Leaving {
        Latch& latch;
        ~Leaving() { latch.open(); }
      } leaving{left};
      Signal never;
      co_await never.wait();
    });
    router.add("GET", "/when-told", [this](Request&, Responder& responder) -> Task<> {
      entered.open();
      co_await go.wait();
      responder.send(Response::text("done"));
    });
  }
  ~ServerTest() override { stop(); }

  std::uint16_t start() {
    server = std::make_unique<Server>(settings, router.handler());
    return server->listen({.host = "127.0.0.1"});
  }
  void stop() {
    if (server) run_blocking(server->stop(0ms));
    server.reset();
  }
  std::string exchange(std::string_view request) {
    if (!server) start();
    RawClient client{server->port()};
    client.send(request);
    return client.response();
  }

  ServerSettings settings{.threads = 2};
  Router router;
  std::unique_ptr<Server> server;
  Latch entered, left;
  Signal go;
};

TEST_F(ServerTest, AnswersWhole) {
  const auto response = exchange("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nDate: "))
      << response;
  EXPECT_TRUE(response.ends_with(" GMT\r\nContent-Length: 5\r\n\r\nhello")) << response;
}

TEST_F(ServerTest, TellsHandlersWhatWasAsked) {
  EXPECT_EQ(body_of(exchange("GET /show?q=a%20b HTTP/1.1\r\nhOsT: h\r\n\r\n")),
            "GET /show q=a b host=h peer=127.0.0.1");
  EXPECT_EQ(body_of(exchange("GET http://other/show HTTP/1.1\r\nHost: h\r\n\r\n")),
            "GET /show q=- host=other peer=127.0.0.1")
      << "an absolute target says which host is meant";
}

TEST_F(ServerTest, KeepsConnectionsAndAnswersPipelinesInOrder) {
  RawClient client{start()};
  client.send("\r\nGET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(body_of(client.response()), "hello") << "an empty line before a request is nothing";
  client.send(
      "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\none"
      "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\ntw\r\n1;x=y\r\no\r\n0\r\nX: "
      "y\r\n\r\n"
      "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(body_of(client.response()), "one");
  EXPECT_EQ(body_of(client.response()), "two");
  const auto last = client.rest();
  EXPECT_EQ(body_of(last), "hello");
  EXPECT_NE(last.find("Connection: close\r\n"), std::string::npos);
  EXPECT_EQ(server->counts().requests, 4U);
}

TEST_F(ServerTest, AnswersALongPipeline) {
  RawClient client{start()};
  std::string all;
  for (int i = 0; i < 500; ++i) all += "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n";
  client.send(all);
  client.half_close();
  const auto answers = client.rest();
  std::size_t count = 0;
  for (auto at = answers.find("\r\n\r\nhello"); at != std::string::npos;
       at = answers.find("\r\n\r\nhello", at + 1))
    ++count;
  EXPECT_EQ(count, 500U);
}

TEST_F(ServerTest, TakesARequestByteByByte) {
  RawClient client{start()};
  for (const char c : std::string_view{"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                                       "3\r\nabc\r\n0\r\n\r\n"})
    client.send({&c, 1});
  EXPECT_EQ(body_of(client.response()), "abc");
}

TEST_F(ServerTest, RefusesWhatIsNoProperRequest) {
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

TEST_F(ServerTest, BoundsHeads) {
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

TEST_F(ServerTest, BoundsBodies) {
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

TEST_F(ServerTest, AHandlerMayLiftTheLimit) {
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

TEST_F(ServerTest, SendsLargeResponsesInOrder) {
  std::string large;
  for (int i = 0; large.size() < 5'000'000; ++i) large += fmt::format("{} ", i);
  router.add("GET", "/large", [&](Request&, Responder& responder) -> Task<> {
    responder.send(Response::text(large));
    co_return;
  });
  RawClient client{start()};
  client.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\nGET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(body_of(client.response()) == large);
  EXPECT_EQ(body_of(client.response()), "hello");
}

TEST_F(ServerTest, HeadHasNoBody) {
  RawClient client{start()};
  client.send("HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  const auto head = client.until("\r\n\r\n");
  EXPECT_NE(head.find("Content-Length: 5\r\n"), std::string::npos);
  client.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_TRUE(client.response().starts_with("HTTP/1.1 200 OK\r\n")) << "nothing stands between";
}

TEST_F(ServerTest, ContinuesOnlyWhenTheBodyIsWanted) {
  RawClient client{start()};
  client.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("abc");
  EXPECT_EQ(body_of(client.response()), "abc");
  client.send("POST /ignore HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  const auto refused = client.response();
  EXPECT_EQ(body_of(refused), "ignored");
  EXPECT_NE(refused.find("Connection: close"), std::string::npos)
      << "nobody knows whether the body will come";
}

TEST_F(ServerTest, SkipsASmallUnreadBodyAndGivesUpOnALargeOne) {
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

TEST_F(ServerTest, SpeaksHttp10) {
  RawClient client{start()};
  client.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_NE(client.response().find("Connection: keep-alive\r\n"), std::string::npos);
  client.send("GET /hello HTTP/1.0\r\n\r\n");
  EXPECT_EQ(body_of(client.rest()), "hello");
}

TEST_F(ServerTest, AHandlersFailureIsAProblem) {
  router.add("GET", "/fail/{code}", [](Request& request, Responder& responder) -> Task<> {
    responder.send(Response::text("never seen"));
    if (request.param("code") == "1") throw fail(Code::NotFound, "no such thing");
    if (request.param("code") == "2") throw std::runtime_error{"secret"};
    throw Error{Code::Conflict, "changed meanwhile"};
  });
  router.add("GET", "/silent", [](Request&, Responder&) -> Task<> { co_return; });
  const auto ask = [&](std::string path) { return exchange("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n"); };
  EXPECT_EQ(status_in(ask("/fail/1")), 404);
  EXPECT_NE(ask("/fail/1").find("no such thing"), std::string::npos);
  EXPECT_EQ(status_in(ask("/fail/2")), 500);
  EXPECT_EQ(ask("/fail/2").find("secret"), std::string::npos);
  EXPECT_EQ(status_in(ask("/fail/3")), 409);
  EXPECT_EQ(status_in(ask("/silent")), 500);
  EXPECT_EQ(status_in(ask("/nothing")), 404);
}

TEST_F(ServerTest, StreamsInChunks) {
  router.add("GET", "/stream", [](Request&, Responder& responder) -> Task<> {
    auto& writer = responder.begin(200, {{"Content-Type", "text/plain"}});
    co_await writer.write("one");
    co_await writer.write("");
    co_await writer.write(std::string(20, 'x'));
  });
  const std::string chunks = "3\r\none\r\n14\r\nxxxxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n";
  RawClient client{start()};
  client.send("GET /stream HTTP/1.1\r\nHost: h\r\n\r\nHEAD /stream HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_NE(client.until("\r\n\r\n").find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  EXPECT_EQ(client.exactly(chunks.size()), chunks);
  EXPECT_NE(client.until("\r\n\r\n").find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  client.send("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(client.rest().ends_with("\r\n\r\none" + std::string(20, 'x'))) << "HTTP/1.0 knows no chunks";
}

TEST_F(ServerTest, AStreamOfStatedLengthIsHeldToIt) {
  router.add("GET", "/exact", [](Request& request, Responder& responder) -> Task<> {
    auto& writer = responder.begin(200, {{"Content-Length", "4"}});
    co_await writer.write("ab");
    if (request.query.has("whole")) co_await writer.write("cd");
  });
  RawClient client{start()};
  client.send("GET /exact?whole HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(body_of(client.response()), "abcd");
  client.send("GET /exact HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(body_of(client.rest()), "ab") << "the connection ends: the client sees it cut";
}

TEST_F(ServerTest, AStreamThatFailsIsCut) {
  router.add("GET", "/cut", [](Request&, Responder& responder) -> Task<> {
    auto& writer = responder.begin(200, {});
    co_await writer.write("one");
    throw fail(Code::Unavailable, "the source dried up");
  });
  RawClient client{start()};
  client.send("GET /cut HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_FALSE(client.rest().ends_with("0\r\n\r\n"));
}

TEST_F(ServerTest, ReadsAndWritesAtOnce) {
  router.add("POST", "/relay", [](Request& request, Responder& responder) -> Task<> {
    auto& writer = responder.begin(200, {});
    for (;;) {
      const auto piece = co_await request.body.read();
      if (piece.empty()) break;
      co_await writer.write(piece);
    }
  });
  RawClient client{start()};
  client.send("POST /relay HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (const std::string_view chunk : {"3\r\none\r\n", "3\r\ntwo\r\n"}) {
    client.send(chunk);
    if (chunk.starts_with("3\r\none")) client.until("\r\n\r\n");
    EXPECT_EQ(client.exactly(chunk.size()), chunk);
  }
  client.send("0\r\n\r\n");
  EXPECT_EQ(client.exactly(5), "0\r\n\r\n");
}

TEST_F(ServerTest, TwoTasksOfAHandlerReadAndWriteAtOnce) {
  // As a gateway does: one task takes the body in, the other sends what has come so far.
  router.add("POST", "/gateway", [](Request& request, Responder& responder) -> Task<> {
    co_await with_scope("gateway", [&](Scope& scope) -> Task<> {
      Signal more;
      std::string taken;
      bool ended = false;
      scope.spawn([](Body& body, Signal& signal, std::string& into, bool& end) -> Task<> {
        for (;;) {
          const auto piece = co_await body.read();
          into += piece;
          end = piece.empty();
          signal.notify();
          if (end) co_return;
        }
      }(request.body, more, taken, ended));
      auto& writer = responder.begin(200, {});
      while (!ended || !taken.empty()) {
        if (taken.empty()) co_await more.wait();
        const auto piece = std::exchange(taken, {});
        co_await writer.write(piece);
      }
      co_await scope.join();
    });
  });
  RawClient client{start()};
  client.send("POST /gateway HTTP/1.1\r\nHost: h\r\nContent-Length: 600003\r\n\r\none");
  EXPECT_EQ(status_in(client.until("\r\n\r\n")), 200);
  EXPECT_EQ(client.exactly(8), "3\r\none\r\n") << "before the rest was sent";
  client.send(std::string(600'000, 'x'));
  const auto answer = client.until("\r\n0\r\n\r\n");
  EXPECT_EQ(std::ranges::count(answer, 'x'), 600'000);
}

TEST_F(ServerTest, ATaskOfAHandlerThatReadsIsCancelledWithIt) {
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

TEST_F(ServerTest, ARefusalAfterAHeadRequestHasItsBody) {
  RawClient client{start()};
  client.send("HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  client.until("\r\n\r\n");
  client.send("nonsense\r\n\r\n");
  EXPECT_NE(client.rest().find("\"status\":400"), std::string::npos);
}

TEST_F(ServerTest, SendsEventsAndKeepsThemAlive) {
  settings.event_keep_alive = 20ms;
  router.add("GET", "/events", [this](Request&, Responder& responder) -> Task<> {
    auto& events = responder.events();
    co_await go.wait();
    co_await events.send("7", "put", "a\nb");
    co_await go.wait();
  });
  RawClient client{start()};
  client.send("GET /events HTTP/1.1\r\nHost: h\r\n\r\n");
  const auto head = client.until("\r\n\r\n");
  EXPECT_NE(head.find("Content-Type: text/event-stream\r\n"), std::string::npos);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.exactly(8), "3\r\n:\n\n\r\n");
  go.notify();
  EXPECT_NE(client.until("data: b\n\n\r\n").find("id: 7\nevent: put\ndata: a\n"), std::string::npos);
  EXPECT_EQ(server->counts().streams, 1U);
}

TEST_F(ServerTest, BoundsOpenStreams) {
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

TEST_F(ServerTest, AResetCancelsTheHandler) {
  RawClient client{start()};
  client.send("GET /forever HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(entered.wait());
  client.reset();
  EXPECT_TRUE(left.wait());
}

TEST_F(ServerTest, AClientThatGoesAwayCancelsTheHandler) {
  settings.half_close_time = 20ms;
  RawClient client{start()};
  client.send("GET /forever HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(entered.wait());
  client.close();
  EXPECT_TRUE(left.wait());
}

TEST_F(ServerTest, AClosedUnixSocketCancelsTheHandlerAtOnce) {
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

TEST_F(ServerTest, AHalfClosedClientGetsItsAnswer) {
  RawClient client{start()};
  client.send("GET /when-told HTTP/1.1\r\nHost: h\r\n\r\n");
  client.half_close();
  ASSERT_TRUE(entered.wait());
  go.notify();
  EXPECT_EQ(body_of(client.rest()), "done");
}

TEST_F(ServerTest, AClientThatTakesNothingIsCut) {
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

TEST_F(ServerTest, SlowRequestsAreEnded) {
  settings.header_time = settings.body_time = 30ms;
  start();
  EXPECT_EQ(status_in(exchange("GET /hello HTTP/1.1\r\nHo")), 408) << "half a head";
  EXPECT_EQ(status_in(exchange("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab")), 408)
      << "half a body";
}

TEST_F(ServerTest, IdleConnectionsAreClosed) {
  settings.idle_time = 30ms;
  RawClient client{start()};
  EXPECT_EQ(client.rest(), "");
  RawClient second{server->port()};
  second.send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(body_of(second.rest()), "hello") << "nothing is said to a client that has its answer";
}

TEST_F(ServerTest, BoundsConnections) {
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

TEST_F(ServerTest, BoundsConnectionsOfOnePeer) {
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

TEST_F(ServerTest, HoldsManyIdleConnections) {
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 400; ++i) clients.push_back(std::make_unique<RawClient>(server->port()));
  for (auto& client : clients) client->send("GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
  for (auto& client : clients) EXPECT_EQ(body_of(client->response()), "hello");
  EXPECT_EQ(server->counts().connections, 400U);
  run_blocking(server->stop(10s));
  for (auto& client : clients) EXPECT_EQ(client->rest(), "");
}

TEST_F(ServerTest, StopLetsRequestsFinish) {
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

TEST_F(ServerTest, StopUnderLoadCutsNoResponse) {
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

TEST_F(ServerTest, StopCancelsWhatOutlivesTheGrace) {
  RawClient client{start()};
  client.send("GET /forever HTTP/1.1\r\nHost: h\r\n\r\n");
  ASSERT_TRUE(entered.wait());
  run_blocking(server->stop(20ms));
  EXPECT_TRUE(left.wait());
  EXPECT_EQ(client.rest(), "");
}

TEST_F(ServerTest, StopEndsEventStreamsAtOnce) {
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

TEST_F(ServerTest, APortInUseIsNamed) {
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

TEST_F(ServerTest, UnixSockets) {
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

TEST_F(ServerTest, ASuccessorTakesTheSocketsOver) {
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

TEST_F(ServerTest, RunsOnAnExecutorOfTheCallers) {
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
