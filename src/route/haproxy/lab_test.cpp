// SPDX-License-Identifier: Apache-2.0
#include "route/haproxy/lab.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <csignal>
#include <cstring>

#include "base/error.hpp"
#include "base/ids.hpp"
#include "route/haproxy/console.hpp"
#include "route/haproxy/daemon.hpp"
#include "route/haproxy/kernel.hpp"

namespace tow::route::haproxy::lab {
namespace {

bool send_all(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

/// Appends what comes; false at the end of the connection or of the time.
bool receive_some(int socket, std::string& into, std::chrono::milliseconds limit) {
  pollfd ready{.fd = socket, .events = POLLIN, .revents = 0};
  if (::poll(&ready, 1, static_cast<int>(limit.count())) <= 0) return false;
  char buffer[16384];
  const ssize_t got = ::recv(socket, buffer, sizeof buffer, 0);
  if (got <= 0) return false;
  into.append(buffer, static_cast<std::size_t>(got));
  return true;
}

std::string header_of(std::string_view head, std::string_view name) {
  for (std::size_t begin = 0; begin < head.size();) {
    const std::size_t end = std::min(head.find("\r\n", begin), head.size());
    const std::string_view line = head.substr(begin, end - begin);
    if (line.size() > name.size() && line[name.size()] == ':' &&
        strncasecmp(line.data(), name.data(), name.size()) == 0) {
      std::string_view value = line.substr(name.size() + 1);
      while (value.starts_with(' ')) value.remove_prefix(1);
      return std::string{value};
    }
    begin = end + 2;
  }
  return {};
}

constexpr std::chrono::seconds kPatience{30};  // with what is slow because the machine is busy

}  // namespace

// ---- Instance

Instance::Instance(std::string id) : id_{std::move(id)} {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, 512) != 0) {
    throw system_error("an instance's socket", errno);
  }
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread{[this] { accept_loop(); }};
}

Instance::~Instance() {
  crash();
  for (std::thread& thread : threads_) thread.join();
}

Server Instance::server(int weight) const {
  return {.id = id_, .address = "127.0.0.1", .port = port_, .weight = weight};
}

int Instance::arrivals(const std::string& number) const {
  const std::lock_guard lock{mutex_};
  const auto found = arrivals_.find(number);
  return found == arrivals_.end() ? 0 : found->second;
}

void Instance::end_streams() {
  const std::lock_guard lock{mutex_};
  streams_ended_ = true;
  streams_end_.notify_all();
}

void Instance::crash() {
  if (ending_.exchange(true)) return;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  ::close(listener_);
  end_streams();
  const std::lock_guard lock{mutex_};
  for (const int socket : sockets_) {
    const linger reset{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    ::shutdown(socket, SHUT_RD);
  }
}

void Instance::accept_loop() {
  while (true) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    ++connections_;
    const std::lock_guard lock{mutex_};
    sockets_.insert(socket);
    threads_.emplace_back([this, socket] {
      serve(socket);
      const std::lock_guard done{mutex_};
      sockets_.erase(socket);
      ::close(socket);
    });
  }
}

void Instance::serve(int socket) {
  std::string in;
  while (!ending_) {
    std::size_t end = 0;
    while ((end = in.find("\r\n\r\n")) == std::string::npos) {
      if (!receive_some(socket, in, std::chrono::hours{1})) return;
    }
    const std::string head = in.substr(0, end + 2);
    in.erase(0, end + 4);
    if (const std::string length = header_of(head, "Content-Length"); !length.empty()) {
      const auto wanted = static_cast<std::size_t>(std::stoul(length));
      while (in.size() < wanted) {
        if (!receive_some(socket, in, kPatience)) return;
      }
      in.erase(0, wanted);
    }
    ++requests_;
    {
      const std::lock_guard lock{mutex_};
      if (const std::string number = header_of(head, "X-Number"); !number.empty()) ++arrivals_[number];
    }
    if (ending_) return;
    const std::string path =
        head.substr(head.find(' ') + 1, head.find(' ', head.find(' ') + 1) - head.find(' ') - 1);
    if (path == "/break") return;
    if (path == "/slow") std::this_thread::sleep_for(std::chrono::milliseconds{500});
    const bool upgrade = !header_of(head, "Upgrade").empty();
    if (upgrade || path == "/events" || path == "/silent") {
      if (upgrade) {
        send_all(socket,
                 "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
      } else if (path == "/events") {
        send_all(socket, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: " + id_ + "\n\n");
      }
      std::unique_lock lock{mutex_};
      while (!streams_ended_) {
        lock.unlock();
        std::string echo;
        if (upgrade && receive_some(socket, echo, std::chrono::milliseconds{10})) send_all(socket, echo);
        lock.lock();
        if (!upgrade) streams_end_.wait(lock, [this] { return streams_ended_; });
      }
      return;
    }
    const std::string body = path == "/head" ? head : id_;
    if (!send_all(socket, fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body)))
      return;
  }
}

// ---- Client

std::string Answer::header(std::string_view name) const { return header_of(head, name); }

Client::Client(std::uint16_t port, std::string address) {
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  ::inet_pton(AF_INET, address.c_str(), &to.sin_addr);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    ::close(socket_);
    socket_ = -1;
  }
}

Client::~Client() {
  if (socket_ >= 0) ::close(socket_);
}

void Client::send(std::string_view bytes) { send_all(socket_, bytes); }

std::string Client::receive(std::string_view end, std::chrono::milliseconds limit) {
  std::string out;
  const auto until = std::chrono::steady_clock::now() + limit;
  while (end.empty() || !out.contains(end)) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0 || !receive_some(socket_, out, left)) break;
  }
  return out;
}

