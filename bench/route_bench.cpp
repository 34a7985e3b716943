// SPDX-License-Identifier: Apache-2.0
// Many routes in a proxy of its own, and what one change costs; then the proxy stays until the input ends,
// for bench/ingress.py to load it.
//   route_bench DIRECTORY ROUTES CHANGES BACKEND_PORT
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "route/haproxy/haproxy.hpp"

using namespace tow;
using namespace tow::route;
using Steady = std::chrono::steady_clock;

namespace {

Site site(int number, std::uint16_t port) {
  return {.id = fmt::format("s{}", number),
          .title = "bench",
          .matches = {{.host = number == 0 ? "web.test" : fmt::format("s{}.test", number)}},
          .servers = {{.id = fmt::format("i-{}", port), .address = "127.0.0.1", .port = port}}};
}

double milliseconds_since(Steady::time_point begin) {
  return std::chrono::duration<double, std::milli>(Steady::now() - begin).count();
}

}  // namespace

int main(int count, char** words) {
  if (count != 5) return 2;
  haproxy::Settings settings{
      .runtime_directory = words[1], .public_port = 0, .internal_port = 0, .threads = 1};
  settings.internal_address = "127.0.0.1";
  const int routes = std::stoi(words[2]);
  const int changes = std::stoi(words[3]);
  const auto port = static_cast<std::uint16_t>(std::stoi(words[4]));
  boost::asio::thread_pool threads{1};
  const auto finish = [&](Task<> task) {
    boost::asio::co_spawn(threads, std::move(task), boost::asio::use_future).get();
  };
  {
    const auto router = haproxy::make(threads.get_executor(), settings);
    finish(router->start());
    const auto begin = Steady::now();
    for (int i = 0; i < routes; ++i) finish(router->apply(site(i, port)));
    finish(router->settle());
    const double filled = milliseconds_since(begin);
    std::vector<double> costs;
    for (int i = 0; i < changes; ++i) {  // another instance takes over, as in a rollout
      const auto change = Steady::now();
      finish(router->apply(site(1 + i % (routes - 1), static_cast<std::uint16_t>(20'000 + i))));
      costs.push_back(milliseconds_since(change));
    }
    std::ranges::sort(costs);
    const auto at = [&](double part) {
      return costs[std::min(costs.size() - 1, static_cast<std::size_t>(part * double(costs.size())))];
    };
    fmt::print("{{\"port\":{},\"fill_ms\":{:.0f},\"p50_ms\":{:.3f},\"p99_ms\":{:.3f},\"most_ms\":{:.3f}}}\n",
               router->public_port(), filled, at(0.5), at(0.99), costs.back());
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line);) {
    }
    finish(router->stop());
  }
  finish(haproxy::take_down(settings));
  threads.join();
}
