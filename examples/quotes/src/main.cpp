// SPDX-License-Identifier: Apache-2.0
// The service as a process: the sayings' file as its argument, the port from the environment,
// then serving until SIGTERM.
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

#include "pages.hpp"
#include "quotes.hpp"
#include "server.hpp"

namespace {

quotes::Server* running = nullptr;

std::uint16_t port_from_environment() {
  const char* value = std::getenv("PORT");
  const std::string_view text = value != nullptr ? value : "8080";
  std::uint16_t port = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (fault != std::errc{} || end != text.data() + text.size()) {
    throw std::runtime_error("PORT is \"" + std::string{text} + "\"; it must be a port's number");
  }
  return port;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    auto sayings = quotes::load(count > 1 ? arguments[1] : "quotes.txt");
    const auto number = sayings.size();
    auto pick = [engine = std::mt19937{std::random_device{}()}](std::size_t below) mutable {
      return std::uniform_int_distribution<std::size_t>{0, below - 1}(engine);
    };
    quotes::Server server{port_from_environment(), quotes::pages(std::move(sayings), pick, QUOTES_VERSION)};
    running = &server;
    for (const int signal : {SIGTERM, SIGINT}) std::signal(signal, [](int) { running->stop(); });
    std::cout << "quotes: " << number << " sayings, listening on port " << server.port() << std::endl;
    const auto cut = server.run();
    std::cout << "quotes: done, " << cut << " connections cut" << std::endl;
    return 0;
  } catch (const std::exception& fault) {
    std::cerr << "quotes: " << fault.what() << std::endl;
    return 2;
  }
}
