// SPDX-License-Identifier: Apache-2.0
#pragma once
// HTTP/1.1 as handlers see it: what was asked (Request), and the three ways to answer (Responder): a whole
// response, a stream of bytes or of server-sent events, or a WebSocket. server.hpp listens, router.hpp picks
// the handler, client.hpp asks others, problem.hpp turns errors into answers.
//
// A request, its body and its responder belong to the connection and live until the handler's task ends. All
// three are used on that task's executor only (the connection's), and are not thread-safe. A client that goes
// away cancels the handler's task: what it awaits then throws. Work that shall go on belongs to another
// Scope.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/task.hpp"

namespace tow::http {

/// Fields in the order they came, names compared without case. Views stay valid until the next change.
class Headers {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };
  class Iterator;

  Headers() = default;
  Headers(std::initializer_list<Field> fields);

  /// Throws Error{Invalid} for a name that is no token, or a value with a control character.
  void add(std::string_view name, std::string_view value);
  /// As add, but every other field of that name goes.
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  void clear();

  /// The first field of that name.
  std::optional<std::string_view> get(std::string_view name) const;
  bool has(std::string_view name) const { return get(name).has_value(); }
  std::vector<std::string_view> all(std::string_view name) const;
  /// Whether a comma-separated list ("Connection: keep-alive, Upgrade") has the token, without case.
  bool has_token(std::string_view name, std::string_view token) const;

  std::size_t size() const { return spans_.size(); }
  bool empty() const { return spans_.empty(); }
  Field operator[](std::size_t index) const;
  Iterator begin() const;
  Iterator end() const;

 private:
  friend class RequestParser;
  friend class ReplyParser;
  struct Span {
    std::uint32_t name;
    std::uint32_t name_size;
    std::uint32_t value_size;  // the value follows the name
  };
  void append(std::string_view name, std::string_view value);  // unchecked

  std::string text_;
  std::vector<Span> spans_;
};

class Headers::Iterator {
 public:
  Iterator(const Headers& headers, std::size_t index) : headers_{&headers}, index_{index} {}
  Field operator*() const { return (*headers_)[index_]; }
  Iterator& operator++() { return ++index_, *this; }
  bool operator==(const Iterator&) const = default;

 private:
  const Headers* headers_;
  std::size_t index_;
};

/// The decoded name=value pairs after the "?", in their order ("+" is a space).
class Query {
 public:
  Query() = default;
  /// Throws Error{Invalid} for a broken percent-encoding, a NUL, or what is not UTF-8.
  explicit Query(std::string_view raw);

  std::optional<std::string_view> get(std::string_view name) const;
  bool has(std::string_view name) const { return get(name).has_value(); }
  std::vector<std::string_view> all(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& pairs() const { return pairs_; }

 private:
  std::vector<std::pair<std::string, std::string>> pairs_;
};

/// The body of a request as it arrives. What the handler leaves unread is skipped if it is little, else the
/// connection is closed after the response.
class Body {
 public:
  virtual ~Body() = default;
  /// The next bytes, at most 64 KiB; an empty string at the end, and again after it. Throws Error{Exhausted}
  /// (413) past the limit, Error{Invalid} for broken framing, Error{Timeout} when nothing comes for too long,
  /// Error{Cancelled} when the client is gone.
  virtual Task<std::string> read() = 0;
  /// Replaces the server's limit for this request, before the first read. Nothing: no limit.
  virtual void set_limit(std::optional<std::uint64_t> limit) = 0;
  /// Its size where the client stated one; 0 for no body.
  virtual std::optional<std::uint64_t> size() const = 0;
  /// All of it. Throws as read, and Error{Exhausted} when it is larger than `limit`.
  Task<std::string> all(std::size_t limit);
  /// All of it, within the server's own limit.
  Task<std::string> all();
};

/// Who is at the other end of the connection.
struct Peer {
  std::string address;     // "127.0.0.1", "::1", or "unix"
  std::uint16_t port = 0;  // 0 for a unix socket
  bool local = false;      // a unix socket: uid and pid are the kernel's word
  std::uint32_t uid = 0;
  std::int32_t pid = 0;
};

struct Request {
  explicit Request(Body& b) : body{b} {}

  std::string method;  // as sent: "GET"
  std::string target;  // as sent: "/api/v1/x%20y?z=1"; an absolute target loses scheme and host
  std::string path;    // decoded, UTF-8, no control characters, no dot or inner empty segments; an encoded
                       // slash stays "%2F" here (it is a slash in param())
  Query query;
  Headers headers;
  Body& body;
  Peer peer;
  std::string_view route;  // the pattern that the router matched

