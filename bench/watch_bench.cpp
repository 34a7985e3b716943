// SPDX-License-Identifier: Apache-2.0
// Many clients watch one kind while another writes to it: how long after the write's call each of them has
// the change.
//   watch_bench PORT TOKEN WATCHERS RATE SECONDS      prints: changes seen, changes due, p50 and p99 in
//   milliseconds
// The time is that of the whole way: call, commit, answer to every watcher, read by it.
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

long long micros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now().time_since_epoch()).count();
}

int connect_to(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error("cannot connect");
  return fd;
}

void send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const auto sent = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) throw std::runtime_error("cannot send");
    text.remove_prefix(static_cast<std::size_t>(sent));
  }
}

// The body of an answer with a length.
void read_answer(int fd) {
  std::string heard;
  char buffer[65536];
  while (true) {
    const auto got = recv(fd, buffer, sizeof buffer, 0);
    if (got <= 0) throw std::runtime_error("no answer");
    heard.append(buffer, static_cast<std::size_t>(got));
    const auto head = heard.find("\r\n\r\n");
    if (head == std::string::npos) continue;
    if (!heard.starts_with("HTTP/1.1 20")) throw std::runtime_error(heard.substr(0, 200));
    const auto at = heard.find("Content-Length: ");
    std::size_t length = 0;
    if (at != std::string::npos) std::from_chars(heard.data() + at + 16, heard.data() + head, length);
    if (heard.size() >= head + 4 + length) return;
  }
}

struct Watcher {
  int fd = -1;
  std::string rest;  // of the last bytes, in which a stamp may have begun
};

constexpr std::string_view kStamp = "stamp=";
constexpr std::size_t kDigits = 16;

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr, "watch_bench PORT TOKEN WATCHERS RATE SECONDS\n");
    return 2;
  }
  const int port = std::stoi(argv[1]), count = std::stoi(argv[3]), rate = std::stoi(argv[4]),
            seconds = std::stoi(argv[5]);
  const std::string header = std::string{"Host: localhost\r\nAuthorization: Bearer "} + argv[2] + "\r\n";
  std::vector<Watcher> watchers(static_cast<std::size_t>(count));
  const int poll = epoll_create1(0);
  for (std::size_t i = 0; i < watchers.size(); ++i) {
    watchers[i].fd = connect_to(port);
    send_all(watchers[i].fd, "GET /api/v1/environmenttypes?watch HTTP/1.1\r\n" + header + "\r\n");
    epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
    epoll_ctl(poll, EPOLL_CTL_ADD, watchers[i].fd, &event);
  }
  std::atomic<bool> begun = false, ended = false;
  std::atomic<int> written = 0;
  std::thread writer{[&] {
    const int fd = connect_to(port);
    std::this_thread::sleep_for(std::chrono::seconds{2});  // the lists that they begin with are read
    begun = true;
    auto due = Clock::now();
    for (int i = 0; i < rate * seconds; ++i, due += std::chrono::microseconds{1'000'000 / rate}) {
      std::this_thread::sleep_until(due);
      char stamp[32];
      std::snprintf(stamp, sizeof stamp, "%016lld", micros());
      const std::string body = R"({"metadata":{"name":"watched"},"spec":{"description":")" +
                               std::string{kStamp} + stamp + std::string(500, 'x') + "\"}}";
      send_all(fd, "PUT /api/v1/environmenttypes/watched HTTP/1.1\r\n" + header +
                       "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
                       "\r\n\r\n" + body);
      read_answer(fd);
      ++written;
    }
    std::this_thread::sleep_for(std::chrono::seconds{1});
    ended = true;
  }};
  std::vector<double> took;
  std::vector<char> buffer(1 << 20);
  epoll_event events[256];
  const auto first = micros();
  while (!ended) {
    const int ready = epoll_wait(poll, events, 256, 100);
    for (int e = 0; e < ready; ++e) {
      auto& watcher = watchers[events[e].data.u64];
      const auto got = recv(watcher.fd, buffer.data(), buffer.size(), 0);
      const auto now = micros();
      if (got <= 0) {
        std::fprintf(stderr, "a watcher was cut off\n");
        return 1;
      }
      std::string text = std::move(watcher.rest);
      text.append(buffer.data(), static_cast<std::size_t>(got));
      std::size_t from = 0;
      for (auto at = text.find(kStamp); at != std::string::npos; at = text.find(kStamp, from)) {
        if (at + kStamp.size() + kDigits > text.size()) break;
        const auto sent = std::stoll(text.substr(at + kStamp.size(), kDigits));
        if (begun && sent >= first) took.push_back(static_cast<double>(now - sent) / 1000);
        from = at + kStamp.size() + kDigits;
      }
      const auto keep = std::max(from, text.size() > 32 ? text.size() - 32 : 0);
      watcher.rest = text.substr(keep);
    }
  }
  writer.join();
  std::ranges::sort(took);
  const auto at = [&](double part) {
    return took.empty() ? 0 : took[static_cast<std::size_t>(part * static_cast<double>(took.size() - 1))];
  };
  std::printf("%zu %zu %.2f %.2f\n", took.size(), static_cast<std::size_t>(written) * watchers.size(),
              at(0.5), at(0.99));
}
