// SPDX-License-Identifier: Apache-2.0
#include "http/client.hpp"

#include <algorithm>
#include <array>
#include <boost/beast/http/error.hpp>
#include <mutex>

#include "base/error.hpp"
#include "http/parser.hpp"
#include "http/problem.hpp"
#include "http/text.hpp"
#include "http/wire.hpp"

namespace tow::http {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::steady_clock;

namespace {

bool is_idempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" || method == "OPTIONS";
}

// A failure of the connection before anything of a reply came: on a connection that was kept, the server may
// just have closed it.
struct Untouched {
  std::string why;
};

std::string head_of(const Call& call, const Origin& origin) {
  if (!is_token(call.method)) throw fail(Code::Invalid, "\"{}\" is not a method", printable(call.method));
  if (!call.target.starts_with('/') || !split_target(call.target))
    throw fail(Code::Invalid, "\"{}\" is not a target; it must begin with \"/\" and be percent-encoded",
               printable(call.target));
  std::string head = fmt::format("{} {}{} HTTP/1.1\r\nHost: {}\r\n", call.method, origin.prefix, call.target,
                                 origin.authority);
  for (const auto field : call.headers) {
    if (equal_without_case(field.name, "Host") || equal_without_case(field.name, "Content-Length") ||
        equal_without_case(field.name, "Transfer-Encoding") || equal_without_case(field.name, "Connection"))
      continue;
    head.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  const bool has_body = !call.body.empty() || call.method == "POST" || call.method == "PUT";
  if (call.source)
    head += "Transfer-Encoding: chunked\r\n";
  else if (has_body)
    head += fmt::format("Content-Length: {}\r\n", call.body.size());
  return head += "\r\n";
}

// Turns what the deadline or the network did into the one error type.
[[noreturn]] void rethrow(const Deadline& deadline, const Origin& origin, Duration limit) {
  try {
    throw;
  } catch (const boost::system::system_error& error) {
    if (deadline.passed())
      throw fail(Code::Timeout, "{} did not answer within {}", origin.text(), to_string(limit));
    if (error.code() == asio::error::operation_aborted)
      throw Error{Code::Cancelled, "the request was cancelled"};
    throw fail(Code::Unavailable, "the connection to {} broke: {}", origin.text(), error.code().message());
  } catch (const Untouched& untouched) {
    if (deadline.passed())
      throw fail(Code::Timeout, "{} did not answer within {}", origin.text(), to_string(limit));
    throw fail(Code::Unavailable, "the connection to {} broke: {}", origin.text(), untouched.why);
  }
}

}  // namespace

struct Client::State : std::enable_shared_from_this<Client::State> {
  State(Executor e, std::string_view text, ClientSettings s)
      : executor{std::move(e)}, origin{Origin::parse(text)}, settings{std::move(s)} {
    if (!origin.tls) return;
    tls.emplace(asio::ssl::context::tls_client);
    ::SSL_CTX_set_min_proto_version(tls->native_handle(), TLS1_2_VERSION);
    tls->set_verify_mode(asio::ssl::verify_peer);
    error_code error;
    if (settings.authorities.empty())
      tls->set_default_verify_paths(error);
    else
      tls->load_verify_file(settings.authorities, error);
    if (error)
      throw fail(Code::Invalid, "the trusted certificates in {} cannot be read: {}",
                 settings.authorities.empty() ? "the system" : settings.authorities, error.message());
  }

  struct Kept {
    std::unique_ptr<Wire> wire;
    steady_clock::time_point since;
  };

  std::unique_ptr<Wire> take() {
    const std::lock_guard lock{mutex};
    const auto oldest = steady_clock::now() - settings.idle_time;
    while (!idle.empty()) {
      auto kept = std::move(idle.back());
      idle.pop_back();
      if (kept.since >= oldest && kept.wire->usable()) return std::move(kept.wire);
    }
    return nullptr;
  }

  void keep(std::unique_ptr<Wire> wire) {
    const std::lock_guard lock{mutex};
    if (idle.size() < settings.idle_connections) idle.push_back({std::move(wire), steady_clock::now()});
  }

  Task<std::unique_ptr<Wire>> open(Deadline& deadline) {
    auto socket = co_await connect(executor, origin, settings.connect_time, deadline);
    if (!tls) co_return wire(std::move(socket));
    auto stream = co_await secure(std::move(socket), *tls, origin, deadline);
    co_return wire(std::move(stream));
  }

  const Executor executor;
  const Origin origin;
  const ClientSettings settings;
  std::optional<asio::ssl::context> tls;
  std::mutex mutex;
  std::vector<Kept> idle;
};

namespace {

// One exchange on one wire: it sends the request, then is the reply.
template <class State>
class ReplyOf final : public Reply {
 public:
  ReplyOf(std::shared_ptr<State> state, std::unique_ptr<Wire> wire, Duration silence)
      : state_{std::move(state)}, wire_{std::move(wire)}, silence_{silence} {}