  /// What stood at {name} in the route's pattern, decoded. A name that the pattern lacks is a broken
  /// invariant.
  std::string_view param(std::string_view name) const;
  std::vector<std::pair<std::string_view, std::string>> params;  // set by the router
};

struct Response {
  int status = 200;
  Headers headers;  // Content-Length, Date, Connection and Transfer-Encoding are the server's to write
  std::string body;

  static Response text(std::string body, int status = 200);
  static Response json(std::string body, int status = 200);
};

/// A response whose length is not known beforehand.
class Writer {
 public:
  virtual ~Writer() = default;
  /// Returns when the kernel has taken all of it; the first write takes the head along. Throws
  /// Error{Cancelled} when the client is gone, Error{Timeout} when it does not read.
  virtual Task<> write(std::string_view bytes) = 0;
  /// Sends the head if nothing was written yet.
  virtual Task<> flush() = 0;
  /// Ends the response as complete. Without it, a handler that returns has completed it too, and one that
  /// throws has not: the client then sees it cut.
  virtual Task<> finish() = 0;
};

/// Server-sent events. While nothing is sent, a comment goes out every Settings::event_keep_alive.
class Events {
 public:
  virtual ~Events() = default;
  /// Empty `id` or `event`: without that field. `data` may have several lines.
  Task<> send(std::string_view id, std::string_view event, std::string_view data);
  /// One or more events that encode() made: one text for many watchers.
  virtual Task<> write(std::string_view encoded) = 0;
  /// The event's text. Line breaks in `id` and `event` become spaces.
  static std::string encode(std::string_view id, std::string_view event, std::string_view data);
};

/// One side of an open WebSocket. One task may read while another writes, both on the connection's executor.
class WebSocket {
 public:
  enum class Kind { Text, Binary };
  struct Message {
    Kind kind = Kind::Text;
    std::string data;
  };

  /// Closes without a handshake if close() was not called.
  virtual ~WebSocket() = default;
  /// The next message, or nothing when the other side has closed. Answers pings. Throws Error{Exhausted} when
  /// one is larger than the limit, Error{Invalid} for a broken protocol, Error{Cancelled} when the connection
  /// is gone.
  virtual Task<std::optional<Message>> read() = 0;
  virtual Task<> write(Kind kind, std::string_view data) = 0;
  virtual Task<> ping() = 0;
  /// Says goodbye and waits a moment for the answer. May be called twice. Codes as in RFC 6455, 7.4.
  virtual Task<> close(std::uint16_t code = 1000, std::string_view reason = {}) = 0;
  /// After read() returned nothing: what the other side gave as its reason (1005: none).
  virtual std::uint16_t close_code() const = 0;
};

struct WebSocketSettings {
  std::size_t message_limit = 1 << 20;  // bytes of one message that is read
  std::string protocol;                 // the subprotocol to agree on; empty for none
};

/// Answers one request, in one of its ways and once: a second answer throws Error{Internal}.
class Responder {
 public:
  virtual ~Responder() = default;
  /// The whole response. It goes out, in one write, when the handler returns.
  virtual void send(Response response) = 0;
  /// Starts a stream (chunked, or ended by closing for HTTP/1.0). A Content-Length among the headers is kept,
  /// and exactly that much must be written. Throws Error{Exhausted} when too many streams are open.
  virtual Writer& begin(int status, Headers headers) = 0;
  /// Starts a stream of events; its head goes out at once. Throws as begin().
  virtual Events& events(Headers headers = {}) = 0;
  /// Whether the request asks for a WebSocket.
  virtual bool wants_websocket() const = 0;
  /// Upgrades. Throws Error{Invalid} when the request did not ask for it, Error{Exhausted} as begin().
  /// The socket must be gone before the handler's task ends.
  virtual Task<std::unique_ptr<WebSocket>> accept(WebSocketSettings settings = {}) = 0;
  /// Whether anything was decided yet: send, begin, events or accept.
  virtual bool begun() const = 0;
};

/// What it throws becomes a problem document (problem.hpp), or a cut connection if the response has begun.
using Handler = std::function<Task<>(Request&, Responder&)>;

/// The standard phrase: 404 -> "Not Found".
std::string_view reason_phrase(int status);

}  // namespace tow::http
