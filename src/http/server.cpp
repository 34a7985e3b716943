// SPDX-License-Identifier: Apache-2.0
#include "http/server.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <condition_variable>
#include <thread>

#include "base/error.hpp"
#include "base/log.hpp"
#include "http/connection.hpp"
#include "http/listener.hpp"

namespace tow::http {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

// A connection that is not taken learns why, if that fits into its empty send buffer.
void turn_away(int descriptor, std::string_view answer) {
  [[maybe_unused]] const auto sent =
      ::send(descriptor, answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  ::shutdown(descriptor, SHUT_WR);
  ::close(descriptor);
}

constexpr std::string_view kTooMany =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n";
constexpr std::string_view kTooManyOfPeer =
    "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n";

bool is_loopback(const Peer& peer) {
  return peer.address.starts_with("127.") || peer.address == "::1" || peer.address.starts_with("::ffff:127.");
}

}  // namespace

// Accepts on one socket, on an executor of its own (a strand).
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  using Connect = std::function<Executor()>;
  Listener(std::shared_ptr<Shared> shared, Executor executor, Connect connect, int descriptor)
      : shared_{std::move(shared)},
        executor_{executor},
        connect_{std::move(connect)},
        address_{bound_address(descriptor)},
        socket_{executor, descriptor},
        pause_{executor} {}

  const Address& address() const { return address_; }
  int descriptor() { return socket_.native_handle(); }
  void start() {
    asio::post(executor_, [self = shared_from_this()] { self->wait(); });
  }
  void stop() {
    asio::post(executor_, [self = shared_from_this()] { self->end(); });
  }

 private:
  void wait() {
    if (ended_) return;
    socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                       [self = shared_from_this()](const error_code& error) {
                         if (!error) self->accept_some();
                       });
  }

  void accept_some() {
    for (int i = 0; i < 64 && !ended_; ++i) {
      sockaddr_storage name{};
      socklen_t size = sizeof name;
      const int taken = ::accept4(socket_.native_handle(), reinterpret_cast<sockaddr*>(&name), &size,
                                  SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (taken >= 0) {
        take(taken, name);
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        break;
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        log::warning("http", "cannot accept connections on {}: {}", address_.text(), std::strerror(errno));
        pause_.expires_after(std::chrono::milliseconds{200});
        pause_.async_wait([self = shared_from_this()](const error_code& error) {
          if (!error) self->wait();
        });
        return;
      }
    }
    wait();
  }

  void take(int descriptor, const sockaddr_storage& name) {
    try {
      std::string key;
      auto peer = peer_of(descriptor, &name, key);
      const auto& settings = shared_->settings;
      if (!settings.limit_loopback_peers && is_loopback(peer)) key.clear();
      std::shared_ptr<Connection> connection;
      {
        const std::lock_guard lock{shared_->mutex};
        if (shared_->stopping) {
          ::close(descriptor);
          return;
        }
        if (shared_->connections.size() >= settings.connections) return turn_away(descriptor, kTooMany);
        if (!key.empty() && shared_->peers[key] >= settings.connections_per_peer)
          return turn_away(descriptor, kTooManyOfPeer);
        connection = std::make_shared<Connection>(shared_, connect_(), std::move(peer), key);
        shared_->connections.insert(connection.get());
        if (!key.empty()) ++shared_->peers[key];
      }
      connection->start(descriptor, name.ss_family);
    } catch (const std::exception& error) {
      ::close(descriptor);
      log::warning("http", "a connection was not taken: {}", error.what());
    }
  }

  void end() {
    if (std::exchange(ended_, true)) return;
    error_code ignored;
    pause_.cancel();
    socket_.close(ignored);
    const std::lock_guard lock{shared_->mutex};
    --shared_->listeners;
    if (shared_->ended) shared_->ended();
  }

  const std::shared_ptr<Shared> shared_;
  const Executor executor_;
  const Connect connect_;
  const Address address_;
  asio::posix::basic_stream_descriptor<Executor> socket_;
  asio::steady_timer pause_;
  bool ended_ = false;
};

struct Server::State {
  State(ServerSettings settings, Handler handler)
      : shared{std::make_shared<Shared>(std::move(settings), std::move(handler))} {
    if (shared->settings.executor) return;
    const auto count = std::max<std::size_t>(1, shared->settings.threads);
    context.emplace(static_cast<int>(count));
    work.emplace(context->get_executor());
    for (std::size_t i = 0; i < count; ++i) threads.emplace_back([this] { context->run(); });
  }

