// SPDX-License-Identifier: Apache-2.0
#pragma once
// For tests: a server on a free port, and a client that sends exactly the bytes it is told.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <future>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "http/router.hpp"
#include "http/server.hpp"

namespace tow::http {

/// A blocking socket; whatever takes longer than ten seconds fails.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : socket_{::socket(AF_INET, SOCK_STREAM, 0)} {
    sockaddr_in name{
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    connect(reinterpret_cast<sockaddr*>(&name), sizeof name);
  }
  explicit RawClient(const std::filesystem::path& path) : socket_{::socket(AF_UNIX, SOCK_STREAM, 0)} {
    sockaddr_un name{.sun_family = AF_UNIX, .sun_path = {}};
    std::strncpy(name.sun_path, path.c_str(), sizeof name.sun_path - 1);
    connect(reinterpret_cast<sockaddr*>(&name), sizeof name);
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  int descriptor() const { return socket_; }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  void half_close() { ::shutdown(socket_, SHUT_WR); }
  /// Ends the connection with a reset.
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

  /// Everything up to and including `end`, or what came until the end of the connection.
  std::string until(std::string_view end) {
    for (;;) {
      if (const auto at = buffer_.find(end); at != std::string::npos) {
        auto text = buffer_.substr(0, at + end.size());
        buffer_.erase(0, at + end.size());
        return text;
      }
      if (!more()) return std::exchange(buffer_, {});
    }
  }
  std::string exactly(std::size_t size) {
    while (buffer_.size() < size && more());
    auto text = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return text;
  }
  std::string rest() {
    while (more());
    return std::exchange(buffer_, {});
  }
  /// The head and, by its Content-Length, the body of one response.
  std::string response() {
    auto head = until("\r\n\r\n");
    const auto at = head.find("Content-Length: ");
    return at == std::string::npos ? head : head + exactly(std::stoul(head.substr(at + 16)));
  }

 private:
  void connect(const sockaddr* name, socklen_t size) {
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    connected_ = ::connect(socket_, name, size) == 0;
  }
  bool more() {
    char bytes[16384];
    const auto count = ::recv(socket_, bytes, sizeof bytes, 0);
    if (count < 0 && errno == EAGAIN) ADD_FAILURE() << "nothing came for ten seconds; so far: " << buffer_;
    if (count <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(count));
    return true;
  }

  int socket_;
  bool connected_ = false;
  std::string buffer_;
};

/// A plain listening socket on a free port of this machine.
inline int listen_on_loopback(std::uint16_t& port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in name{
      .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  socklen_t size = sizeof name;
  auto* generic = reinterpret_cast<sockaddr*>(&name);
  if (::bind(listener, generic, size) != 0 || ::listen(listener, 16) != 0 ||
      ::getsockname(listener, generic, &size) != 0)
    throw system_error("listening on the loopback address", errno);
  port = ntohs(name.sin_port);
  return listener;
}

inline std::string body_of(const std::string& response) {
  const auto at = response.find("\r\n\r\n");
  return at == std::string::npos ? "" : response.substr(at + 4);
}

inline int status_in(const std::string& response) {
  return response.starts_with("HTTP/1.1 ") ? std::stoi(response.substr(9, 3)) : 0;
}

// What a handler that waits tells the test.
struct Latch {
  void open() { promise.set_value(); }
  bool wait() { return future.wait_for(std::chrono::seconds{10}) == std::future_status::ready; }
  std::promise<void> promise;
  std::future<void> future = promise.get_future();
};

class ServerTest : public testing::Test {
 public:
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
    if (server) run_blocking(server->stop(Duration{0}));
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

}  // namespace tow::http
