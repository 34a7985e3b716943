// SPDX-License-Identifier: Apache-2.0
#pragma once
// The HTTP/1.1 client of one origin, with a pool of connections that are kept alive. Thread-safe; its tasks
// may be awaited on any executor. What it returned (streams, sockets) must be gone before the client is.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/units.hpp"
#include "http/http.hpp"

namespace tow::http {

struct Call {
  std::string method = "GET";
  std::string target = "/";
  Headers headers;   // Host and framing are the client's to write
  std::string body;  // or, streamed, with an empty string at its end:
  std::function<Task<std::string>()> source;
  Duration deadline = std::chrono::seconds{30};  // for fetch: all of the reply; else its head; 0: none
  Duration silence = std::chrono::seconds{60};  // longest between two pieces of a streamed reply; 0: no limit
};

/// A reply whose body is read as it comes. Destroying it before its end closes the connection.
class Reply {
 public:
  virtual ~Reply() = default;
  virtual int status() const = 0;
  virtual const Headers& headers() const = 0;
  /// The next bytes; an empty string at the end. Throws Error{Unavailable} when the connection breaks before
  /// it, Error{Timeout}, Error{Cancelled}.
  virtual Task<std::string> read() = 0;
};

struct Event {
  std::string id;     // the last one seen, also where this event has none
  std::string event;  // "message" where none is given
  std::string data;
};

/// Server-sent events out of a reply.
class EventReader {
 public:
  explicit EventReader(std::unique_ptr<Reply> reply) : reply_{std::move(reply)} {}
  /// The next event, or nothing at the end. Throws as Reply::read, Error{Exhausted} for an event over 16 MiB.
  Task<std::optional<Event>> next();

 private:
  std::optional<std::string_view> line();
  bool take(std::string_view line);

  std::unique_ptr<Reply> reply_;
  std::string buffer_;
  std::size_t at_ = 0;       // where the next line begins
  std::size_t scanned_ = 0;  // no line ends before here
  bool begun_ = false;
  bool after_return_ = false;  // a line ended with "\r": a "\n" that follows belongs to it
  Event event_;
  bool has_data_ = false;
};

struct ClientSettings {
  Duration connect_time = std::chrono::seconds{10};
  Duration idle_time = std::chrono::seconds{20};  // how long an unused connection is kept; below the server's
  std::size_t idle_connections = 8;
  std::size_t body_limit = 64 << 20;  // of a fetched body
  std::size_t header_limit = 64 << 10;
  std::string authorities;  // file of trusted certificates (PEM); empty: the system's
};

class Client {
 public:
  /// Origin: "http://127.0.0.1:8690", "https://example.org/base", "unix:///run/x.sock"; a path is put
  /// before every target. Names under .localhost are this machine. Throws Error{Invalid} for anything else.
  /// Connections run on `executor`, which must outlive the client.
  Client(Executor executor, std::string_view origin, ClientSettings settings = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Any status is a Response; only a failed exchange throws: Error{Unavailable} (nobody there, a broken
  /// connection, a certificate that does not hold), Error{Timeout}, Error{Exhausted} (a body over the limit),
  /// Error{Cancelled}. A request on a kept connection that the server had just closed is sent once more if
  /// its method is idempotent and nothing of a reply came.
  Task<Response> fetch(Call call);
  /// As fetch, up to the head.
  Task<std::unique_ptr<Reply>> open(Call call);
  /// Opens a stream of events. A status other than 200 throws the error that the reply's problem document
  /// states.
  Task<EventReader> events(Call call);
  /// Opens a WebSocket at call.target; it runs on the calling task's executor. Throws as events() when it is
  /// refused.
  Task<std::unique_ptr<WebSocket>> websocket(Call call, WebSocketSettings settings = {});

  /// Closes the connections that are not in use.
  void close_idle();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tow::http