  int status() const override { return parser_->status(); }
  const Headers& headers() const override { return headers_; }

  Wire& wire() { return *wire_; }

  Task<> send(Call& call) {
    auto head = head_of(call, state_->origin);
    const bool together = !call.source && call.body.size() <= (16 << 10);
    if (together) head += call.body;
    bool broken = false;
    try {
      co_await wire_->write(head);
      if (call.source)
        co_await send_stream(call.source);
      else if (!together)
        co_await wire_->write(call.body);
    } catch (const boost::system::system_error& error) {
      if (error.code() == asio::error::operation_aborted || error.code() == asio::error::bad_descriptor)
        throw;
      broken = true;  // it may have answered before it had read everything
    }
    cut_short_ = broken;
    do co_await read_head(call.method == "HEAD");
    while (parser_->status() / 100 == 1 && parser_->status() != 101);
  }

  Task<std::string> read() override {
    if (!wire_) co_return "";
    const auto executor = co_await asio::this_coro::executor;
    const Deadline deadline{executor, silence_, [this] { wire_->close(); }};
    try {
      auto piece = co_await read_piece();
      co_return piece;
    } catch (const Error&) {
      wire_.reset();
      throw;
    } catch (...) {
      auto broken = std::move(wire_);
      rethrow(deadline, state_->origin, silence_);
    }
  }

  // As read, under a deadline of the caller's.
  Task<std::string> read_piece() {
    for (;;) {
      if (!wire_) co_return "";
      error_code error;
      while (at_ < in_.size() && !error && !parser_->is_done() && parser_->body_size() < (64 << 10))
        feed(error);
      if (error && error != boost::beast::http::error::need_more) throw broken(error.message());
      if (in_.size() - at_ > (128 << 10)) throw broken("a chunk's head is too large");
      if (parser_->body_size() > 0) co_return parser_->take_body();
      if (parser_->is_done()) {
        end();
        co_return "";
      }
      const auto count = co_await receive();
      if (count > 0) continue;
      error = {};
      parser_->put_eof(error);
      if (error) throw broken("it ended within the reply");
    }
  }

  // Nothing is left to be read: the connection may serve another request.
  void end() {
    if (!wire_) return;
    auto wire = std::move(wire_);
    if (parser_->keep_alive() && at_ == in_.size() && !cut_short_) state_->keep(std::move(wire));
  }

  bool ended() const { return parser_->is_done() && parser_->body_size() == 0; }

 private:
  Task<> send_stream(const std::function<Task<std::string>()>& source) {
    for (;;) {
      const auto piece = co_await source();
      if (piece.empty()) break;
      const auto chunk = fmt::format("{:x}\r\n{}\r\n", piece.size(), piece);
      co_await wire_->write(chunk);
    }
    co_await wire_->write("0\r\n\r\n");
  }

  Task<> read_head(bool bodiless) {
    headers_.clear();
    parser_.emplace(headers_);
    if (bodiless) parser_->skip(true);
    std::size_t seen = 0;
    while (!parser_->is_header_done()) {
      if (at_ < in_.size()) {
        error_code error;
        seen += feed(error);
        if (error && error != boost::beast::http::error::need_more) throw broken(error.message());
        if (seen + in_.size() - at_ > state_->settings.header_limit) throw broken("its head is too large");
        if (parser_->is_header_done()) break;
      }
      std::size_t count = 0;
      try {
        count = co_await receive();
      } catch (const boost::system::system_error& error) {
        if (touched_ || error.code() == asio::error::operation_aborted) throw;
        throw Untouched{error.code().message()};
      }
      if (count == 0 && !touched_) throw Untouched{"it was closed without a reply"};
      if (count == 0) throw broken("it ended within the reply");
      touched_ = true;
    }
  }

  std::size_t feed(error_code& error) {
    const auto taken = parser_->put(asio::buffer(in_.data() + at_, in_.size() - at_), error);
    at_ += taken;
    if (at_ == in_.size()) {
      in_.clear();
      at_ = 0;
    }
    return taken;
  }

  Task<std::size_t> receive() {
    if (at_ > 0) in_.erase(0, std::exchange(at_, 0));
    const auto before = in_.size();
    constexpr std::size_t piece = 16 << 10;
    in_.resize(before + piece);
    std::size_t count = 0;
    try {
      count = co_await wire_->read(in_.data() + before, piece);
    } catch (...) {
      in_.resize(before);
      throw;
    }
    in_.resize(before + count);
    co_return count;
  }