Answer Client::request(const std::string& host, const std::string& path, const std::string& headers,
                       const std::string& method, const std::string& body) {
  Answer out;
  if (socket_ < 0) return out;
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\n{}", method, path, host, headers);
  if (!body.empty()) text += fmt::format("Content-Length: {}\r\n", body.size());
  if (!send_all(socket_, text + "\r\n" + body)) return out;
  std::string in;
  std::size_t end = 0;
  while ((end = in.find("\r\n\r\n")) == std::string::npos) {
    if (!receive_some(socket_, in, kPatience)) return out;
  }
  out.head = in.substr(0, end + 2);
  out.body = in.substr(end + 4);
  const std::string length = out.header("Content-Length");
  const std::size_t wanted = length.empty() ? 0 : std::stoul(length);
  while (out.body.size() < wanted) {
    if (!receive_some(socket_, out.body, kPatience)) return out;
  }
  out.status = std::stoi(out.head.substr(9, 3));
  return out;
}

Answer get(std::uint16_t port, const std::string& host, const std::string& path, const std::string& headers) {
  Client client{port};
  return client.request(host, path, headers + "Connection: close\r\n");
}

// ---- Load

Load::Load(std::uint16_t port, std::string host, int clients, Connections connections, std::string method) {
  for (int i = 0; i < clients; ++i) {
    threads_.emplace_back([this, port, host, connections, method] {
      std::unique_ptr<Client> client;
      while (!ending_) {
        if (!client || connections == Connections::Fresh) client = std::make_unique<Client>(port);
        const std::string close = connections == Connections::Fresh ? "Connection: close\r\n" : "";
        const std::string body = method == "POST" ? "x" : "";
        const Answer answer = client->request(host, "/", close, method, body);
        ++asked_;
        const std::lock_guard lock{mutex_};
        if (answer.status == 200) {
          ++answers_[answer.body];
        } else {
          failures_.push_back(answer.status == 0 ? client->connected() ? "no answer" : "no connection"
                                                 : answer.head);
        }
        // What a client of HTTP/1.1 does: an announced end, and any other, means a new connection.
        if (answer.status == 0 || answer.header("Connection") == "close") client.reset();
      }
    });
  }
}

void Load::end() {
  ending_ = true;
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

std::vector<std::string> Load::failures() const {
  const std::lock_guard lock{mutex_};
  return failures_;
}

std::map<std::string, int> Load::answers() const {
  const std::lock_guard lock{mutex_};
  return answers_;
}

// ---- Proxied

struct Proxied::Loop {
  boost::asio::thread_pool pool{2};
};

Proxied::Proxied(std::function<void(Settings&)> adjust) : loop_{std::make_unique<Loop>()} {
  settings_.runtime_directory = std::filesystem::temp_directory_path() / ("route-" + new_uid().substr(16));
  settings_.public_port = 0;
  settings_.internal_address = "127.0.0.1";
  settings_.internal_port = 0;
  settings_.threads = 1;
  settings_.max_connections = 2000;
  if (adjust) adjust(settings_);
  router_ = make(loop_->pool.get_executor(), settings_);
}

Proxied::~Proxied() {
  run(router_->stop());
  router_.reset();
  run(take_down(settings_));
  loop_->pool.join();
}

void Proxied::run(Task<> task) {
  boost::asio::co_spawn(loop_->pool, std::move(task), boost::asio::use_future).get();
}

void Proxied::restart(const std::function<void(Settings&)>& adjust) {
  port();
  run(router_->stop());
  if (adjust) adjust(settings_);
  router_ = make(loop_->pool.get_executor(), settings_);
}

void Proxied::force_reload() {
  const int before = worker();
  while (worker() == before) {
    const std::string id = fmt::format("filler{}", fillers_++);
    apply(site(id, id + ".test", {}));
  }
}

std::uint16_t Proxied::port() {
  if (router_->public_port() != 0) port_ = router_->public_port();
  return port_;
}

std::uint32_t Proxied::sessions(const std::string& site, const std::string& server) {
  return boost::asio::co_spawn(loop_->pool, router_->sessions(site, server), boost::asio::use_future).get();
}

Signals Proxied::signals(const std::string& site) {
  return boost::asio::co_spawn(loop_->pool, router_->signals(), boost::asio::use_future).get()[site];
}

namespace {
Processes processes_in(const std::filesystem::path& directory) {
  std::optional<Processes> out;
  run_blocking([](std::filesystem::path socket, std::optional<Processes>& found) -> Task<> {
    Console console{std::move(socket)};
    found = co_await console.processes();
  }(directory / kMasterSocket, out));
  return out.value_or(Processes{});
}
}  // namespace

int Proxied::master() {
  int pid = 0;
  if (!soon([&] { return (pid = processes_in(settings_.runtime_directory).master) > 0; }))
    throw Error{Code::Timeout, "no master"};
  return pid;
}
int Proxied::worker() {
  int pid = 0;
  if (!soon([&] { return (pid = processes_in(settings_.runtime_directory).worker) > 0; }))
    throw Error{Code::Timeout, "no worker"};
  return pid;
}
void kill_process(int pid) {
  if (pid <= 1) throw fail(Code::Internal, "not to be killed: {}", pid);
  ::kill(pid, SIGKILL);
  if (!soon([&] { return !is_alive(pid); })) throw fail(Code::Timeout, "process {} does not die", pid);
}
std::vector<int> Proxied::old_workers() { return processes_in(settings_.runtime_directory).old; }

bool soon(const std::function<bool()>& done) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  return true;
}

Site site(const std::string& id, const std::string& host, std::vector<Server> servers) {
  return {
      .id = id, .title = "shop web.development", .matches = {{.host = host}}, .servers = std::move(servers)};
}

}  // namespace tow::route::haproxy::lab
