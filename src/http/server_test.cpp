// SPDX-License-Identifier: Apache-2.0
#include "http/server.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.hpp"
#include "http/loopback_test.hpp"

namespace tow::http {
namespace {

using namespace std::chrono_literals;

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

}  // namespace
}  // namespace tow::http
