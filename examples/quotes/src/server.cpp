// SPDX-License-Identifier: Apache-2.0
#include "server.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

namespace quotes {
namespace {

constexpr std::size_t kMostDiscarded = 1024 * 1024;

int checked(int result, const char* what) {
  if (result < 0) throw std::system_error(errno, std::generic_category(), what);
  return result;
}

}  // namespace

Server::Server(std::uint16_t port, Handler handler, Limits limits)
    : handler_{std::move(handler)}, limits_{limits} {
  poll_ = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  stop_ = checked(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
  listener_ = checked(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  const int yes = 1;
  checked(setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), "SO_REUSEADDR");
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  checked(bind(listener_, generic, size), "bind");
  checked(listen(listener_, SOMAXCONN), "listen");
  checked(getsockname(listener_, generic, &size), "getsockname");
  port_ = ntohs(address.sin_port);

  epoll_event event{.events = EPOLLIN, .data = {.fd = stop_}};
  checked(epoll_ctl(poll_, EPOLL_CTL_ADD, stop_, &event), "epoll_ctl");
  listen_for_more(true);
}

Server::~Server() {
  for (const auto& [fd, connection] : connections_) close(fd);
  if (listener_ >= 0) close(listener_);
  close(stop_);
  close(poll_);
}

void Server::stop() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(stop_, &one, sizeof one);
}

std::size_t Server::run() {
  epoll_event events[64];
  while (!draining_ || !connections_.empty()) {
    const int count = epoll_wait(poll_, events, 64, next_timeout());
    if (count < 0 && errno != EINTR) checked(count, "epoll_wait");
    bool stopping = false;
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == stop_) {
        stopping = true;
      } else if (fd == listener_) {
        accept_waiting();
      } else {
        handle(fd, events[i].events);
      }
    }
    if (stopping && !draining_) begin_drain();
    close_idle();
    if (draining_ && Clock::now() >= drain_until_) break;
    if (!draining_) listen_for_more(connections_.size() < limits_.connections);
  }
  return connections_.size();
}

void Server::accept_waiting() {
  while (connections_.size() < limits_.connections) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;  // none left, or one that has gone already; an error shows again later
    const int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
    checked(epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    connections_[fd].last_used = Clock::now();
  }
}

void Server::listen_for_more(bool more) {
  if (more == accepting_) return;
  epoll_event event{.events = EPOLLIN, .data = {.fd = listener_}};
  checked(epoll_ctl(poll_, more ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, listener_, &event), "epoll_ctl");
  accepting_ = more;
}

void Server::begin_drain() {
  // What connected before the port closes is served too: to those clients it would be an error.
  accept_waiting();
  listen_for_more(false);
  close(std::exchange(listener_, -1));
  draining_ = true;
  drain_until_ = Clock::now() + limits_.drain;
  std::uint64_t count = 0;
  [[maybe_unused]] const auto got = read(stop_, &count, sizeof count);
  // A request may have arrived that was not looked at yet: look at each connection once.
  std::vector<int> all;
  for (const auto& [fd, connection] : connections_) all.push_back(fd);
  for (const int fd : all) handle(fd, EPOLLIN);
}

void Server::handle(int fd, std::uint32_t events) {
  const auto found = connections_.find(fd);
  if (found == connections_.end()) return;
  Connection& connection = found->second;
  connection.last_used = Clock::now();
  if (connection.closing && connection.output.empty()) {
    if (!discard(fd, connection)) close_connection(fd);
    return;
  }
  const bool readable = (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0;
  const bool ended = readable && !receive(fd, connection);
  answer(connection);
  if (ended) {
    connection.closing = true;
    connection.to_discard = 0;
  }
  const bool idle = connection.input.empty() && connection.output.empty();
  if (!flush(fd, connection) || (draining_ && idle)) close_connection(fd);
}

// False when the other side will send no more.
bool Server::receive(int fd, Connection& connection) {
  char buffer[4096];
  while (connection.input.size() <= kLargestHead) {
    const auto got = recv(fd, buffer, sizeof buffer, 0);
    if (got > 0) {
      connection.input.append(buffer, static_cast<std::size_t>(got));
    } else if (got == 0) {
      return false;
    } else if (errno != EINTR) {
      return errno == EAGAIN;
    }
  }
  return true;
}

bool Server::discard(int fd, Connection& connection) {
  char buffer[4096];
  while (connection.to_discard > 0) {
    const auto got = recv(fd, buffer, std::min(sizeof buffer, connection.to_discard), 0);
    if (got < 0 && errno == EAGAIN) return !draining_;
    if (got <= 0) return false;
    connection.to_discard -= static_cast<std::size_t>(got);
  }
  return false;
}

void Server::answer(Connection& connection) {
  while (!connection.closing && !connection.input.empty()) {
    const auto [state, request, used] = parse_request(connection.input);
    if (state == Parsed::Incomplete) return;
    if (state != Parsed::Complete) {
      const bool large = state == Parsed::TooLarge;
      connection.output += render(
          {.status = large ? 431 : 400,
           .body = large ? "this request is too large\n" : "this is no request that is understood here\n"},
          false, false);
      connection.closing = true;
      connection.to_discard = kMostDiscarded;
      return;
    }
    connection.input.erase(0, used);
    if (request.has_body) connection.to_discard = kMostDiscarded;
    connection.closing = !request.keep_alive || request.has_body || draining_;
    connection.output += render(handler_(request), request.method == "HEAD", !connection.closing);
  }
}

// Sends what there is. False when the connection is done with.
bool Server::flush(int fd, Connection& connection) {
  while (!connection.output.empty()) {
    const auto sent = send(fd, connection.output.data(), connection.output.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      connection.output.erase(0, static_cast<std::size_t>(sent));
    } else if (errno != EINTR) {
      if (errno != EAGAIN) return false;
      break;
    }
  }
  const bool pending = !connection.output.empty();
  // While an answer waits to be taken, nothing more is read: that bounds what is kept.
  epoll_event event{.events = pending ? EPOLLOUT : EPOLLIN, .data = {.fd = fd}};
  checked(epoll_ctl(poll_, EPOLL_CTL_MOD, fd, &event), "epoll_ctl");
  if (pending || !connection.closing) return true;
  if (connection.to_discard == 0) return false;
  shutdown(fd, SHUT_WR);
  return discard(fd, connection);
}

void Server::close_connection(int fd) {
  close(fd);
  connections_.erase(fd);
}

void Server::close_idle() {
  const auto oldest = Clock::now() - limits_.idle;
  std::erase_if(connections_, [&](const auto& entry) {
    if (entry.second.last_used > oldest) return false;
    close(entry.first);
    return true;
  });
}

int Server::next_timeout() const {
  if (connections_.empty() && !draining_) return -1;
  using std::chrono::milliseconds;
  auto wait = limits_.idle / 4;
  if (draining_) {
    wait = std::min(wait, std::chrono::ceil<milliseconds>(drain_until_ - Clock::now()));
  }
  return std::max(0, static_cast<int>(wait.count()));
}

}  // namespace quotes
