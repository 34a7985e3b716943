// SPDX-License-Identifier: Apache-2.0
#pragma once
// The program's own log: one line an event, to standard error, "time level area message". Thread-safe.
// Never give it a secret: values that come from secrets have no formatter.

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/units.hpp"

namespace tow::log {

enum class Level { Debug, Info, Warning, Error };

void set_level(Level level);
bool enabled(Level level);
void write(Level level, std::string_view area, std::string_view message);
/// The line that write() writes, with its end; line breaks and control characters in the message are escaped.
std::string line(TimePoint time, Level level, std::string_view area, std::string_view message);

template <class... Args>
void debug(std::string_view area, fmt::format_string<Args...> text, Args&&... args) {
  if (enabled(Level::Debug)) write(Level::Debug, area, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void info(std::string_view area, fmt::format_string<Args...> text, Args&&... args) {
  write(Level::Info, area, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void warning(std::string_view area, fmt::format_string<Args...> text, Args&&... args) {
  write(Level::Warning, area, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void error(std::string_view area, fmt::format_string<Args...> text, Args&&... args) {
  write(Level::Error, area, fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace tow::log
