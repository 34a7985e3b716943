// SPDX-License-Identifier: Apache-2.0
// What a connection reads: heads, bodies, and signs that the client goes away.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/beast/http/error.hpp>

#include "base/error.hpp"
#include "http/connection_parts.hpp"
#include "http/problem.hpp"

namespace tow::http {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t kPiece = 64 << 10;         // bytes of a body handed out, or received, at once
constexpr std::size_t kFramingLimit = 32 << 10;  // bytes of one chunk's head, or of the trailers
constexpr std::size_t kSkipLimit = 64 << 10;     // an unread body is skipped up to here
constexpr std::size_t kLingerLimit = 1 << 20;
constexpr Duration kLingerTime = std::chrono::seconds{2};

bool needs_more(const error_code& error) { return error == boost::beast::http::error::need_more; }

}  // namespace

std::optional<std::uint64_t> Connection::BodyOf::size() const {
  const auto& parser = *connection.parser_;
  if (parser.chunked()) return {};
  return parser.content_length() ? *parser.content_length() : 0;
}

// False when the connection is to be closed.
Task<bool> Connection::read_head() {
  parser_.emplace(request_);
  request_.method.clear();
  request_.headers.clear();
  request_.params.clear();
  request_.route = {};
  body_limit_ = shared_->settings.body_limit;
  body_read_ = 0;
  forget_response();
  if (++served_ % 64 == 0) co_await yield_now();  // a pipeline without end must not starve the others

  const auto limit = shared_->settings.header_limit;
  auto until = steady_clock::now() + shared_->settings.idle_time;
  std::size_t seen = 0;
  bool late = false;
  idle_ = true;
  while (!parser_->is_header_done()) {
    // Empty lines before a request are nothing (RFC 9112, 2.2).
    while (idle_ && unparsed() > 0 && (in_[in_at_] == '\r' || in_[in_at_] == '\n')) ++in_at_;
    if (unparsed() > 0) {
      if (std::exchange(idle_, false)) until = steady_clock::now() + shared_->settings.header_time;
      error_code error;
      seen += feed(error);
      const bool too_large = seen > limit || (needs_more(error) && seen + unparsed() >= limit);
      if (too_large) {
        co_await refuse(parser_->start_line_done() ? 431 : 414,
                        fmt::format("the head of the request is larger than {} bytes", limit));
        co_return false;
      }
      if (error && !needs_more(error)) {
        const auto refusal = parser_->refusal(error);
        co_await refuse(refusal.status, refusal.why);
        co_return false;
      }
      if (parser_->is_header_done()) break;
    }
    if (const auto count = receive()) {
      if (*count == 0) co_return false;
      continue;
    }
    if (closing_ && idle_) co_return false;
    try {
      co_await wait_readable(until);
    } catch (const boost::system::system_error& error) {
      if (error.code() != asio::error::timed_out || idle_) throw;
      late = true;
    }
    if (late) {
      co_await refuse(408, "the head of the request took too long");
      co_return false;
    }
  }
  continue_due_ = parser_->expects_continue() && !parser_->is_done() && unparsed() == 0;
  if (!parser_->keep_alive()) closing_ = true;
  co_return true;
}

// The next piece of the body; empty at its end.
Task<std::string> Connection::read_body() {
  if (gone_) lost();
  const auto too_large = [this] {
    closing_ = true;
    return StatusError{413, Code::Exhausted, fmt::format("the body is larger than {} bytes", *body_limit_)};
  };
  if (body_limit_ && parser_->content_length() && *parser_->content_length() > *body_limit_)
    throw too_large();
  if (std::exchange(continue_due_, false) && framing_ == Framing::Undecided) {
    out_ += "HTTP/1.1 100 Continue\r\n\r\n";
    if (!try_send()) co_await drain();
    head_sent_ = false;
  }
  for (;;) {
    error_code error;
    while (unparsed() > 0 && !error && !parser_->is_done() && parser_->body_size() < kPiece) feed(error);
    if (error && !(needs_more(error) && unparsed() < kFramingLimit)) {
      closing_ = true;
      throw fail(Code::Invalid, "the body of the request is not framed as HTTP: {}", error.message());
    }
    if (parser_->body_size() > 0 || parser_->is_done()) break;
    if (const auto count = receive()) {
      if (*count == 0) lost();
      continue;
    }
    bool late = false;
    try {
      co_await wait_readable(steady_clock::now() + shared_->settings.body_time);
    } catch (const boost::system::system_error& e) {
      if (e.code() != asio::error::timed_out) throw Error{Code::Cancelled, "the client is gone"};
      late = true;
    }
    if (late) {
      closing_ = true;
      throw StatusError{408, Code::Timeout, "nothing more came of the request's body"};
    }
  }
  body_read_ += parser_->body_size();
  if (body_limit_ && body_read_ > *body_limit_) throw too_large();
  if (parser_->is_done()) watch();
  co_return parser_->take_body();
}

