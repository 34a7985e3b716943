// SPDX-License-Identifier: Apache-2.0
#include "http/client.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "base/error.hpp"
#include "http/loopback_test.hpp"
#include "http/problem.hpp"

namespace tow::http {
namespace {

using namespace std::chrono_literals;

// A server that says what it is told, one connection after the other: it reads a head, sends the next of its
// lines, and closes where a line says so.
class Scripted {
 public:
  struct Line {
    std::string answer;
    bool then_close = false;
  };
  explicit Scripted(std::vector<Line> lines) : lines_{std::move(lines)} {
    listener_ = listen_on_loopback(port_);
    thread_ = std::jthread{[this] { run(); }};
  }
  ~Scripted() {
    thread_.join();
    ::close(listener_);
  }
  std::string origin() const { return fmt::format("http://127.0.0.1:{}", port_); }
  int connections = 0;  // read after the thread has ended or between exchanges
  std::vector<std::string> heads;

 private:
  void run() {
    std::size_t next = 0;
    while (next < lines_.size()) {
      const int socket = ::accept(listener_, nullptr, nullptr);
      ++connections;
      std::string in;
      for (bool open = true; open && next < lines_.size();) {
        char bytes[4096];
        while (!in.contains("\r\n\r\n")) {
          const auto count = ::recv(socket, bytes, sizeof bytes, 0);
          if (count <= 0) break;
          in.append(bytes, static_cast<std::size_t>(count));
        }
        if (!in.contains("\r\n\r\n")) break;
        heads.push_back(in);
        in.clear();
        const auto& line = lines_[next++];
        ::send(socket, line.answer.data(), line.answer.size(), MSG_NOSIGNAL);
        open = !line.then_close;
      }
      ::close(socket);
    }
  }

  std::vector<Line> lines_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::jthread thread_;
};

class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    router.add("*", "/echo", [](Request& request, Responder& responder) -> Task<> {
      auto body = co_await request.body.all();
      auto response = Response::text(request.method + " " + body);
      response.headers.add("X-Got", request.headers.get("X-Sent").value_or("-"));
      response.headers.add("X-Host", request.headers.get("Host").value_or("-"));
      responder.send(std::move(response));
    });
    router.add("GET", "/silent", [this](Request&, Responder&) -> Task<> { co_await never.wait(); });
    router.add("GET", "/half", [this](Request&, Responder& responder) -> Task<> {
      auto& writer = responder.begin(200, {});
      co_await writer.write("half");
      co_await never.wait();
    });
    router.add("GET", "/fail", [](Request&, Responder&) -> Task<> {
      throw Error{Code::Invalid, "bad", {{.path = "a", .message = "b"}}};
      co_return;
    });
    router.add("GET", "/events", [](Request& request, Responder& responder) -> Task<> {
      auto& events = responder.events();
      co_await events.send("1", "put", "one\ntwo");
      co_await events.send("", "", request.headers.get("Last-Event-ID").value_or(""));
      co_await events.write(":comment\r\ndata:x\r\rdata");
      co_await events.write("\n\nevent: only\n\n");
    });
    router.add("GET", "/socket", [](Request&, Responder& responder) -> Task<> {
      auto socket = co_await responder.accept({.message_limit = 1 << 20, .protocol = "echo"});
      for (;;) {
        const auto message = co_await socket->read();
        if (!message) break;
        if (message->data == "close") {
          co_await socket->close(4001, "as you wish");
          co_return;
        }
        if (message->data == "drop") co_return;
        co_await socket->write(message->kind, message->data);
      }
    });
    server = std::make_unique<Server>(ServerSettings{.threads = 1}, router.handler());
    port = server->listen({.host = "127.0.0.1"});
  }
  ~ClientTest() override { run_blocking(server->stop(0ms)); }

  std::string origin() const { return fmt::format("http://127.0.0.1:{}", port); }

  // Runs `test` with a client of `at`.
  template <class Test>
  static void with(std::string at, ClientSettings settings, Test test) {
    run_blocking([](std::string where, ClientSettings s, Test& t) -> Task<> {
      const auto executor = co_await boost::asio::this_coro::executor;
      Client client{executor, where, std::move(s)};
      co_await t(client);
    }(std::move(at), std::move(settings), test));
  }
  template <class Test>
  void with(Test test) {
    with(origin(), {}, std::move(test));
  }

  Signal never;
  Router router;
  std::unique_ptr<Server> server;
  std::uint16_t port = 0;
};

