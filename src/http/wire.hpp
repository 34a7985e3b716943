// SPDX-License-Identifier: Apache-2.0
#pragma once
// A client's connection: TCP, TLS or a unix socket. Private to this folder, and only for .cpp files.

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <string_view>

#include "http/client.hpp"
#include "http/server.hpp"
#include "http/websocket.hpp"

namespace tow::http {

/// Where a client connects to.
struct Origin {
  Address address;
  bool tls = false;
  std::string authority;  // for Host
  std::string prefix;     // before every target; no slash at its end

  /// Throws Error{Invalid}.
  static Origin parse(std::string_view text);
  std::string text() const;
};

/// Calls `cut` when the time is over, unless it was destroyed before. Of one task, on its executor.
class Deadline {
 public:
  Deadline(const Executor& executor, Duration time, std::function<void()> cut);
  ~Deadline();
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  bool passed() const { return state_ && state_->passed; }
  /// Sets what is cut from now on.
  void guard(std::function<void()> cut);

 private:
  struct State {
    explicit State(const Executor& executor) : timer{executor} {}
    boost::asio::steady_timer timer;
    std::function<void()> cut;
    bool passed = false;
  };
  std::shared_ptr<State> state_;  // none: no limit
};

class Wire {
 public:
  virtual ~Wire() = default;
  /// How many bytes came; 0 at the end. Throws boost::system::system_error.
  virtual Task<std::size_t> read(char* into, std::size_t size) = 0;
  virtual Task<> write(std::string_view bytes) = 0;
  /// Whatever waits fails, and so does all that follows.
  virtual void close() = 0;
  /// Whether an unused connection still stands and has nothing to say.
  virtual bool usable() const = 0;
};

using TlsStream = boost::asio::ssl::stream<Socket>;

/// Resolves and connects; sockets belong to `executor`. Throws Error{Unavailable}.
Task<Socket> connect(Executor executor, const Origin& origin, Duration limit, Deadline& deadline);
/// The TLS handshake, which demands a certificate that holds for the origin's host.
Task<std::unique_ptr<TlsStream>> secure(Socket socket, boost::asio::ssl::context& context,
                                        const Origin& origin, Deadline& deadline);

std::unique_ptr<Wire> wire(Socket socket);
std::unique_ptr<Wire> wire(std::unique_ptr<TlsStream> stream);

}  // namespace tow::http
