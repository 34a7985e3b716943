// SPDX-License-Identifier: Apache-2.0
#include "http/wire.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/error.hpp"
#include "http/text.hpp"

namespace tow::http {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

using Endpoint = asio::generic::stream_protocol::endpoint;

bool is_alive(const Socket& socket) {
  char byte = 0;
  const auto count = ::recv(const_cast<Socket&>(socket).native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

class PlainWire final : public Wire {
 public:
  explicit PlainWire(Socket socket) : socket_{std::move(socket)} {}
  Task<std::size_t> read(char* into, std::size_t size) override {
    error_code error;
    const auto count = co_await socket_.async_read_some(asio::buffer(into, size),
                                                        asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::eof) co_return 0;
    if (error) throw boost::system::system_error{error};
    co_return count;
  }
  Task<> write(std::string_view bytes) override {
    co_await asio::async_write(socket_, asio::buffer(bytes.data(), bytes.size()), asio::use_awaitable);
  }
  void close() override {
    error_code ignored;
    socket_.close(ignored);
  }
  bool usable() const override { return is_alive(socket_); }

 private:
  Socket socket_;
};

class TlsWire final : public Wire {
 public:
  explicit TlsWire(std::unique_ptr<TlsStream> stream) : stream_{std::move(stream)} {}
  Task<std::size_t> read(char* into, std::size_t size) override {
    error_code error;
    const auto count = co_await stream_->async_read_some(asio::buffer(into, size),
                                                         asio::redirect_error(asio::use_awaitable, error));
    // Many servers end without TLS's goodbye. Where a length or chunks frame the body, a cut shows anyway.
    if (error == asio::error::eof || error == asio::ssl::error::stream_truncated) co_return 0;
    if (error) throw boost::system::system_error{error};
    co_return count;
  }
  Task<> write(std::string_view bytes) override {
    co_await asio::async_write(*stream_, asio::buffer(bytes.data(), bytes.size()), asio::use_awaitable);
  }
  void close() override {
    error_code ignored;
    stream_->next_layer().close(ignored);
  }
  bool usable() const override { return is_alive(stream_->next_layer()); }

 private:
  std::unique_ptr<TlsStream> stream_;
};

bool is_localhost(std::string_view host) { return host == "localhost" || host.ends_with(".localhost"); }

Task<std::vector<Endpoint>> resolve(Executor executor, const Address& address, Deadline& deadline) {
  std::vector<Endpoint> endpoints;
  if (!address.socket.empty()) {
    endpoints.emplace_back(asio::local::stream_protocol::endpoint{address.socket.string()});
    co_return endpoints;
  }
  const auto add = [&](const asio::ip::address& ip) {
    endpoints.emplace_back(asio::ip::tcp::endpoint{ip, address.port});
  };
  error_code error;
  if (const auto ip = asio::ip::make_address(address.host, error); !error) {
    add(ip);
  } else if (is_localhost(address.host)) {
    add(asio::ip::address_v4::loopback());
    add(asio::ip::address_v6::loopback());
  } else {
    asio::ip::tcp::resolver resolver{executor};
    deadline.guard([&resolver] { resolver.cancel(); });
    const auto found = co_await resolver.async_resolve(address.host, std::to_string(address.port),
                                                       asio::redirect_error(asio::use_awaitable, error));
    deadline.guard({});
    if (error == asio::error::operation_aborted) throw boost::system::system_error{error};
    if (error) throw fail(Code::Unavailable, "the name {} is not known: {}", address.host, error.message());
    for (const auto& entry : found) add(entry.endpoint().address());
  }
  co_return endpoints;
}

}  // namespace

Origin Origin::parse(std::string_view text) {
  const auto malformed = [&] {
    return fail(Code::Invalid, "\"{}\" is no place to connect to; write http://, https:// or unix:///PATH",
                printable(text));
  };
  Origin origin;
  if (text.starts_with("unix://")) {
    origin.address = Address::parse(text);
    origin.authority = "localhost";
    return origin;
  }
  auto rest = text;
  if (rest.starts_with("https://"))
    origin.tls = true, rest.remove_prefix(8);
  else if (rest.starts_with("http://"))
    rest.remove_prefix(7);
  else
    throw malformed();
  const auto slash = rest.find('/');
  origin.authority = rest.substr(0, slash);
  if (slash != std::string_view::npos) origin.prefix = rest.substr(slash);
  while (origin.prefix.ends_with('/')) origin.prefix.pop_back();
  if (origin.authority.empty() || !split_target(origin.prefix + "/") || origin.prefix.contains('?') ||
      origin.authority.find_first_of("@?# \t\r\n\\") != std::string::npos)
    throw malformed();
  const auto colon = origin.authority.rfind(':');
  const bool has_port = colon != std::string::npos && origin.authority.find(']', colon) == std::string::npos;
  origin.address =
      Address::parse(has_port ? origin.authority : origin.authority + (origin.tls ? ":443" : ":80"));
  return origin;
}

std::string Origin::text() const {
  if (!address.socket.empty()) return address.text();
  return (tls ? "https://" : "http://") + authority + prefix;
}

Deadline::Deadline(const Executor& executor, Duration time, std::function<void()> cut) {
  if (time.count() <= 0) return;
  state_ = std::make_shared<State>(executor);
  state_->cut = std::move(cut);
  state_->timer.expires_after(time);
  state_->timer.async_wait([state = state_](const error_code& error) {
    if (error) return;
    state->passed = true;
    if (state->cut) state->cut();
  });
}

Deadline::~Deadline() {
  if (!state_) return;
  state_->cut = {};
  state_->timer.cancel();
}

void Deadline::guard(std::function<void()> cut) {
  if (!state_) return;
  state_->cut = std::move(cut);
  if (state_->passed && state_->cut) state_->cut();
}

Task<Socket> connect(Executor executor, const Origin& origin, Duration limit, Deadline& deadline) {
  const auto endpoints = co_await resolve(executor, origin.address, deadline);
  const auto here = co_await asio::this_coro::executor;
  std::string why = "it has no address";
  for (const auto& endpoint : endpoints) {
    Socket socket{executor};
    const auto close = [&socket] {
      error_code ignored;
      socket.close(ignored);
    };
    error_code error;
    socket.open(endpoint.protocol(), error);
    if (error) {
      why = error.message();
      continue;
    }
    ::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC);
    const Deadline patience{here, limit, close};
    deadline.guard(close);
    co_await socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
    deadline.guard({});
    if (deadline.passed() || (error == asio::error::operation_aborted && !patience.passed()))
      throw boost::system::system_error{asio::error::operation_aborted};
    if (!error) {
      if (origin.address.socket.empty()) socket.set_option(asio::ip::tcp::no_delay{true}, error);
      co_return socket;
    }
    why = patience.passed() ? "no answer within " + to_string(limit) : error.message();
  }
  throw fail(Code::Unavailable, "nobody answers at {}: {}", origin.text(), why);
}

Task<std::unique_ptr<TlsStream>> secure(Socket socket, asio::ssl::context& context, const Origin& origin,
                                        Deadline& deadline) {
  auto stream = std::make_unique<TlsStream>(std::move(socket), context);
  const auto& host = origin.address.host;
  error_code ip_error;
  asio::ip::make_address(host, ip_error);
  if (ip_error) SSL_set_tlsext_host_name(stream->native_handle(), host.c_str());
  stream->set_verify_callback(asio::ssl::host_name_verification{host});
  deadline.guard([raw = stream.get()] {
    error_code ignored;
    raw->next_layer().close(ignored);
  });
  error_code error;
  co_await stream->async_handshake(asio::ssl::stream_base::client,
                                   asio::redirect_error(asio::use_awaitable, error));
  deadline.guard({});
  if (deadline.passed() || error == asio::error::operation_aborted)
    throw boost::system::system_error{asio::error::operation_aborted};
  if (!error) co_return stream;
  const auto verified = ::SSL_get_verify_result(stream->native_handle());
  if (verified != X509_V_OK)
    throw fail(Code::Unavailable, "the certificate of {} does not hold: {}", origin.text(),
               ::X509_verify_cert_error_string(verified));
  throw fail(Code::Unavailable, "no TLS with {}: {}", origin.text(), error.message());
}

std::unique_ptr<Wire> wire(Socket socket) { return std::make_unique<PlainWire>(std::move(socket)); }
std::unique_ptr<Wire> wire(std::unique_ptr<TlsStream> stream) {
  return std::make_unique<TlsWire>(std::move(stream));
}

}  // namespace tow::http
