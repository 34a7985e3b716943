// SPDX-License-Identifier: Apache-2.0
#include "base/units.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <utility>

namespace tow {
namespace {

struct Suffix {
  std::string_view text;
  double factor;
};

// Reads the decimal at the front of `text` and removes it.
std::optional<double> take_number(std::string_view& text) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc{} || end == text.data() || text.front() == '-') return {};
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

// Exactly `count` digits at the front of `text`, and then `end` if that is not zero; both are removed.
std::optional<int> take_digits(std::string_view& text, std::size_t count, char end = 0) {
  if (text.size() < count + (end ? 1 : 0)) return {};
  const auto digits = text.substr(0, count);
  if (digits.find_first_not_of("0123456789") != digits.npos) return {};
  text.remove_prefix(count);
  if (end) {
    // RFC 3339 allows a small t.
    if (text.front() != end && !(end == 'T' && text.front() == 't')) return {};
    text.remove_prefix(1);
  }
  int value = 0;
  for (const char digit : digits) value = value * 10 + (digit - '0');
  return value;
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  constexpr Suffix units[] = {{"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
  if (text.empty()) return {};
  if (text == "0") return Duration{0};
  double total = 0;
  while (!text.empty()) {
    const auto number = take_number(text);
    if (!number) return {};
    const auto end = text.find_first_of("0123456789.");
    const auto unit = text.substr(0, end);
    const Suffix* found = nullptr;
    for (const auto& candidate : units)
      if (candidate.text == unit) found = &candidate;
    if (!found) return {};
    total += *number * found->factor;
    text.remove_prefix(unit.size());
  }
  if (!(total < 9e15)) return {};
  return Duration{static_cast<std::int64_t>(std::llround(total))};
}

std::string to_string(Duration duration) {
  auto rest = duration.count();
  if (rest == 0) return "0s";
  std::string text;
  for (const auto& [unit, size] : {std::pair{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}}) {
    if (rest / size == 0) continue;
    text += fmt::format("{}{}", rest / size, unit);
    rest %= size;
  }
  return text;
}

std::optional<Bytes> parse_bytes(std::string_view text) {
  constexpr Suffix units[] = {{"", 1},        {"K", 1e3},     {"k", 1e3},     {"M", 1e6},     {"G", 1e9},
                              {"T", 1e12},    {"P", 1e15},    {"E", 1e18},    {"Ki", 0x1p10}, {"Mi", 0x1p20},
                              {"Gi", 0x1p30}, {"Ti", 0x1p40}, {"Pi", 0x1p50}, {"Ei", 0x1p60}};
  const auto number = take_number(text);
  if (!number) return {};
  for (const auto& unit : units)
    if (unit.text == text && *number * unit.factor < 0x1p63)
      return Bytes{static_cast<std::uint64_t>(*number * unit.factor)};
  return {};
}

std::string to_string(Bytes bytes) {
  constexpr std::array<std::string_view, 7> units = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
  std::size_t unit = 0;
  auto count = bytes.count;
  while (count >= 1024 && count % 1024 == 0 && unit + 1 < units.size()) count /= 1024, ++unit;
  return fmt::format("{}{}", count, units[unit]);
}

std::optional<TimePoint> parse_time(std::string_view text) {
  using namespace std::chrono;
  const auto year = take_digits(text, 4, '-'), month = take_digits(text, 2, '-'),
             day = take_digits(text, 2, 'T');
  const auto hour = take_digits(text, 2, ':'), minute = take_digits(text, 2, ':'),
             second = take_digits(text, 2);
  if (!year || !month || !day || !hour || !minute || !second) return {};
  const year_month_day date{std::chrono::year{*year}, std::chrono::month(static_cast<unsigned>(*month)),
                            std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 60) return {};  // 60: a leap second

  Duration fraction{0};
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    const auto digits = text.substr(0, text.find_first_not_of("0123456789"));
    if (digits.empty()) return {};
    int scale = 100;
    for (const char digit : digits.substr(0, 3))
      fraction += Duration{(digit - '0') * std::exchange(scale, scale / 10)};
    text.remove_prefix(digits.size());
  }

  minutes offset{0};
  if (text != "Z" && text != "z") {
    if (text.empty() || (text.front() != '+' && text.front() != '-')) return {};
    const bool behind = text.front() == '-';
    text.remove_prefix(1);
    const auto hours_off = take_digits(text, 2, ':'), minutes_off = take_digits(text, 2);
    if (!hours_off || !minutes_off || !text.empty() || *hours_off > 23 || *minutes_off > 59) return {};
    offset = hours{*hours_off} + minutes{*minutes_off};
    if (behind) offset = -offset;
  }
  return sys_days{date} + hours{*hour} + minutes{*minute} + seconds{*second} + fraction - offset;
}

std::string to_string(TimePoint time) {
  const auto millis = time.time_since_epoch().count();
  auto seconds = static_cast<std::time_t>(millis / 1000);
  auto rest = millis % 1000;
  if (rest < 0) rest += 1000, --seconds;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, rest);
}

}  // namespace tow
