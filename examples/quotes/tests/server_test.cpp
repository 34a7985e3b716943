// SPDX-License-Identifier: Apache-2.0
// The server over real sockets on the loopback address.
#include "server.hpp"

#include <thread>

#include "check.hpp"
#include "client.hpp"

using namespace quotes;
using namespace std::chrono_literals;

namespace {

Response echo_path(const Request& request) { return {.body = request.path + "\n"}; }

class Running {
 public:
  explicit Running(Handler handler = echo_path, Server::Limits limits = {})
      : server_{0, std::move(handler), limits}, thread_{[this] { cut_ = server_.run(); }} {}
  ~Running() { stop(); }
  std::uint16_t port() const { return server_.port(); }
  void ask_to_stop() { server_.stop(); }
  std::size_t stop() {
    server_.stop();
    if (thread_.joinable()) thread_.join();
    return cut_;
  }

 private:
  Server server_;
  std::size_t cut_ = 0;
  std::thread thread_;
};

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

void test_keeps_connections() {
  Running running;
  Client client{running.port()};
  for (const char* path : {"/a", "/b"}) {
    client.send("GET " + std::string{path} + " HTTP/1.1\r\n\r\n");
    check(contains(client.read_until(std::string{path} + "\n"), "200 OK"), path);
  }
  client.send("GET /c HTTP/1.1\r\n\r\nGET /d HTTP/1.1\r\nConnection: close\r\n\r\n");
  const auto both = client.read_to_the_end();
  check(contains(both, "/c\nHTTP/1.1 200 OK"), "two requests in one packet get two answers");
  check(contains(both, "Connection: close\r\n\r\n/d\n"), "the last one closes as asked");
}

void test_refuses() {
  Running running;
  struct Case {
    std::string_view reason, request, answer;
  };
  const std::string huge = "GET / HTTP/1.1\r\nA: " + std::string(100'000, 'x') + "\r\n\r\n";
  const std::string body = "POST /p HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + std::string(100'000, 'x');
  const Case cases[] = {
      {"nonsense", "nonsense\r\n\r\n", "400 Bad Request"},
      {"a head without end", huge, "431 Request Header"},
      {"a body is left unread, and its request answered", body, "/p\n"},
  };
  for (const auto& c : cases) {
    Client client{running.port()};
    client.send(c.request);
    const auto answer = client.read_to_the_end();
    check(contains(answer, c.answer), c.reason);
    check(contains(answer, "Connection: close"), c.reason);
  }
}

void test_answers_a_client_that_only_listens_on() {
  Running running;
  Client client{running.port()};
  client.send("GET /half HTTP/1.1\r\n\r\n");
  client.end_output();
  check(contains(client.read_to_the_end(), "/half\n"), "the input has ended, the output has not");
}

void test_sends_more_than_the_kernel_takes_at_once() {
  const std::string large(20'000'000, 'x');
  Running running{[&](const Request&) { return Response{.body = large}; }};
  Client client{running.port()};
  client.send("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  const auto answer = client.read_to_the_end();
  check_equal(answer.size() - answer.find("\r\n\r\n") - 4, large.size(), "all of it arrives");
}

void test_lets_connections_wait() {
  Running running{echo_path, {.connections = 1}};
  Client second_in_line{running.port()};
  {
    Client other{running.port()};
    second_in_line.send("GET /1 HTTP/1.1\r\nConnection: close\r\n\r\n");
    check(contains(second_in_line.read_to_the_end(), "/1\n"), "the first is served");
    other.send("GET /2 HTTP/1.1\r\n\r\n");
    check(contains(other.read_until("/2\n"), "200 OK"), "the next when the first is gone");
  }
}

void test_closes_what_is_idle() {
  Running running{echo_path, {.idle = 20ms}};
  Client client{running.port()};
  check_equal(client.read_to_the_end(), "", "nothing was asked, and nothing is kept");
}

void test_drains() {
  Running running;
  Client idle{running.port()};
  Client half{running.port()};
  half.send("GET /slow HTTP/1.1\r\n");
  // Both are known to the server when one more, made after them, has its answer.
  Client last{running.port()};
  last.send("GET /x HTTP/1.1\r\nConnection: close\r\n\r\n");
  last.read_to_the_end();

  running.ask_to_stop();
  check_equal(idle.read_to_the_end(), "", "an idle connection is closed at once");
  check(!Client{running.port()}.connected(), "no new connection is taken");
  half.send("\r\n");
  const auto answer = half.read_to_the_end();
  check(contains(answer, "Connection: close\r\n\r\n/slow\n"), "what has begun is answered");
  check_equal(running.stop(), std::size_t{0}, "nothing had to be cut");
}

void test_drain_has_an_end() {
  Running running{echo_path, {.drain = 20ms}};
  Client half{running.port()};
  half.send("GET /never");
  Client last{running.port()};
  last.send("GET /x HTTP/1.1\r\nConnection: close\r\n\r\n");
  last.read_to_the_end();
  check_equal(running.stop(), std::size_t{1}, "one was cut");
}

}  // namespace

int main() {
  test_keeps_connections();
  test_refuses();
  test_answers_a_client_that_only_listens_on();
  test_sends_more_than_the_kernel_takes_at_once();
  test_lets_connections_wait();
  test_closes_what_is_idle();
  test_drains();
  test_drain_has_an_end();
  return finish();
}