// The rest of a body that the handler did not want, if that is cheaper than a new connection.
Task<> Connection::skip_body() {
  body_limit_.reset();
  std::size_t skipped = parser_->take_body().size();
  if (continue_due_) closing_ = true;
  while (!closing_ && !parser_->is_done()) {
    const auto piece = co_await read_body();
    skipped += piece.size();
    if (skipped > kSkipLimit) closing_ = true;
  }
}

// Closing while input is unread would make the kernel reset the connection, and the client might never see
// the answer: so the end is announced, and what still comes is read for a while.
Task<> Connection::linger() {
  error_code ignored;
  socket_.shutdown(asio::socket_base::shutdown_send, ignored);
  const auto until = steady_clock::now() + kLingerTime;
  for (std::size_t total = 0; total < kLingerLimit;) {
    in_.clear();
    in_at_ = 0;
    if (const auto count = receive()) {
      if (*count == 0) co_return;
      total += *count;
    } else {
      co_await wait_readable(until);
    }
  }
}

// Returns how many bytes the parser took.
std::size_t Connection::feed(error_code& error) {
  const auto taken = parser_->put(asio::buffer(in_.data() + in_at_, in_.size() - in_at_), error);
  in_at_ += taken;
  if (in_at_ < in_.size()) return taken;
  in_at_ = 0;
  if (in_.capacity() > 4096)
    in_ = {};
  else
    in_.clear();
  return taken;
}

// How many bytes came; nothing when the kernel has none; 0 at the end.
std::optional<std::size_t> Connection::receive() {
  if (eof_) return 0;
  if (!readable_) return {};
  static thread_local std::array<char, kPiece> scratch;
  for (;;) {
    const auto count = ::recv(socket_.native_handle(), scratch.data(), scratch.size(), MSG_DONTWAIT);
    if (count > 0) {
      if (in_at_ > 0) in_.erase(0, std::exchange(in_at_, 0));
      in_.append(scratch.data(), static_cast<std::size_t>(count));
      // Less than was asked for: the kernel has no more, and would only say so.
      readable_ = static_cast<std::size_t>(count) == scratch.size();
      return static_cast<std::size_t>(count);
    }
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      readable_ = false;
      return {};
    }
    eof_ = true;
    return 0;
  }
}

Task<> Connection::wait_readable(Moment limit) {
  watch();
  set_limit(read_limit_, limit);
  return reader_.wait();
}

// Keeps one wait for readability in flight.
void Connection::watch() {
  if (watching_ || eof_ || gone_ || framing_ == Framing::Upgraded) return;
  watching_ = true;
  socket_.async_wait(asio::socket_base::wait_read,
                     [self = shared_from_this()](const error_code& error) { self->on_readable(error); });
}

void Connection::on_readable(const error_code& error) {
  watching_ = false;
  if (error || ended_ || framing_ == Framing::Upgraded) return;
  readable_ = true;
  if (reader_.waiting()) {
    read_limit_ = Moment::max();
    return reader_.wake(executor_);
  }
  // A handler runs. Data is the next request, and stays where it is; an end or an error is news.
  char byte = 0;
  const auto count = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (count > 0) return;
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    readable_ = false;
    return watch();
  }
  if (count < 0) return gone();
  eof_ = true;
  pollfd state{.fd = socket_.native_handle(), .events = 0, .revents = 0};
  const bool closed = ::poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLERR)) != 0;
  if (closed) return gone();
  set_limit(half_close_limit_, steady_clock::now() + shared_->settings.half_close_time);
}

}  // namespace tow::http
