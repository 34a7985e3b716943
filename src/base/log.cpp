// SPDX-License-Identifier: Apache-2.0
#include "base/log.hpp"

#include <unistd.h>

#include <atomic>
#include <chrono>

#include "base/units.hpp"

namespace tow::log {
namespace {

std::atomic<Level> least{Level::Info};

std::string_view name(Level level) {
  switch (level) {
    case Level::Debug:
      return "debug";
    case Level::Info:
      return "info";
    case Level::Warning:
      return "warning";
    case Level::Error:
      return "error";
  }
  return "error";
}

}  // namespace

void set_level(Level level) { least = level; }
bool enabled(Level level) { return level >= least.load(std::memory_order_relaxed); }

std::string line(TimePoint time, Level level, std::string_view area, std::string_view message) {
  std::string text = fmt::format("{} {} {} ", to_string(time), name(level), area);
  // Foreign text must neither forge lines nor move a terminal's cursor.
  for (const char c : message) {
    if (c == '\n')
      text += "\\n";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      text += c;
  }
  return text + '\n';
}

void write(Level level, std::string_view area, std::string_view message) {
  if (!enabled(level)) return;
  const auto now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  const auto text = line(now, level, area, message);
  // One call a line keeps lines of several threads whole. Nothing is left to do when it fails.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace tow::log