Code code_thrown(const std::exception_ptr& failure) {
  try {
    if (failure) std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "nothing was thrown";
  return Code::Internal;
}

// The code of the error that fetching ends with.
Task<Code> failing(Client& client, Call call) {
  std::exception_ptr failure;
  try {
    co_await client.fetch(std::move(call));
  } catch (...) {
    failure = std::current_exception();
  }
  co_return code_thrown(failure);
}

TEST_F(ClientTest, FetchesAndKeepsTheConnection) {
  with([this](Client& client) -> Task<> {
    for (int i = 0; i < 3; ++i) {
      const auto response = co_await client.fetch(
          {.method = "POST", .target = "/echo", .headers = {{"X-Sent", "1"}}, .body = "hi"});
      EXPECT_EQ(response.status, 200);
      EXPECT_EQ(response.body, "POST hi");
      EXPECT_EQ(response.headers.get("x-got"), "1");
      EXPECT_EQ(response.headers.get("x-host"), fmt::format("127.0.0.1:{}", port));
    }
    EXPECT_EQ(server->counts().connections, 1U);
    const auto head = co_await client.fetch({.method = "HEAD", .target = "/echo"});
    EXPECT_EQ(head.body, "");
    const auto missing = co_await client.fetch({.target = "/nothing"});
    EXPECT_EQ(missing.status, 404);
    EXPECT_EQ(server->counts().connections, 1U) << "bodies that are not sent keep the connection, too";
  });
}

TEST_F(ClientTest, StreamsUpAndDown) {
  with([](Client& client) -> Task<> {
    int left = 50;
    Call call{.method = "PUT", .target = "/echo"};
    call.source = [&left]() -> Task<std::string> {
      co_return left-- > 0 ? std::string(10'000, 'x') : std::string{};
    };
    const auto reply = co_await client.open(std::move(call));
    EXPECT_EQ(reply->status(), 200);
    std::string all;
    for (;;) {
      const auto piece = co_await reply->read();
      if (piece.empty()) break;
      all += piece;
    }
    EXPECT_EQ(all, "PUT " + std::string(500'000, 'x'));
  });
}

TEST_F(ClientTest, SendsLargeBodies) {
  with([](Client& client) -> Task<> {
    const std::string large(3'000'000, 'y');
    const auto response = co_await client.fetch({.method = "POST", .target = "/echo", .body = large});
    EXPECT_EQ(response.body.size(), large.size() + 5);
  });
}

TEST_F(ClientTest, BoundsWhatItFetches) {
  with(origin(), {.body_limit = 1000}, [](Client& client) -> Task<> {
    const auto code =
        co_await failing(client, {.method = "POST", .target = "/echo", .body = std::string(2000, 'x')});
    EXPECT_EQ(code, Code::Exhausted);
  });
}

TEST_F(ClientTest, DeadlinesHold) {
  with([](Client& client) -> Task<> {
    const auto head = co_await failing(client, {.target = "/silent", .deadline = 20ms});
    EXPECT_EQ(head, Code::Timeout);
    const auto body = co_await failing(client, {.target = "/half", .deadline = 20ms});
    EXPECT_EQ(body, Code::Timeout);
    const auto reply = co_await client.open({.target = "/half", .silence = 20ms});
    const auto half = co_await reply->read();
    EXPECT_EQ(half, "half");
    std::exception_ptr failure;
    try {
      co_await reply->read();
    } catch (...) {
      failure = std::current_exception();
    }
    EXPECT_EQ(code_thrown(failure), Code::Timeout);
  });
}

TEST_F(ClientTest, CancellationReachesTheServer) {
  const auto port_of_server = port;
  run_blocking([](std::uint16_t to) -> Task<> {
    const auto executor = co_await boost::asio::this_coro::executor;
    Client client{executor, fmt::format("http://127.0.0.1:{}", to)};
    Scope scope{executor, "test"};
    Signal done;
    Code code = Code::Internal;
    scope.spawn([](Client& c, Code& out, Signal& end) -> Task<> {
      try {
        co_await c.fetch({.target = "/silent"});
      } catch (const Error& error) {
        out = error.code();
      }
      end.notify();
    }(client, code, done));
    co_await yield_now();
    scope.cancel();
    co_await done.wait();
    co_await scope.join();
    EXPECT_EQ(code, Code::Cancelled);
  }(port_of_server));
}

TEST_F(ClientTest, NobodyThereIsUnavailable) {
  run_blocking(server->stop(0ms));
  with([](Client& client) -> Task<> {
    const auto code = co_await failing(client, {});
    EXPECT_EQ(code, Code::Unavailable);
  });
  with("unix:///nowhere/at/all.sock", {}, [](Client& client) -> Task<> {
    const auto code = co_await failing(client, {});
    EXPECT_EQ(code, Code::Unavailable);
  });
}

TEST_F(ClientTest, NamesUnderLocalhostAreThisMachine) {
  with(fmt::format("http://some.name.localhost:{}/base/", port), {}, [](Client& client) -> Task<> {
    const auto response = co_await client.fetch({.target = "/echo"});
    EXPECT_EQ(response.status, 404) << "the origin's path goes before the target";
    EXPECT_NE(response.body.find("/base/echo"), std::string::npos) << response.body;
  });
}

TEST_F(ClientTest, UnixSockets) {
  const auto path = std::filesystem::temp_directory_path() / fmt::format("http-client-{}.sock", ::getpid());
  server->listen({.host = {}, .socket = path});
  with("unix://" + path.string(), {}, [](Client& client) -> Task<> {
    const auto response = co_await client.fetch({.target = "/echo"});
    EXPECT_EQ(response.body, "GET ");
    EXPECT_EQ(response.headers.get("X-Host"), "localhost");
  });
}

TEST_F(ClientTest, RefusesMalformedCallsAndOrigins) {
  with([](Client& client) -> Task<> {
    for (const auto target : {"", "echo", "/a b", "/a\r\nX: y", "http://other/echo"}) {
      const auto code = co_await failing(client, {.target = target});
      EXPECT_EQ(code, Code::Invalid) << target;
    }
    const auto method = co_await failing(client, {.method = "GET /x"});
    EXPECT_EQ(method, Code::Invalid);
  });
  for (const auto text : {"", "127.0.0.1:80", "ftp://a", "http://", "http://a:x", "http://u@a", "unix://a"})
    EXPECT_THROW((Client{boost::asio::any_io_executor{}, text}), Error) << text;
}

TEST(ClientScript, RepeatsOnlyWhatIsSafeOnAKeptConnection) {
  const std::string fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  Scripted scripted{{{fine}, {"", true}, {fine}, {"", true}, {fine}}};
  run_blocking([](Scripted& server) -> Task<> {
    const auto executor = co_await boost::asio::this_coro::executor;
    Client client{executor, server.origin()};
    for (int i = 0; i < 2; ++i) {
      const auto response = co_await client.fetch({});
      EXPECT_EQ(response.body, "ok") << "the second time the server closes instead of answering";
    }
    const auto code = co_await failing(client, {.method = "POST"});
    EXPECT_EQ(code, Code::Unavailable) << "nobody knows what became of a POST";
    const auto after = co_await client.fetch({});
    EXPECT_EQ(after.body, "ok");
    client.close_idle();
  }(scripted));
  EXPECT_EQ(scripted.connections, 3);
}

TEST(ClientScript, ReadsWhatServersSend) {
  struct Case {
    const char* reason;
    std::string answer;
    std::optional<std::string> body;
  };
  const Case cases[] = {
      {"chunks with trailers",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX: y\r\n\r\n", "ab"},
      {"until the end of the connection", "HTTP/1.1 200 OK\r\n\r\nall of it", "all of it"},
      {"interim responses are skipped",
       "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "a"},
      {"no content", "HTTP/1.1 204 No Content\r\n\r\n", ""},
      {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", "a"},
      {"cut within its length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", {}},
      {"cut within a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", {}},
      {"cut within its head", "HTTP/1.1 200 OK\r\nContent-", {}},
      {"nothing", "", {}},
      {"no HTTP", "SSH-2.0-x\r\n\r\n", {}},
      {"a head without end", "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x'), {}},
  };
  for (const auto& c : cases) {
    Scripted scripted{{{c.answer, true}}};
    run_blocking([](Scripted& server, const Case& wanted) -> Task<> {
      const auto executor = co_await boost::asio::this_coro::executor;
      Client client{executor, server.origin()};
      if (wanted.body) {
        const auto response = co_await client.fetch({});
        EXPECT_EQ(response.body, *wanted.body) << wanted.reason;
      } else {
        const auto code = co_await failing(client, {});
        EXPECT_EQ(code, Code::Unavailable) << wanted.reason;
      }
    }(scripted, c));
  }
}

TEST_F(ClientTest, ReadsEvents) {
  with([](Client& client) -> Task<> {
    auto reader = co_await client.events({.target = "/events", .headers = {{"Last-Event-ID", "41"}}});
    const auto first = co_await reader.next();
    EXPECT_EQ(first->id, "1");
    EXPECT_EQ(first->event, "put");
    EXPECT_EQ(first->data, "one\ntwo");
    const auto second = co_await reader.next();
    EXPECT_EQ(second->id, "1") << "the last one seen";
    EXPECT_EQ(second->event, "message");
    EXPECT_EQ(second->data, "41");
    const auto third = co_await reader.next();
    EXPECT_EQ(third->data, "x") << "any line ending, and no space after the colon";
    const auto fourth = co_await reader.next();
    EXPECT_EQ(fourth->data, "") << "a field's name alone";
    const auto end = co_await reader.next();
    EXPECT_FALSE(end) << "an event without data is none";
  });
}

TEST_F(ClientTest, ARefusedEventStreamThrowsItsProblem) {
  with([](Client& client) -> Task<> {
    std::exception_ptr failure;
    try {
      co_await client.events({.target = "/fail"});
    } catch (const Error& error) {
      EXPECT_EQ(error.message(), "bad");
      EXPECT_EQ(error.faults().size(), 1U);
      failure = std::current_exception();
    }
    EXPECT_EQ(code_thrown(failure), Code::Invalid);
  });
}

TEST_F(ClientTest, WebSocketsCarryMessagesBothWays) {
  with([](Client& client) -> Task<> {
    auto socket =
        co_await client.websocket({.target = "/socket"}, {.message_limit = 1 << 20, .protocol = "echo"});
    for (const std::string& text : {std::string{"hello"}, std::string{}, std::string(200'000, 'x')}) {
      co_await socket->write(WebSocket::Kind::Text, text);
      const auto message = co_await socket->read();
      EXPECT_EQ(message->kind, WebSocket::Kind::Text);
      EXPECT_EQ(message->data, text);
    }
    const std::string bytes("\0\xff", 2);
    co_await socket->write(WebSocket::Kind::Binary, bytes);
    const auto binary = co_await socket->read();
    EXPECT_EQ(binary->kind, WebSocket::Kind::Binary);
    EXPECT_EQ(binary->data, bytes);
    co_await socket->ping();
    co_await socket->write(WebSocket::Kind::Text, "close");
    const auto end = co_await socket->read();
    EXPECT_FALSE(end);
    EXPECT_EQ(socket->close_code(), 4001);
  });
}

TEST_F(ClientTest, AWebSocketThatIsLeftSaysGoodbye) {
  with([](Client& client) -> Task<> {
    auto socket = co_await client.websocket({.target = "/socket"});
    co_await socket->write(WebSocket::Kind::Text, "drop");
    const auto end = co_await socket->read();
    EXPECT_FALSE(end);
    EXPECT_EQ(socket->close_code(), 1001);
  });
}

TEST_F(ClientTest, AMessageOverTheLimitEndsTheWebSocket) {
  with([](Client& client) -> Task<> {
    auto socket = co_await client.websocket({.target = "/socket"}, {.message_limit = 1000});
    co_await socket->write(WebSocket::Kind::Text, std::string(2000, 'x'));
    std::exception_ptr failure;
    try {
      co_await socket->read();
    } catch (...) {
      failure = std::current_exception();
    }
    EXPECT_EQ(code_thrown(failure), Code::Exhausted);
  });
}

TEST_F(ClientTest, AWebSocketWhoseClientVanishesEndsItsHandler) {
  with([this](Client& client) -> Task<> {
    {
      auto socket = co_await client.websocket({.target = "/socket"});
      EXPECT_EQ(server->counts().streams, 1U);
    }
    while (server->counts().streams > 0) std::this_thread::yield();
  });
}

TEST_F(ClientTest, StopEndsWebSockets) {
  with([this](Client& client) -> Task<> {
    auto socket = co_await client.websocket({.target = "/socket"});
    co_await server->stop(1h);
    const auto end = co_await socket->read();
    EXPECT_FALSE(end);
    EXPECT_EQ(socket->close_code(), 1001);
  });
}

TEST_F(ClientTest, ARefusedWebSocketThrowsItsProblem) {
  with([](Client& client) -> Task<> {
    for (const auto& [target, code] : {std::pair{"/fail", Code::Invalid}, {"/nothing", Code::NotFound}}) {
      std::exception_ptr failure;
      try {
        co_await client.websocket({.target = target});
      } catch (...) {
        failure = std::current_exception();
      }
      EXPECT_EQ(code_thrown(failure), code) << target;
    }
    const auto plain = co_await client.fetch({.target = "/socket"});
    EXPECT_EQ(plain.status, 426);
  });
}

}  // namespace
}  // namespace tow::http
