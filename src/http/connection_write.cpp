// SPDX-License-Identifier: Apache-2.0
// What a connection writes: heads, whole bodies, streams and events.
#include <sys/socket.h>
#include <sys/uio.h>

#include <charconv>
#include <ctime>

#include "base/error.hpp"
#include "http/connection_parts.hpp"
#include "http/problem.hpp"
#include "http/text.hpp"

namespace tow::http {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t kCopyLimit = 16 << 10;    // a body up to this size is copied behind its head
constexpr std::uint64_t kSkipLimit = 64 << 10;  // as in reading: above, an unread body ends the connection

// The Date field's line, made once a second and thread.
std::string_view date_line() {
  static thread_local std::time_t made = 0;
  static thread_local std::string line;
  std::timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  if (now.tv_sec != made) {
    made = now.tv_sec;
    std::tm parts{};
    ::gmtime_r(&made, &parts);
    constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    line = fmt::format("Date: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n", days[parts.tm_wday], parts.tm_mday,
                       months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
  }
  return line;
}

bool is_ours(std::string_view name) {
  for (const std::string_view ours : {"Content-Length", "Date", "Connection", "Transfer-Encoding"})
    if (equal_without_case(name, ours)) return true;
  return false;
}

void append_number(std::string& out, std::uint64_t number) { out += fmt::format_int{number}.c_str(); }

}  // namespace

bool Connection::can_keep() const {
  if (closing_ || shared_->stopping.load(std::memory_order_relaxed)) return false;
  if (!parser_ || parser_->is_done()) return true;
  if (continue_due_) return false;
  const auto left = parser_->content_length_remaining();
  return !left || *left <= kSkipLimit;
}

bool Connection::streaming() const {
  return framing_ == Framing::Chunked || framing_ == Framing::Length || framing_ == Framing::Close;
}

void Connection::forget_response() {
  out_.clear();
  sent_ = 0;
  whole_body_.clear();
  framing_ = Framing::Undecided;
  length_left_ = 0;
  events_ = head_sent_ = finished_ = false;
}

void Connection::append_head(int status, const Headers& headers, std::optional<std::uint64_t> length) {
  if (status == 200) {
    out_ += "HTTP/1.1 200 OK\r\n";
  } else {
    out_ += "HTTP/1.1 ";
    append_number(out_, static_cast<std::uint64_t>(status));
    out_.append(" ").append(reason_phrase(status)).append("\r\n");
  }
  for (const auto field : headers)
    if (!is_ours(field.name)) out_.append(field.name).append(": ").append(field.value).append("\r\n");
  out_ += date_line();
  if (length) {
    out_ += "Content-Length: ";
    append_number(out_, *length);
    out_ += "\r\n";
  }
  if (!can_keep()) {
    closing_ = true;
    out_ += "Connection: close\r\n";
  } else if (parser_ && !parser_->http11()) {
    out_ += "Connection: keep-alive\r\n";
  }
}

void Connection::send(Response response) {
  if (framing_ != Framing::Undecided) throw fail(Code::Internal, "the request was answered twice");
  framing_ = Framing::Whole;
  const bool bodiless = response.status == 204 || response.status == 304;
  append_head(response.status, response.headers,
              bodiless ? std::optional<std::uint64_t>{} : response.body.size());
  out_ += "\r\n";
  if (bodiless || request_.method == "HEAD") return;
  if (response.body.size() <= kCopyLimit)
    out_ += response.body;
  else
    whole_body_ = std::move(response.body);
}

void Connection::begin(int status, const Headers& headers, bool events) {
  if (framing_ != Framing::Undecided) throw fail(Code::Internal, "the request was answered twice");
  slot_.emplace(*shared_);
  std::optional<std::uint64_t> length;
  if (const auto stated = headers.get("Content-Length")) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(stated->data(), stated->data() + stated->size(), number);
    if (error != std::errc{} || end != stated->data() + stated->size())
      throw fail(Code::Internal, "\"{}\" is not a Content-Length", *stated);
    length = number;
  }
  const bool chunks = !length && parser_->http11();
  if (!length && !chunks) closing_ = true;  // HTTP/1.0: the end of the connection is the end of the body
  append_head(status, headers, length);
  if (chunks && status != 204 && status != 304) out_ += "Transfer-Encoding: chunked\r\n";
  out_ += "\r\n";
  if (request_.method == "HEAD" || status == 204 || status == 304)
    framing_ = Framing::None;
  else
    framing_ = length ? Framing::Length : chunks ? Framing::Chunked : Framing::Close;
  length_left_ = length.value_or(0);
  events_ = events;
  if (!events) return;
  // The head goes at once: the client learns that it is connected. What the kernel does not take waits for
  // the first event.
  try_send();
  set_limit(event_moment_, steady_clock::now() + shared_->settings.event_keep_alive);
}

