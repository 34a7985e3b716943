// SPDX-License-Identifier: Apache-2.0
#pragma once
// An HTTP server on one thread: every answer is made at once, so nothing has to wait for another.

#include <chrono>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "http.hpp"

namespace quotes {

// Lifecycle: construct (it listens from then on), run() once, stop() from anywhere.
class Server {
 public:
  struct Limits {
    std::size_t connections = 1000;  // further ones wait in the kernel's queue
    // Longer than a proxy in front keeps an idle connection.
    std::chrono::milliseconds idle = std::chrono::seconds{75};
    std::chrono::milliseconds drain = std::chrono::seconds{10};
  };

  // Listens on `port` of every address; 0 lets the kernel choose. Throws std::system_error.
  Server(std::uint16_t port, Handler handler, Limits limits);
  Server(std::uint16_t port, Handler handler) : Server(port, std::move(handler), Limits{}) {}
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const { return port_; }

  // Serves until stop(); then takes no new connection, closes those that are idle, answers what has
  // begun to arrive, and returns how many connections the drain limit cut.
  std::size_t run();

  // May be called from any thread and from a signal handler, and more than once.
  void stop() noexcept;

 private:
  using Clock = std::chrono::steady_clock;
  struct Connection {
    std::string input;
    std::string output;
    bool closing = false;  // after what is in output
    // Bytes that may still come and are thrown away: to close with input unread would make the
    // kernel take back the answer.
    std::size_t to_discard = 0;
    Clock::time_point last_used;
  };

  void accept_waiting();
  void listen_for_more(bool more);
  void begin_drain();
  void handle(int fd, std::uint32_t events);
  bool receive(int fd, Connection& connection);
  bool discard(int fd, Connection& connection);
  void answer(Connection& connection);
  bool flush(int fd, Connection& connection);
  void close_connection(int fd);
  void close_idle();
  int next_timeout() const;

  Handler handler_;
  Limits limits_;
  int listener_ = -1;
  int poll_ = -1;
  int stop_ = -1;
  std::uint16_t port_ = 0;
  bool accepting_ = false;
  bool draining_ = false;
  Clock::time_point drain_until_;
  std::unordered_map<int, Connection> connections_;
};

}  // namespace quotes
