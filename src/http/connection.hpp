// SPDX-License-Identifier: Apache-2.0
#pragma once
// One connection of the server. Private to this folder, and only for .cpp files.
//
// One coroutine, run(), reads a head, runs the handler, writes what it answered, and begins again. Everything
// happens on the connection's executor (a strand). Sockets are read and written by plain non-blocking calls
// first; only when the kernel has nothing, or takes nothing, does a coroutine wait. While a handler runs, a
// wait for readability is in flight: it is the one that the next request needs anyway, and tells when the
// client goes away meanwhile.

#include <atomic>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "http/http.hpp"
#include "http/parser.hpp"
#include "http/server.hpp"

namespace tow::http {

using Socket = boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, Executor>;
using Moment = std::chrono::steady_clock::time_point;

class Connection;

/// What the connections of a server share. Thread-safe.
struct Shared {
  Shared(ServerSettings s, Handler h) : settings{std::move(s)}, handler{std::move(h)} {}

  const ServerSettings settings;
  const Handler handler;
  std::atomic<bool> stopping = false;
  std::atomic<std::size_t> streams = 0;
  std::atomic<std::uint64_t> requests = 0;

  std::mutex mutex;  // for what follows
  std::unordered_set<Connection*> connections;
  std::unordered_map<std::string, std::size_t> peers;
  std::size_t listeners = 0;
  std::function<void()> ended;  // called, under the mutex, when a connection or a listener has ended
};

/// Counts one open stream for as long as it lives.
class StreamSlot {
 public:
  /// Throws StatusError{503} when there are too many.
  explicit StreamSlot(Shared& shared);
  ~StreamSlot() { --shared_.streams; }
  StreamSlot(const StreamSlot&) = delete;
  StreamSlot& operator=(const StreamSlot&) = delete;

 private:
  Shared& shared_;
};

/// Lets one coroutine wait until somebody on the same strand wakes it.
class Wakeup {
 public:
  /// Throws boost::system::system_error with what it was woken with, if that is an error, or
  /// operation_aborted.
  Task<> wait();
  bool waiting() const { return handler_.has_value(); }
  /// From a completion handler on `here`: goes on inside this call if the coroutine runs on `here` too.
  void wake(const Executor& here, boost::system::error_code error = {});

 private:
  using Resume = boost::asio::async_result<boost::asio::use_awaitable_t<Executor>,
                                           void(boost::system::error_code)>::handler_type;
  std::optional<Resume> handler_;
};

class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Shared> shared, Executor executor, Peer peer, std::string peer_key);
  ~Connection();

  /// Takes the socket and starts. Called once, on any thread.
  void start(int descriptor, int family);
  /// Ends it when it is idle or holds an event stream or a WebSocket; else after its response. Any thread.
  void finish();
  /// Cancels whatever it does. Any thread.
  void cancel();

 private:
  struct BodyOf;
  struct ResponderOf;
  struct WriterOf;
  struct EventsOf;
  // How the response is delimited; None: it has no body.
  enum class Framing { Undecided, Whole, Chunked, Length, Close, None, Upgraded };

  // reading (connection_read.cpp)
  Task<bool> read_head();
  Task<std::string> read_body();
  Task<> skip_body();
  Task<> linger();
  Task<> wait_readable(Moment limit);
  std::optional<std::size_t> receive();
  std::size_t feed(boost::system::error_code& error);
  std::size_t unparsed() const { return in_.size() - in_at_; }
  void watch();
  void on_readable(const boost::system::error_code& error);

  // writing (connection_write.cpp)
  void send(Response response);
  void begin(int status, const Headers& headers, bool events);
  void append_head(int status, const Headers& headers, std::optional<std::uint64_t> length);
  void append_piece(std::string_view bytes);
  void append_end();
  void forget_response();
  bool can_keep() const;
  bool streaming() const;
  Task<> write(std::string_view bytes);
  Task<> drain();
  bool try_send();
  void keep_events_alive(Moment now);

  // living (connection.cpp)
  Task<> run();
  Task<> answer();
  Task<> refuse(int status, std::string_view why);
  Task<std::unique_ptr<WebSocket>> accept(WebSocketSettings settings);
  [[noreturn]] void lost();
  void gone();
  void set_limit(Moment& limit, Moment moment);
  void arm_timer();
  void on_timer();
  void ended();

  const std::shared_ptr<Shared> shared_;
  const Executor executor_;
  const std::string peer_key_;
  Socket socket_;
  boost::asio::steady_timer timer_;
  boost::asio::cancellation_signal cancellation_;

  std::string in_;  // received; parsed up to in_at_
  std::size_t in_at_ = 0;
  std::string out_;  // to be sent; sent up to sent_
  std::size_t sent_ = 0;
  std::string whole_body_;  // what follows out_, where it is too large to be copied behind the head
  Wakeup reader_, writer_;
  Moment read_limit_ = Moment::max(), write_limit_ = Moment::max(), half_close_limit_ = Moment::max(),
         event_moment_ = Moment::max(), armed_ = Moment::max();

  const std::unique_ptr<BodyOf> body_;
  const std::unique_ptr<ResponderOf> responder_;
  Request request_;
  std::optional<RequestParser> parser_;
  std::uint64_t body_read_ = 0;
  std::optional<std::uint64_t> body_limit_;
  Framing framing_ = Framing::Undecided;
  std::uint64_t length_left_ = 0;
  std::optional<StreamSlot> slot_;

  bool watching_ = false;  // a wait for readability is in flight
  bool readable_ = true;   // the kernel may have something
  bool eof_ = false;       // the client has sent its last byte
  bool gone_ = false;      // the client is gone, or the connection was cancelled
  bool ended_ = false;
  bool idle_ = true;        // between two requests
  bool events_ = false;     // the response is an event stream
  bool head_sent_ = false;  // something of this response has left
  bool finished_ = false;   // the stream was ended as complete
  bool continue_due_ = false;
  bool closing_ = false;  // no further request on this connection
  unsigned served_ = 0;
};

}  // namespace tow::http
