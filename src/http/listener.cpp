// SPDX-License-Identifier: Apache-2.0
#include "http/listener.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.hpp"

namespace tow::http {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int number) : number_{number} {}
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return number_; }
  int release() { return std::exchange(number_, -1); }

 private:
  int number_;
};

struct Name {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Name name_of(const Address& address) {
  Name name;
  if (!address.socket.empty()) {
    auto& unix_name = reinterpret_cast<sockaddr_un&>(name.storage);
    const auto& path = address.socket.native();
    if (path.size() >= sizeof unix_name.sun_path)
      throw fail(Code::Invalid, "the path of a socket has at most 107 bytes: {}", path);
    unix_name.sun_family = AF_UNIX;
    std::memcpy(unix_name.sun_path, path.c_str(), path.size() + 1);
    name.size = sizeof unix_name;
    return name;
  }
  const auto host = address.host == "localhost" ? std::string{"127.0.0.1"} : address.host;
  auto& v4 = reinterpret_cast<sockaddr_in&>(name.storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(name.storage);
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    name.size = sizeof v4;
  } else if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    name.size = sizeof v6;
  } else {
    throw fail(Code::Invalid, "cannot listen on \"{}\": it is not an IP address", address.host);
  }
  return name;
}

Error bind_error(const Address& address, int number) {
  if (number == EADDRINUSE && address.socket.empty())
    return fail(Code::FailedPrecondition,
                "port {} on {} is in use by another program; stop it or choose another port", address.port,
                address.host);
  if (number == EADDRINUSE)
    return fail(Code::FailedPrecondition, "somebody listens on {} already", address.socket.string());
  if (number == EADDRNOTAVAIL)
    return fail(Code::Invalid, "{} is not an address of this machine", address.host);
  if (number == EACCES || number == EPERM)
    return fail(Code::Denied, "listening on {} is not permitted", address.text());
  return system_error("listening on " + address.text(), number);
}

// A socket file whose owner is gone refuses connections; it may be replaced.
bool is_stale(const Address& address, const Name& name) {
  struct stat file{};
  if (::lstat(address.socket.c_str(), &file) != 0 || !S_ISSOCK(file.st_mode)) return false;
  const Descriptor probe{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  return ::connect(probe.get(), name.get(), name.size) != 0 && errno == ECONNREFUSED;
}

}  // namespace

int open_listener(const Address& address) {
  const auto name = name_of(address);
  Descriptor socket{::socket(name.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (socket.get() < 0) throw system_error("making a socket", errno);
  const int on = 1;
  if (address.socket.empty()) ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (name.storage.ss_family == AF_INET6)
    ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  int failed = ::bind(socket.get(), name.get(), name.size) == 0 ? 0 : errno;
  if (failed == EADDRINUSE && !address.socket.empty() && is_stale(address, name)) {
    ::unlink(address.socket.c_str());
    failed = ::bind(socket.get(), name.get(), name.size) == 0 ? 0 : errno;
  }
  if (failed != 0) throw bind_error(address, failed);
  // Before listen(), so that nobody connects under another mode.
  if (!address.socket.empty() && ::chmod(address.socket.c_str(), address.mode) != 0)
    throw system_error("setting the mode of " + address.socket.string(), errno);
  if (::listen(socket.get(), SOMAXCONN) != 0) throw bind_error(address, errno);
  prepare_listener(socket.get());
  return socket.release();
}

void prepare_listener(int descriptor) {
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  ::fcntl(descriptor, F_SETFL, ::fcntl(descriptor, F_GETFL) | O_NONBLOCK);
  if (!bound_address(descriptor).socket.empty()) return;
  const int on = 1, idle = 60, interval = 15, count = 4;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

Address bound_address(int descriptor) {
  Name name;
  name.size = sizeof name.storage;
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&name.storage), &name.size) != 0)
    throw system_error("reading a listening socket's address", errno);
  char text[INET6_ADDRSTRLEN] = {};
  if (name.storage.ss_family == AF_UNIX)
    return {.host = {}, .socket = reinterpret_cast<sockaddr_un&>(name.storage).sun_path};
  if (name.storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<sockaddr_in6&>(name.storage);
    return {.host = ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text), .port = ntohs(v6.sin6_port)};
  }
  const auto& v4 = reinterpret_cast<sockaddr_in&>(name.storage);
  return {.host = ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text), .port = ntohs(v4.sin_port)};
}

Peer peer_of(int descriptor, const void* address, std::string& key) {
  const auto* generic = static_cast<const sockaddr*>(address);
  char text[INET6_ADDRSTRLEN] = {};
  if (generic->sa_family == AF_UNIX) {
    Peer peer{.address = "unix", .local = true};
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
      throw system_error("asking for a peer's credentials", errno);
    peer.uid = credentials.uid;
    peer.pid = credentials.pid;
    key.clear();
    return peer;
  }
  if (generic->sa_family == AF_INET6) {
    const auto& v6 = *static_cast<const sockaddr_in6*>(address);
    Peer peer{.address = ::inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text),
              .port = ntohs(v6.sin6_port)};
    // Whoever has one address of such a network has all of them.
    key.assign(reinterpret_cast<const char*>(&v6.sin6_addr), 8);
    return peer;
  }
  const auto& v4 = *static_cast<const sockaddr_in*>(address);
  Peer peer{.address = ::inet_ntop(AF_INET, &v4.sin_addr, text, sizeof text), .port = ntohs(v4.sin_port)};
  key = peer.address;
  return peer;
}

}  // namespace tow::http
