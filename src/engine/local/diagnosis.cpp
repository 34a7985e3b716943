// SPDX-License-Identifier: Apache-2.0
#include "engine/local/diagnosis.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <string.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "engine/ending.hpp"
#include "engine/local/records.hpp"

namespace tow::engine::local {
namespace {

constexpr std::string_view kListening = "0A";

/// "0100007F:1F90": the address as the machine's words in hexadecimal, then the port.
std::optional<Listener> parse(const std::string& local) {
  const auto colon = local.find(':');
  if (colon == std::string::npos) return std::nullopt;
  Listener found;
  const auto* begin = local.data() + colon + 1;
  if (std::from_chars(begin, local.data() + local.size(), found.port, 16).ec != std::errc{})
    return std::nullopt;
  const std::string_view address = std::string_view{local}.substr(0, colon);
  found.loopback = address == "0100007F" || address == "00000000000000000000000001000000" ||
                   address == "0000000000000000FFFF00000100007F";
  return found;
}

void collect(const std::string& text, std::vector<Listener>& all) {
  std::istringstream in{text};
  std::string line, number, local, remote, state;
  std::getline(in, line);  // the heading
  while (std::getline(in, line)) {
    std::istringstream words{line};
    if (!(words >> number >> local >> remote >> state) || state != kListening) continue;
    if (const auto found = parse(local)) all.push_back(*found);
  }
}

/// "0.2s", "3s", "4m", "2h": people do not need more.
std::string roughly(Duration duration) {
  const auto ms = duration.count();
  if (ms < 10'000) return fmt::format("{:.1f}s", static_cast<double>(ms) / 1000);
  if (ms < 120'000) return fmt::format("{}s", ms / 1000);
  if (ms < 7'200'000) return fmt::format("{}m", ms / 60'000);
  return fmt::format("{}h", ms / 3'600'000);
}

}  // namespace

std::vector<Listener> listeners(const std::string& tcp, const std::string& tcp6) {
  std::vector<Listener> all;
  collect(tcp, all);
  collect(tcp6, all);
  // Open to everywhere comes before loopback, and is the one of the two that is kept.
  std::ranges::sort(all);
  const auto same = std::ranges::unique(all, {}, &Listener::port);
  all.erase(same.begin(), same.end());
  return all;
}

std::vector<Listener> listeners(pid_t pid) {
  const std::string net = "/proc/" + std::to_string(pid) + "/net/";
  return listeners(read_text(net + "tcp").value_or(""), read_text(net + "tcp6").value_or(""));
}

std::string diagnose_port(std::uint16_t declared, const std::vector<Listener>& found) {
  const auto same = std::ranges::find(found, declared, &Listener::port);
  if (same != found.end())
    return same->loopback
               ? fmt::format("listens on 127.0.0.1:{} only; let it listen on 0.0.0.0:{}", declared, declared)
               : std::string{};
  if (found.empty()) return fmt::format("listens on no port; {} is declared", declared);
  std::string others;
  for (const auto& listener : found) others += (others.empty() ? "" : ", ") + std::to_string(listener.port);
  return fmt::format("listens on {}, not on the declared {}", others, declared);
}

std::string diagnose_end(const End& end) {
  if (!end.exit_code) return "its monitor (conmon) was lost, so it was ended";
  if (end.out_of_memory) return killed_for_memory(end.memory_limit);
  if (!end.stopped_because.empty()) return end.stopped_because;
  const std::string after = roughly(end.after);
  if (*end.exit_code > 128 && *end.exit_code <= 192) {
    const int number = *end.exit_code - 128;
    const char* word = ::sigabbrev_np(number);
    return fmt::format("ended by signal {}{} after {}", number, word ? fmt::format(" (SIG{})", word) : "",
                       after);
  }
  return fmt::format("exited with {} after {}", *end.exit_code, after);
}

}  // namespace tow::engine::local