void Connection::append_piece(std::string_view bytes) {
  if (bytes.empty()) return;
  switch (framing_) {
    case Framing::Chunked:
      fmt::format_to(std::back_inserter(out_), "{:x}\r\n", bytes.size());
      out_.append(bytes).append("\r\n");
      break;
    case Framing::Length:
      if (bytes.size() > length_left_)
        throw fail(Code::Internal, "more was written than the Content-Length that was stated");
      length_left_ -= bytes.size();
      out_ += bytes;
      break;
    case Framing::Close:
      out_ += bytes;
      break;
    default:
      break;
  }
}

void Connection::append_end() {
  if (std::exchange(finished_, true)) return;
  event_moment_ = Moment::max();
  if (framing_ == Framing::Chunked) out_ += "0\r\n\r\n";
  if (framing_ == Framing::Length && length_left_ > 0) closing_ = true;  // the client sees it cut
}

Task<> Connection::write(std::string_view bytes) {
  if (gone_) lost();
  if (finished_) throw fail(Code::Internal, "something was written after the end of a response");
  append_piece(bytes);
  if (events_) event_moment_ = steady_clock::now() + shared_->settings.event_keep_alive;
  if (!try_send()) co_await drain();
  if (gone_) lost();
}

Task<> Connection::WriterOf::finish() {
  if (connection.gone_) connection.lost();
  connection.append_end();
  if (!connection.try_send()) co_await connection.drain();
  if (connection.gone_) connection.lost();
}

// Sends what the kernel takes now; true when that is everything. A client that is gone is marked so.
bool Connection::try_send() {
  while (sent_ < out_.size() || !whole_body_.empty()) {
    iovec parts[] = {{out_.data() + sent_, out_.size() - sent_}, {whole_body_.data(), whole_body_.size()}};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = whole_body_.empty() ? 1 : 2;
    const auto count = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
    if (count < 0) {
      out_.clear();
      whole_body_.clear();
      sent_ = 0;
      if (!std::exchange(gone_, true)) cancel();
      return true;
    }
    head_sent_ = true;
    sent_ += static_cast<std::size_t>(count);
    if (sent_ >= out_.size() && !whole_body_.empty()) {
      // The head is out: from here on the body takes its place.
      sent_ -= out_.size();
      out_ = std::move(whole_body_);
      whole_body_.clear();
    }
  }
  sent_ = 0;
  if (out_.capacity() > (64 << 10))
    out_ = {};
  else
    out_.clear();
  return true;
}

Task<> Connection::drain() {
  while (!try_send()) {
    set_limit(write_limit_, steady_clock::now() + shared_->settings.write_time);
    socket_.async_wait(asio::socket_base::wait_write, [self = shared_from_this()](const error_code& error) {
      self->write_limit_ = Moment::max();
      self->writer_.wake(self->executor_, error);
    });
    bool late = false;
    try {
      co_await writer_.wait();
    } catch (const boost::system::system_error& error) {
      late = error.code() == asio::error::timed_out;
      if (!late) throw Error{Code::Cancelled, "the client is gone"};
    }
    if (late) {
      gone_ = true;
      cancel();
      throw fail(Code::Timeout, "the client does not take what it is sent");
    }
  }
}

void Connection::keep_events_alive(Moment now) {
  set_limit(event_moment_, now + shared_->settings.event_keep_alive);
  if (writer_.waiting()) return;  // an event is on its way, under a limit of its own
  if (sent_ < out_.size()) {
    // The last comment is still here: a client that takes nothing for so long is gone.
    const auto before = sent_;
    if (!try_send() && sent_ == before) gone();
    return;
  }
  append_piece(":\n\n");
  try_send();
}

Writer& Connection::ResponderOf::begin(int status, Headers headers) {
  connection.begin(status, headers, false);
  return writer;
}

Events& Connection::ResponderOf::events(Headers headers) {
  headers.set("Content-Type", "text/event-stream");
  if (!headers.has("Cache-Control")) headers.set("Cache-Control", "no-store");
  headers.set("X-Accel-Buffering", "no");  // proxies that buffer by default
  headers.remove("Content-Length");
  connection.begin(200, headers, true);
  return events_of;
}

bool Connection::ResponderOf::wants_websocket() const {
  const auto& request = connection.request_;
  return request.method == "GET" && connection.parser_->http11() &&
         request.headers.has_token("Connection", "upgrade") &&
         request.headers.has_token("Upgrade", "websocket") && request.headers.has("Sec-WebSocket-Key") &&
         request.headers.get("Sec-WebSocket-Version") == "13";
}

}  // namespace tow::http
