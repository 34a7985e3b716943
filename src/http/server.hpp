// SPDX-License-Identifier: Apache-2.0
#pragma once
// The HTTP/1.1 server. Lifecycle: construct, listen() on one or more addresses, stop(), destroy. Thread-safe.
// It owns its connections, and its threads unless it was given an executor. The handler runs on the
// connection's own strand, so several at once, and must not block: blocking work goes to a BlockingPool.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.hpp"
#include "http/http.hpp"

namespace tow::http {

/// Where to listen or connect: a TCP address, or the path of a unix socket.
struct Address {
  std::string host;                // "127.0.0.1", "::1", "localhost"
  std::uint16_t port = 0;          // 0: any free one
  std::filesystem::path socket{};  // if not empty, this and not host and port
  unsigned mode = 0600;            // of the socket's file

  /// "127.0.0.1:8690", "[::1]:8690", "localhost:0", "unix:///run/x.sock". Throws Error{Invalid}.
  static Address parse(std::string_view text);
  std::string text() const;
};

struct ServerSettings {
  std::size_t threads = 2;           // of its own; not used with an executor
  std::optional<Executor> executor;  // where connections run instead; it must outlive the server

  std::size_t header_limit = 16 << 10;       // bytes of request line and fields: 431
  std::uint64_t body_limit = 16 << 20;       // bytes: 413; a handler may change it (Body::set_limit)
  std::size_t connections = 10'000;          // more are told 503 and closed
  std::size_t connections_per_peer = 1'000;  // of one address; 429. Not for unix sockets
  bool limit_loopback_peers = false;         // a proxy on this machine speaks for everybody
  std::size_t streams = 4'000;               // streams, event streams and WebSockets open at once: 503

  Duration header_time = std::chrono::seconds{10};  // from a request's first byte to its last field: 408
  Duration body_time = std::chrono::seconds{30};    // longest silence within a body: 408
  Duration write_time = std::chrono::seconds{30};   // longest a client may not take anything: cut
  Duration idle_time = std::chrono::seconds{60};    // between requests: closed
  Duration half_close_time =
      std::chrono::seconds{5};  // a client that sent its last byte (FIN) may still wait
                                // this long for an answer; then its handler is cancelled
  Duration event_keep_alive = std::chrono::seconds{15};
};

class Server {
 public:
  Server(ServerSettings settings, Handler handler);
  /// Stops without grace if stop() did not run. With an executor of the caller's, stop() must have run.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Starts to accept. A socket file that nobody listens on any more is replaced. Throws
  /// Error{FailedPrecondition} when the port or socket is in use (naming it), Error{Invalid} for an address
  /// that is not this machine's, Error{Denied} when the kernel forbids it. Returns the port.
  std::uint16_t listen(const Address& address);
  /// Starts to accept on a listening socket that was inherited; owned from here on.
  std::uint16_t adopt(int descriptor);
  /// The first TCP port that is listened on; 0 for none.
  std::uint16_t port() const;
  /// Duplicates of the listening sockets for a successor of this process (see adopt): the caller owns them,
  /// and they are closed on exec. From then on stop() leaves the files of unix sockets where they are.
  std::vector<int> hand_over();

  struct Counts {
    std::size_t connections = 0;
    std::size_t streams = 0;
    std::uint64_t requests = 0;  // since the start
  };
  Counts counts() const;

  /// Stops to accept, closes idle connections, ends event streams and WebSockets (their clients come back to
  /// whoever listens then), lets other requests finish for at most `grace`, cancels what is left and waits
  /// for it. May be called twice; not from a handler.
  Task<> stop(Duration grace);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tow::http
