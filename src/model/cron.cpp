// SPDX-License-Identifier: Apache-2.0
#include "model/cron.hpp"

#include <cctz/civil_time.h>
#include <cctz/time_zone.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <charconv>
#include <vector>

#include "base/error.hpp"

namespace tow::cron {
namespace {

using Days = std::chrono::days;

struct Field {
  const char* name;
  int low;
  int high;
  std::vector<std::string_view> words;  // names of the values, from the first on
};

const std::array<Field, 5>& fields() {
  static const std::array<Field, 5> all{{
      {"minute", 0, 59, {}},
      {"hour", 0, 23, {}},
      {"day of month", 1, 31, {}},
      {"month", 1, 12, {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
      {"day of week", 0, 7, {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}},
  }};
  return all;
}

Error wrong(const Field& field, std::string_view text, const std::string& why) {
  return fail(Code::Invalid, "its {}, \"{}\", {}", field.name, text, why);
}

std::string lower(std::string_view text) {
  std::string made{text};
  for (auto& c : made)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return made;
}

std::optional<int> number_of(std::string_view text) {
  int value = 0;
  const auto end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (text.empty() || text[0] == '-' || error != std::errc{} || stop != end) return {};
  return value;
}

int value_of(const Field& field, std::string_view whole, std::string_view text) {
  const auto word = std::ranges::find(field.words, lower(text));
  if (word != field.words.end()) return field.low + static_cast<int>(word - field.words.begin());
  const auto number = number_of(text);
  if (number && *number >= field.low && *number <= field.high) return *number;
  throw wrong(
      field, whole,
      fmt::format("has \"{}\", which is no number from {} to {}{}", text, field.low, field.high,
                  field.words.empty() ? "" : fmt::format(" and none of {}", fmt::join(field.words, ", "))));
}

using Values = std::bitset<64>;

// One part of a list: "*", "5", "1-5", "*/10", "1-20/2", "5/15".
void add_part(const Field& field, std::string_view whole, std::string_view part, Values& values) {
  const auto slash = part.find('/');
  const auto range = part.substr(0, slash);
  int step = 1;
  if (slash != std::string_view::npos) {
    const auto given = number_of(part.substr(slash + 1));
    if (!given || *given < 1 || *given > field.high)
      throw wrong(field, whole,
                  fmt::format("has the step \"{}\", which is no number from 1 to {}", part.substr(slash + 1),
                              field.high));
    step = *given;
  }
  int from = field.low, to = field.high;
  if (range != "*") {
    const auto dash = range.find('-');
    from = value_of(field, whole, range.substr(0, dash));
    if (dash != std::string_view::npos)
      to = value_of(field, whole, range.substr(dash + 1));
    else if (slash == std::string_view::npos)
      to = from;
    // "fri-sun": Sunday is the end of the week here, as well.
    if (field.high == 7 && dash != std::string_view::npos && to == 0 && from > 0) to = 7;
    if (to < from)
      throw wrong(field, whole, fmt::format("has the range \"{}\", which ends before it begins", range));
  } else if (field.high == 7) {
    to = 6;  // Sunday once
  }
  for (int value = from; value <= to; value += step) values.set(static_cast<std::size_t>(value));
}

Values read_field(const Field& field, std::string_view text) {
  Values values;
  auto rest = text;
  while (true) {
    const auto comma = rest.find(',');
    const auto part = rest.substr(0, comma);
    if (part.empty()) throw wrong(field, text, "has an empty part");
    add_part(field, text, part, values);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  return values;
}

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  while (true) {
    const auto begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    const auto end = std::min(text.find_first_of(" \t"), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::string_view expand(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> known{{{"@hourly", "0 * * * *"},
                                                                                {"@daily", "0 0 * * *"},
                                                                                {"@midnight", "0 0 * * *"},
                                                                                {"@weekly", "0 0 * * 0"},
                                                                                {"@monthly", "0 0 1 * *"},
                                                                                {"@yearly", "0 0 1 1 *"},
                                                                                {"@annually", "0 0 1 1 *"}}};
  for (const auto& [name, fields] : known)
    if (text == name) return fields;
  std::vector<std::string_view> names;
  for (const auto& [name, fields] : known) names.push_back(name);
  throw fail(Code::Invalid, "\"{}\" is none of {}", text, fmt::join(names, ", "));
}

// A name of the database, and nothing that leads to another file.
bool is_zone_name(std::string_view zone) {
  if (zone.empty() || zone.size() > 64 || zone.front() == '/' || zone == "localtime" ||
      zone.find("..") != std::string_view::npos)
    return false;
  return std::ranges::all_of(zone, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '+' || c == '/';
  });
}

std::optional<cctz::time_zone> load(std::string_view zone) {
  cctz::time_zone loaded;
  if (zone.empty() || zone == "UTC") return cctz::utc_time_zone();
  if (!is_zone_name(zone) || !cctz::load_time_zone(std::string{zone}, &loaded)) return {};
  return loaded;
}

}  // namespace

struct Schedule::State {
  Values minutes, hours, days, months, weekdays;
  bool any_day = false;  // the field begins with *
  bool any_weekday = false;
  cctz::time_zone zone;

  // Every hour there is: it goes by elapsed time.
  bool continuous() const { return hours.count() == 24; }

  bool on(const cctz::civil_day& day) const {
    if (!months.test(static_cast<std::size_t>(day.month()))) return false;
    const auto weekday = (static_cast<std::size_t>(cctz::get_weekday(day)) + 1) % 7;  // cctz's Monday is 0
    const bool by_day = days.test(static_cast<std::size_t>(day.day()));
    const bool by_weekday = weekdays.test(weekday);
    return any_day || any_weekday ? by_day && by_weekday : by_day || by_weekday;
  }

  // The first day from `day` on that is on it; nothing when there is none.
  std::optional<cctz::civil_day> first_day(cctz::civil_day day) const {
    constexpr int kLimit = 146'097;  // after 400 years every date has come on every day of the week
    for (int i = 0; i < kLimit; ++i, ++day)
      if (on(day)) return day;
    return {};
  }

  cctz::time_point<cctz::seconds> moment(const cctz::civil_minute& local) const {
    const auto found = zone.lookup(cctz::civil_second{local});
    return found.kind == cctz::time_zone::civil_lookup::SKIPPED ? found.trans : found.pre;
  }

  cctz::time_point<cctz::seconds> next_of_fixed(cctz::time_point<cctz::seconds> after) const {
    const cctz::civil_minute start{cctz::convert(after, zone)};
    // A day early: a place may change sides of the date line, and what it skips is due at the end.
    for (auto day = first_day(cctz::civil_day{start} - 1);; day = first_day(*day + 1))
      for (int hour = 0; hour < 24; ++hour) {
        if (!hours.test(static_cast<std::size_t>(hour))) continue;
        for (int minute = 0; minute < 60; ++minute) {
          if (!minutes.test(static_cast<std::size_t>(minute))) continue;
          const auto due = moment(cctz::civil_minute{day->year(), day->month(), day->day(), hour, minute});
          if (due > after) return due;
        }
      }
  }

  cctz::time_point<cctz::seconds> next_of_continuous(cctz::time_point<cctz::seconds> after) const {
    using std::chrono::minutes;
    auto due = std::chrono::floor<minutes>(after) + minutes{1};
    while (true) {
      const cctz::civil_minute local{cctz::convert(cctz::time_point<cctz::seconds>{due}, zone)};
      const cctz::civil_day day{local};
      if (const auto first = first_day(day); *first != day) {
        const auto there = std::chrono::floor<minutes>(moment(cctz::civil_minute{*first}));
        due = std::max(due + minutes{1}, there);
        continue;
      }
      if (this->minutes.test(static_cast<std::size_t>(local.minute()))) return due;
      due += minutes{1};
    }
  }
};

Schedule::Schedule(std::unique_ptr<const State> state) : state_{std::move(state)} {}
Schedule::Schedule(Schedule&&) noexcept = default;
Schedule& Schedule::operator=(Schedule&&) noexcept = default;
Schedule::~Schedule() = default;

Schedule Schedule::parse(std::string_view text, std::string_view zone) {
  auto words = words_of(text);
  if (words.size() == 1 && words[0].starts_with('@')) words = words_of(expand(words[0]));
  if (!words.empty() && (words[0].starts_with("TZ=") || words[0].starts_with("CRON_TZ=")))
    throw fail(Code::Invalid, "\"{}\" names a time zone; write it into timeZone", text);
  if (words.size() != 5)
    throw fail(Code::Invalid,
               "\"{}\" has {} field{}, not the five of cron: minute, hour, day of month, month, day of week",
               text, words.size(), words.size() == 1 ? "" : "s");
  auto state = std::make_unique<State>();
  const std::array<Values*, 5> values{&state->minutes, &state->hours, &state->days, &state->months,
                                      &state->weekdays};
  for (std::size_t i = 0; i < 5; ++i) *values[i] = read_field(fields()[i], words[i]);
  if (state->weekdays.test(7)) state->weekdays.set(0);
  state->any_day = words[2].starts_with('*');
  state->any_weekday = words[4].starts_with('*');
  if (auto fault = zone_fault(zone); !fault.empty()) throw Error{Code::Invalid, std::move(fault)};
  state->zone = *load(zone);
  if (!state->first_day(cctz::civil_day{2000, 1, 1}))
    throw fail(Code::Invalid, "\"{}\" is never due: there is no such date", text);
  return Schedule{std::move(state)};
}

TimePoint Schedule::next(TimePoint after) const {
  const auto seconds = std::chrono::floor<cctz::seconds>(after);
  return state_->continuous() ? state_->next_of_continuous(seconds) : state_->next_of_fixed(seconds);
}

std::string zone_fault(std::string_view zone) {
  if (load(zone)) return {};
  if (!load("Europe/London")) return "this machine has no time zones: install Debian's tzdata";
  return fmt::format("\"{}\" is no time zone; write a name of the IANA database, like Europe/Berlin", zone);
}

}  // namespace tow::cron
