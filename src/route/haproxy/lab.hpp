// SPDX-License-Identifier: Apache-2.0
#pragma once
// For tests: instances that answer on sockets, a client that counts what goes wrong, and a directory for a
// proxy. Plain threads and blocking sockets, so that nothing here shares a fault with what is tested.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "route/haproxy/haproxy.hpp"

namespace tow::route::haproxy::lab {

/// A program behind the proxy. It answers with its id, and by path: "/head" with the head of the request,
/// "/slow" after half a second, "/silent" never, "/break" by closing without an answer, "/events" with an
/// event stream, and an "Upgrade" with an echo; streams last until end_streams().
class Instance {
 public:
  explicit Instance(std::string id);
  ~Instance();
  std::uint16_t port() const { return port_; }
  Server server(int weight = 100) const;
  int requests() const { return requests_; }
  int connections() const { return connections_; }
  /// How often a request with this "X-Number" came.
  int arrivals(const std::string& number) const;
  void end_streams();
  /// Stops listening and resets every connection, as a killed program does.
  void crash();

 private:
  void accept_loop();
  void serve(int socket);

  std::string id_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<int> requests_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<bool> ending_ = false;
  mutable std::mutex mutex_;
  std::condition_variable streams_end_;
  bool streams_ended_ = false;
  std::map<std::string, int> arrivals_;
  std::set<int> sockets_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

struct Answer {
  int status = 0;  // 0: none came
  std::string head;
  std::string body;
  std::string header(std::string_view name) const;
};

/// One connection, kept alive from request to request. Not thread-safe.
class Client {
 public:
  explicit Client(std::uint16_t port, std::string address = "127.0.0.1");
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  Answer request(const std::string& host, const std::string& path = "/", const std::string& headers = {},
                 const std::string& method = "GET", const std::string& body = {});
  void send(std::string_view bytes);
  /// What comes within the limit, until `end` is in it; empty end: until the connection closes.
  std::string receive(std::string_view end, std::chrono::milliseconds limit = std::chrono::seconds{5});
  bool connected() const { return socket_ >= 0; }

 private:
  int socket_ = -1;
};

/// One request on a connection of its own.
Answer get(std::uint16_t port, const std::string& host, const std::string& path = "/",
           const std::string& headers = {});

/// Clients that ask as fast as they get answers, until it is destroyed or ended.
class Load {
 public:
  enum class Connections { Kept, Fresh };
  Load(std::uint16_t port, std::string host, int clients, Connections connections,
       std::string method = "GET");
  ~Load() { end(); }
  void end();
  int asked() const { return asked_; }
  /// Every answer that was not 200, and every connection that ended without one.
  std::vector<std::string> failures() const;
  std::map<std::string, int> answers() const;

 private:
  std::atomic<bool> ending_ = false;
  std::atomic<int> asked_ = 0;
  mutable std::mutex mutex_;
  std::vector<std::string> failures_;
  std::map<std::string, int> answers_;
  std::vector<std::thread> threads_;
};

/// A directory and an event loop for one proxy; takes it down at the end.
class Proxied {
 public:
  explicit Proxied(std::function<void(Settings&)> adjust = {});
  ~Proxied();
  Router& router() { return *router_; }
  const Settings& settings() const { return settings_; }
  void run(Task<> task);
  void start() { run(router().start()); }
  /// The control side ends and is made again, perhaps with other settings; it is not started.
  void restart(const std::function<void(Settings&)>& adjust = {});
  void apply(Site site) { run(router().apply(std::move(site))); }
  std::uint32_t sessions(const std::string& site, const std::string& server);
  Signals signals(const std::string& site);
  /// Declares more backends, by as many sites as it takes; the worker of before goes on with its sessions.
  void force_reload();
  /// Never 0: waits until there is one. Throws when there is none for seconds.
  int master();
  int worker();
  std::vector<int> old_workers();
  /// Known from the first start on, whether or not a control side is there.
  std::uint16_t port();

 private:
  struct Loop;
  Settings settings_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Router> router_;
  std::uint16_t port_ = 0;
  int fillers_ = 0;
};

/// SIGKILL, for a real process alone: kill(0) would end the tests.
void kill_process(int pid);

inline constexpr std::string_view kUpgrade =
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Tries until `done`, or until nobody would wait any longer; what it last was.
bool soon(const std::function<bool()>& done);

Site site(const std::string& id, const std::string& host, std::vector<Server> servers);

}  // namespace tow::route::haproxy::lab
