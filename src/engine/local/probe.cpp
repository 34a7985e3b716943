// SPDX-License-Identifier: Apache-2.0
#include "engine/local/probe.hpp"

#include <fmt/format.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <charconv>

#include "base/error.hpp"

namespace tow::engine::local {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

std::string request(const Probe& probe, const std::string& address) {
  std::string text =
      fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: towpath-probe\r\nConnection: close\r\n",
                  probe.path.empty() ? "/" : probe.path,
                  probe.host.empty() ? fmt::format("{}:{}", address, probe.port) : probe.host);
  for (const auto& [name, value] : probe.headers) text += fmt::format("{}: {}\r\n", name, value);
  return text + "\r\n";
}

/// The status of "HTTP/1.1 200 OK"; 0 for what is no such line.
int status(std::string_view line) {
  int code = 0;
  if (!line.starts_with("HTTP/1.") || line.size() < 12) return 0;
  std::from_chars(line.data() + 9, line.data() + 12, code);
  return code;
}

/// The same over TLS, blocking: OpenSSL on a socket with time-outs. Asio's TLS belongs to the http module.
std::string first_line_tls(int socket, const std::string& text, Duration limit) {
  const timeval time{limit.count() / 1000, static_cast<suseconds_t>(limit.count() % 1000 * 1000)};
  ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context{SSL_CTX_new(TLS_client_method()),
                                                                  &SSL_CTX_free};
  const std::unique_ptr<SSL, decltype(&SSL_free)> tls{SSL_new(context.get()), &SSL_free};
  SSL_set_fd(tls.get(), socket);
  char answer[512];
  if (SSL_connect(tls.get()) != 1 || SSL_write(tls.get(), text.data(), static_cast<int>(text.size())) <= 0)
    return {};
  const int n = SSL_read(tls.get(), answer, sizeof answer);
  return n > 0 ? std::string(answer, static_cast<std::size_t>(n)) : std::string{};
}

/// Closes the socket when the time is over: whatever waits on it then ends with an error.
class Deadline {
 public:
  Deadline(tcp::socket& socket, Duration limit)
      : state_{std::make_shared<State>(&socket)}, timer_{socket.get_executor(), limit} {
    timer_.async_wait([state = state_](error_code error) {
      if (error || !state->socket) return;
      state->passed = true;
      state->socket->close(error);
    });
  }
  /// The time may have passed in the same turn of the loop as the answer came: the timer's handler is on its
  /// way then, and is not to be called back.
  ~Deadline() { state_->socket = nullptr; }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  bool passed() const { return state_->passed; }

 private:
  struct State {
    tcp::socket* socket;  // none once nobody waits any more
    bool passed = false;
  };
  std::shared_ptr<State> state_;
  asio::steady_timer timer_;
};

Task<std::optional<std::string>> ask_network(const Probe& probe, const std::string& address,
                                             BlockingPool& pool) {
  const std::string where = probe.kind == Probe::Kind::Tcp
                                ? fmt::format("port {}", probe.port)
                                : fmt::format("{} :{}{}", probe.scheme, probe.port, probe.path);
  tcp::socket socket{co_await asio::this_coro::executor};
  Deadline deadline{socket, probe.timeout};
  error_code error;
  const tcp::endpoint endpoint{asio::ip::make_address(address), probe.port};
  co_await socket.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
  if (error)
    co_return deadline.passed()
        ? fmt::format("port {} does not answer within {}", probe.port, tow::to_string(probe.timeout))
        : fmt::format("port {} refuses connections", probe.port);
  if (probe.kind == Probe::Kind::Tcp) co_return std::nullopt;

  std::string line;
  const std::string text = request(probe, address);
  if (probe.scheme == "https" || probe.scheme == "HTTPS") {
    socket.native_non_blocking(false);
    line = co_await pool.run([&] { return first_line_tls(socket.native_handle(), text, probe.timeout); });
  } else {
    co_await asio::async_write(socket, asio::buffer(text), asio::redirect_error(asio::use_awaitable, error));
    if (!error)
      co_await asio::async_read_until(socket, asio::dynamic_buffer(line, 4096), "\r\n",
                                      asio::redirect_error(asio::use_awaitable, error));
  }
  const int code = status(line);
  if (code >= 200 && code < 400) co_return std::nullopt;
  if (code > 0) co_return fmt::format("answers {} at {}", code, where);
  if (deadline.passed())
    co_return fmt::format("{} does not answer within {}", where, tow::to_string(probe.timeout));
  co_return fmt::format("{} gives no HTTP answer", where);
}

}  // namespace

Task<std::optional<std::string>> ask(const Probe& probe, const std::string& address, BlockingPool& pool,
                                     const ExecProbe& exec) {
  if (probe.kind != Probe::Kind::Exec) co_return co_await ask_network(probe, address, pool);
  std::optional<int> code;
  try {
    code = co_await exec(probe.command, probe.timeout);
  } catch (const Error& error) {
    if (error.code() == Code::Cancelled) throw;
    co_return "its probe command cannot be run: " + error.message();
  }
  if (!code) co_return "its probe command does not end within " + tow::to_string(probe.timeout);
  if (*code != 0) co_return "its probe command exits with " + std::to_string(*code);
  co_return std::nullopt;
}

std::optional<Probe> readiness_of(const Workload& workload, const ContainerSpec& container) {
  if (container.readiness) return container.readiness;
  if (container.name == workload.main().name)
    for (const auto& port : workload.ports)
      if (port.protocol == Protocol::Tcp) return Probe{.kind = Probe::Kind::Tcp, .port = port.port};
  return std::nullopt;
}

}  // namespace tow::engine::local
