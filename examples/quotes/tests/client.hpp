// SPDX-License-Identifier: Apache-2.0
#pragma once
// A client made of one socket, for tests: sends bytes, reads bytes.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

class Client {
 public:
  explicit Client(std::uint16_t port) : fd_{socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Client() { close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connected() const { return connected_; }
  bool send(std::string_view bytes) {
    return ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  void end_output() { shutdown(fd_, SHUT_WR); }

  // Everything until `end` has come (that included), or until the other side closes.
  std::string read_until(std::string_view end) {
    std::string got = std::exchange(rest_, {});
    char buffer[4096];
    for (;;) {
      if (const auto at = end.empty() ? std::string::npos : got.find(end); at != std::string::npos) {
        rest_ = got.substr(at + end.size());
        return got.substr(0, at + end.size());
      }
      const auto count = recv(fd_, buffer, sizeof buffer, 0);
      if (count <= 0) return got;
      got.append(buffer, static_cast<std::size_t>(count));
    }
  }
  std::string read_to_the_end() { return read_until({}); }

 private:
  int fd_;
  bool connected_ = false;
  std::string rest_;
};
