// SPDX-License-Identifier: Apache-2.0
#include "http/connection.hpp"

#include <algorithm>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include "base/error.hpp"
#include "base/log.hpp"
#include "http/connection_parts.hpp"
#include "http/problem.hpp"
#include "http/websocket.hpp"

namespace tow::http {

namespace asio = boost::asio;
using boost::system::error_code;

StreamSlot::StreamSlot(Shared& shared) : shared_{shared} {
  if (++shared_.streams <= shared_.settings.streams) return;
  --shared_.streams;
  throw StatusError{503, Code::Unavailable, "too many streams are open; try again later"};
}

Task<> Wakeup::wait() {
  auto start = [this](auto&& handler) {
    // Posted, because a slot's handler must not run the coroutine that may destroy it.
    if (auto slot = asio::get_associated_cancellation_slot(handler); slot.is_connected())
      slot.assign([this](asio::cancellation_type) {
        if (!handler_) return;
        Resume resume{std::move(*handler_)};
        handler_.reset();
        auto executor = resume.get_executor();
        asio::post(executor, [resume = std::move(resume)]() mutable {
          std::move(resume)(error_code{asio::error::operation_aborted});
        });
      });
    handler_.emplace(std::forward<decltype(handler)>(handler));
  };
  return asio::async_initiate<const asio::use_awaitable_t<Executor>&, void(error_code)>(start,
                                                                                        asio::use_awaitable);
}

void Wakeup::wake(const Executor& here, error_code error) {
  if (!handler_) return;
  Resume resume{std::move(*handler_)};
  handler_.reset();
  auto executor = resume.get_executor();
  if (executor == here) return std::move(resume)(error);
  asio::post(executor, [resume = std::move(resume), error]() mutable { std::move(resume)(error); });
}

Connection::Connection(std::shared_ptr<Shared> shared, Executor executor, Peer peer, std::string peer_key)
    : shared_{std::move(shared)},
      executor_{std::move(executor)},
      peer_key_{std::move(peer_key)},
      socket_{executor_},
      timer_{executor_},
      body_{std::make_unique<BodyOf>(*this)},
      responder_{std::make_unique<ResponderOf>(*this)},
      request_{*body_} {
  request_.peer = std::move(peer);
}

Connection::~Connection() = default;

void Connection::start(int descriptor, int family) {
  error_code error;
  socket_.assign(asio::generic::stream_protocol{family, 0}, descriptor, error);
  if (error) {
    ::close(descriptor);
    return ended();
  }
  asio::post(executor_, [self = shared_from_this()] {
    asio::co_spawn(self->executor_, self->run(),
                   asio::bind_cancellation_slot(self->cancellation_.slot(),
                                                [self](const std::exception_ptr&) { self->ended(); }));
  });
}

void Connection::finish() {
  asio::post(executor_, [self = shared_from_this()] {
    self->closing_ = true;
    if (self->idle_ || self->events_ || self->framing_ == Framing::Upgraded) self->gone();
  });
}

void Connection::cancel() {
  asio::post(executor_, [self = shared_from_this()] { self->gone(); });
}

// Called from completion handlers only: the coroutine must be waiting.
void Connection::gone() {
  if (ended_) return;
  gone_ = true;
  cancellation_.emit(asio::cancellation_type::terminal);
}

// Called from within the handler's task, which then ends; what it waits for elsewhere is cancelled too.
void Connection::lost() {
  if (!std::exchange(gone_, true)) cancel();
  throw Error{Code::Cancelled, "the client is gone"};
}

void Connection::ended() {
  ended_ = true;
  timer_.cancel();
  slot_.reset();
  error_code ignored;
  socket_.close(ignored);
  const std::lock_guard lock{shared_->mutex};
  shared_->connections.erase(this);
  if (const auto count = shared_->peers.find(peer_key_);
      count != shared_->peers.end() && --count->second == 0)
    shared_->peers.erase(count);
  if (shared_->ended) shared_->ended();
}

Task<> Connection::run() {
  try {
    for (;;) {
      const bool more = co_await read_head();
      if (!more) break;
      co_await answer();
      if (framing_ == Framing::Upgraded || gone_) co_return;
      if (!closing_ && !parser_->is_done()) co_await skip_body();
      if (closing_ || (eof_ && unparsed() == 0)) break;
    }
    if (closing_ && !eof_ && (unparsed() > 0 || !parser_ || !parser_->is_done())) co_await linger();
  } catch (const Error& error) {
    if (error.code() == Code::Internal) log::error("http", "a connection failed: {}", error.message());
  } catch (const boost::system::system_error& error) {
    // Cancelled, or a limit in time has passed: nobody is left to be told.
    log::debug("http", "a connection ended: {}", error.code().message());
  }
}

Task<> Connection::answer() {
  shared_->requests.fetch_add(1, std::memory_order_relaxed);
  if (parser_->is_done()) watch();
  if (eof_)
    set_limit(half_close_limit_, std::chrono::steady_clock::now() + shared_->settings.half_close_time);
  std::exception_ptr failure;
  try {
    co_await shared_->handler(request_, *responder_);
  } catch (...) {
    failure = std::current_exception();
  }
  event_moment_ = half_close_limit_ = Moment::max();
  slot_.reset();
  if (gone_ || framing_ == Framing::Upgraded) {
    closing_ = true;
    co_return;
  }
  if (failure && head_sent_) {
    // The client must not take what it has for the whole.
    const auto told = problem(failure, request_.method + " " + request_.path);
    log::warning("http", "{} {}: cut after its beginning, with {}", request_.method, request_.path,
                 told.status);
    error_code ignored;
    socket_.set_option(asio::socket_base::linger{true, 0}, ignored);
    socket_.close(ignored);
    gone_ = true;
    co_return;
  }
  if (failure) {
    forget_response();
    send(problem(failure, request_.method + " " + request_.path));
  } else if (framing_ == Framing::Undecided) {
    log::error("http", "{} {}: its handler gave no answer", request_.method, request_.path);
    send(problem(500, "an internal error: there was no answer"));
  } else if (streaming() && !finished_) {
    append_end();
  }
  if (!try_send()) co_await drain();
}

// Answers what is no proper request; nothing more is read afterwards.
Task<> Connection::refuse(int status, std::string_view why) {
  closing_ = true;
  forget_response();
  send(problem(status, why));
  if (!try_send()) co_await drain();
}

Task<std::unique_ptr<WebSocket>> Connection::accept(WebSocketSettings settings) {
  if (!responder_->wants_websocket())
    throw StatusError{426, Code::FailedPrecondition, "this is a WebSocket; ask with Upgrade: websocket"};
  if (unparsed() > 0 || shared_->stopping) throw fail(Code::Unavailable, "no WebSocket is opened now");
  slot_.emplace(*shared_);
  framing_ = Framing::Upgraded;
  closing_ = true;
  error_code ignored;
  socket_.cancel(ignored);  // the wait that watches for the client: the WebSocket reads by itself
  auto socket = co_await accept_websocket(std::move(socket_), request_, std::move(settings));
  co_return socket;
}

void Connection::set_limit(Moment& limit, Moment moment) {
  limit = moment;
  if (moment < armed_) arm_timer();
}

// One timer serves all limits. It is only set anew for an earlier one: a later one is found when it fires.
void Connection::arm_timer() {
  const auto next = std::min({read_limit_, write_limit_, half_close_limit_, event_moment_});
  if (ended_ || next >= armed_) return;
  armed_ = next;
  timer_.expires_at(next);
  timer_.async_wait([self = shared_from_this()](error_code error) {
    if (!error) self->on_timer();
  });
}

void Connection::on_timer() {
  armed_ = Moment::max();
  const auto now = std::chrono::steady_clock::now();
  const auto passed = [&](Moment& limit) { return now >= limit && (limit = Moment::max(), true); };
  const error_code late{asio::error::timed_out};
  if (passed(half_close_limit_)) gone();
  if (passed(read_limit_)) reader_.wake(executor_, late);
  if (!ended_ && passed(write_limit_)) writer_.wake(executor_, late);
  if (!ended_ && now >= event_moment_) keep_events_alive(now);
  arm_timer();
}

}  // namespace tow::http