  // One strand for each connection; with one thread the context is one already.
  Executor new_strand() {
    if (!context) return asio::make_strand(*shared->settings.executor);
    if (threads.size() == 1) return context->get_executor();
    return asio::make_strand(context->get_executor());
  }

  void add(int descriptor) {
    auto listener =
        std::make_shared<Listener>(shared, new_strand(), [this] { return new_strand(); }, descriptor);
    {
      const std::lock_guard lock{shared->mutex};
      if (shared->stopping) throw fail(Code::FailedPrecondition, "the server is stopping");
      ++shared->listeners;
      listeners.push_back(listener);
    }
    listener->start();
  }

  void begin_stop() {
    const std::lock_guard lock{shared->mutex};
    if (shared->stopping.exchange(true)) return;
    for (const auto& listener : listeners) {
      if (!listener->address().socket.empty() && !handed_over) ::unlink(listener->address().socket.c_str());
      listener->stop();
    }
    for (auto* connection : shared->connections) connection->finish();
  }

  void cancel_all() {
    const std::lock_guard lock{shared->mutex};
    for (auto* connection : shared->connections) connection->cancel();
  }

  bool all_ended() {  // under the mutex
    return shared->connections.empty() && shared->listeners == 0;
  }

  void end_threads() {
    work.reset();
    for (auto& thread : threads) thread.join();
    threads.clear();
  }

  const std::shared_ptr<Shared> shared;
  std::optional<asio::io_context> context;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work;
  std::vector<std::thread> threads;
  std::vector<std::shared_ptr<Listener>> listeners;  // guarded by shared->mutex
  bool handed_over = false;
};

Server::Server(ServerSettings settings, Handler handler)
    : state_{std::make_shared<State>(std::move(settings), std::move(handler))} {}

Server::~Server() {
  auto& shared = *state_->shared;
  if (state_->context) {
    state_->begin_stop();
    state_->cancel_all();
    std::condition_variable ended;
    std::unique_lock lock{shared.mutex};
    shared.ended = [&ended] { ended.notify_all(); };
    ended.wait(lock, [this] { return state_->all_ended(); });
    shared.ended = {};
    lock.unlock();
    state_->end_threads();
    return;
  }
  const std::lock_guard lock{shared.mutex};
  if (state_->all_ended()) return;
  log::error("http", "a server on an executor of its caller's was destroyed while it ran: stop() it first");
  std::abort();
}

std::uint16_t Server::listen(const Address& address) {
  const int descriptor = open_listener(address);
  const auto port = bound_address(descriptor).port;
  state_->add(descriptor);
  return port;
}

std::uint16_t Server::adopt(int descriptor) {
  prepare_listener(descriptor);
  const auto port = bound_address(descriptor).port;
  state_->add(descriptor);
  return port;
}

std::uint16_t Server::port() const {
  const std::lock_guard lock{state_->shared->mutex};
  for (const auto& listener : state_->listeners)
    if (listener->address().port != 0) return listener->address().port;
  return 0;
}

std::vector<int> Server::hand_over() {
  const std::lock_guard lock{state_->shared->mutex};
  std::vector<int> descriptors;
  for (const auto& listener : state_->listeners) {
    const int copy = ::fcntl(listener->descriptor(), F_DUPFD_CLOEXEC, 3);
    if (copy < 0) throw system_error("duplicating a listening socket", errno);
    descriptors.push_back(copy);
  }
  state_->handed_over = true;
  return descriptors;
}

Server::Counts Server::counts() const {
  auto& shared = *state_->shared;
  const std::lock_guard lock{shared.mutex};
  return {.connections = shared.connections.size(), .streams = shared.streams, .requests = shared.requests};
}

Task<> Server::stop(Duration grace) {
  const auto state = state_;
  auto& shared = *state->shared;
  const auto ended = std::make_shared<Signal>();
  const auto done = [&] {
    const std::lock_guard lock{shared.mutex};
    shared.ended = [ended] { ended->notify(); };
    return state->all_ended();
  };
  state->begin_stop();
  const auto until = std::chrono::steady_clock::now() + grace;
  while (!done()) {
    const auto left = std::chrono::ceil<Duration>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) break;
    co_await ended->wait_for(left);
  }
  state->cancel_all();
  while (!done()) co_await ended->wait();
}

}  // namespace tow::http