  Error broken(std::string_view why) const {
    return fail(Code::Unavailable, "the reply of {} is broken: {}", state_->origin.text(), why);
  }

  const std::shared_ptr<State> state_;
  std::unique_ptr<Wire> wire_;
  const Duration silence_;
  Headers headers_;
  std::optional<ReplyParser> parser_;
  std::string in_;
  std::size_t at_ = 0;
  bool touched_ = false;    // something of a reply came
  bool cut_short_ = false;  // not all of the request was sent
};

// Sends the call and reads the head of the reply.
template <class State>
Task<std::unique_ptr<ReplyOf<State>>> exchange(std::shared_ptr<State> state, Call& call, Deadline& deadline) {
  for (bool again = false;; again = true) {
    auto wire = again ? nullptr : state->take();
    const bool kept = wire != nullptr;
    if (!kept) wire = co_await state->open(deadline);
    auto reply = std::make_unique<ReplyOf<State>>(state, std::move(wire), call.silence);
    deadline.guard([raw = &reply->wire()] { raw->close(); });
    bool repeat = false;
    try {
      co_await reply->send(call);
    } catch (const Untouched&) {
      repeat = kept && !call.source && is_idempotent(call.method) && !deadline.passed();
      if (!repeat) {
        deadline.guard({});
        throw;
      }
    } catch (...) {
      deadline.guard({});
      throw;
    }
    deadline.guard({});
    if (!repeat) co_return reply;
  }
}

}  // namespace

Client::Client(Executor executor, std::string_view origin, ClientSettings settings)
    : state_{std::make_shared<State>(std::move(executor), origin, std::move(settings))} {}
Client::~Client() = default;

Task<Response> Client::fetch(Call call) {
  const auto state = state_;
  const auto executor = co_await asio::this_coro::executor;
  Deadline deadline{executor, call.deadline, {}};
  try {
    auto reply = co_await exchange(state, call, deadline);
    Response response{.status = reply->status(), .headers = reply->headers(), .body = {}};
    deadline.guard([raw = &reply->wire()] { raw->close(); });
    for (;;) {
      const auto piece = co_await reply->read_piece();
      if (piece.empty()) break;
      if (response.body.size() + piece.size() > state->settings.body_limit)
        throw fail(Code::Exhausted, "the reply of {} is larger than {} bytes", state->origin.text(),
                   state->settings.body_limit);
      response.body += piece;
      if (reply->ended()) break;
    }
    deadline.guard({});
    reply->end();
    co_return response;
  } catch (const Error&) {
    deadline.guard({});
    throw;
  } catch (...) {
    deadline.guard({});
    rethrow(deadline, state->origin, call.deadline);
  }
}

Task<std::unique_ptr<Reply>> Client::open(Call call) {
  const auto state = state_;
  const auto executor = co_await asio::this_coro::executor;
  Deadline deadline{executor, call.deadline, {}};
  try {
    auto reply = co_await exchange(state, call, deadline);
    co_return std::unique_ptr<Reply>{std::move(reply)};
  } catch (const Error&) {
    throw;
  } catch (...) {
    rethrow(deadline, state->origin, call.deadline);
  }
}

Task<EventReader> Client::events(Call call) {
  call.headers.set("Accept", "text/event-stream");
  auto reply = co_await open(std::move(call));
  if (reply->status() == 200) co_return EventReader{std::move(reply)};
  Response refusal{.status = reply->status(), .headers = reply->headers(), .body = {}};
  while (refusal.body.size() < (1 << 20)) {
    const auto piece = co_await reply->read();
    if (piece.empty()) break;
    refusal.body += piece;
  }
  throw error_of(refusal);
}

Task<std::unique_ptr<WebSocket>> Client::websocket(Call call, WebSocketSettings settings) {
  const auto state = state_;
  const auto executor = co_await asio::this_coro::executor;
  Deadline deadline{executor, call.deadline, {}};
  const auto target = state->origin.prefix + call.target;
  try {
    auto socket = co_await connect(executor, state->origin, state->settings.connect_time, deadline);
    if (!state->tls) {
      auto opened = co_await connect_websocket(std::move(socket), state->origin.authority, target,
                                               std::move(call.headers), std::move(settings));
      co_return opened;
    }
    auto stream = co_await secure(std::move(socket), *state->tls, state->origin, deadline);
    auto opened = co_await connect_websocket(std::move(stream), state->origin.authority, target,
                                             std::move(call.headers), std::move(settings));
    co_return opened;
  } catch (const Error&) {
    throw;
  } catch (...) {
    rethrow(deadline, state->origin, call.deadline);
  }
}

void Client::close_idle() {
  const std::lock_guard lock{state_->mutex};
  state_->idle.clear();
}

}  // namespace tow::http
