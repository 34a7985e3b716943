// SPDX-License-Identifier: Apache-2.0
#include "image/packs/semver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>

#include "image/packs/text.hpp"

namespace tow::image::packs {
namespace {

constexpr Version kBeyondAll{std::numeric_limits<int>::max(), 0, 0};

/// The first version that is larger than all that agree with the given parts.
Version after(const Partial& partial) {
  const auto& v = partial.version;
  switch (partial.parts) {
    case 0:
      return kBeyondAll;
    case 1:
      return {v.major + 1, 0, 0};
    case 2:
      return {v.major, v.minor + 1, 0};
    default:
      return {v.major, v.minor, v.patch + 1};
  }
}

/// "^1.2.3": up to the next change of the leftmost part that is not zero.
Version after_caret(const Partial& partial) {
  const auto& v = partial.version;
  if (partial.parts == 0) return kBeyondAll;
  if (v.major > 0 || partial.parts == 1) return {v.major + 1, 0, 0};
  if (v.minor > 0 || partial.parts == 2) return {0, v.minor + 1, 0};
  return {0, 0, v.patch + 1};
}

/// "~1.2.3": up to the next minor version.
Version after_tilde(const Partial& partial) {
  if (partial.parts <= 1) return after(partial);
  return {partial.version.major, partial.version.minor + 1, 0};
}

/// Words, with an operator that stands alone (">= 18") joined to what follows it.
std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> result;
  bool joins = false;
  while (!(text = trim(text)).empty()) {
    const auto end = std::min(text.find_first_of(" \t,"), text.size());
    const std::string word{text.substr(0, end)};
    if (joins)
      result.back() += word;
    else if (!word.empty())
      result.push_back(word);
    joins = !result.empty() && result.back().find_first_not_of("<>=~^") == std::string::npos;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

}  // namespace

std::string to_string(const Version& version) {
  return fmt::format("{}.{}.{}", version.major, version.minor, version.patch);
}

std::optional<Partial> parse_partial(std::string_view text) {
  if (text.starts_with('v') || text.starts_with('=')) text.remove_prefix(1);
  if (text.starts_with('v')) text.remove_prefix(1);
  // A pre-release or build suffix: "20.0.0-rc.1+1".
  const auto suffix = std::min(text.find_first_of("-+"), text.size());
  for (const char c : text.substr(suffix))
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '-' && c != '+') return {};
  text = text.substr(0, suffix);
  Partial result;
  int* const parts[] = {&result.version.major, &result.version.minor, &result.version.patch};
  if (text.empty()) return {};
  while (true) {
    const auto end = std::min(text.find('.'), text.size());
    const auto part = text.substr(0, end);
    if (part == "x" || part == "X" || part == "*") return result;
    if (result.parts == 3) return {};
    int& value = *parts[result.parts++];
    const auto [stop, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc{} || stop != part.data() + part.size() || value < 0 || value > 1'000'000)
      return {};
    if (end == text.size()) return result;
    text.remove_prefix(end + 1);
  }
}

std::optional<Range> Range::parse(std::string_view text) {
  Range range;
  while (true) {
    const auto bar = text.find("||");
    const auto list = words(text.substr(0, bar));
    Interval interval{{}, kBeyondAll};
    for (std::size_t i = 0; i < list.size(); ++i) {
      std::string_view word = list[i];
      const auto operator_end = std::min(word.find_first_not_of("<>=~^"), word.size());
      const auto sign = word.substr(0, operator_end);
      const auto partial = parse_partial(word.substr(operator_end));
      if (!partial) return {};
      Interval one{{}, kBeyondAll};
      if (sign.empty() && i + 2 < list.size() && list[i + 1] == "-") {
        const auto last = parse_partial(list[i + 2]);
        if (!last) return {};
        one = {partial->version, after(*last)};
        i += 2;
      } else if (sign.empty() || sign == "=") {
        one = {partial->version, after(*partial)};
      } else if (sign == "^") {
        one = {partial->version, after_caret(*partial)};
      } else if (sign == "~" || sign == "~>") {
        one = {partial->version, after_tilde(*partial)};
      } else if (sign == ">=") {
        one.from = partial->version;
      } else if (sign == ">") {
        one.from = after(*partial);
      } else if (sign == "<=") {
        one.until = after(*partial);
      } else if (sign == "<") {
        one.until = partial->version;
      } else {
        return {};
      }
      interval = {std::max(interval.from, one.from), std::min(interval.until, one.until)};
    }
    range.intervals_.push_back(interval);
    if (bar == std::string_view::npos) return range;
    text.remove_prefix(bar + 2);
  }
}

bool Range::accepts(const Version& version) const {
  return std::ranges::any_of(intervals_,
                             [&](const Interval& one) { return one.from <= version && version < one.until; });
}

std::optional<Version> Range::lowest() const {
  std::optional<Version> result;
  for (const auto& [from, until] : intervals_)
    if (from < until && (!result || from < *result)) result = from;
  return result;
}

std::optional<Version> Range::exact() const {
  if (intervals_.size() != 1) return {};
  const auto& [from, until] = intervals_.front();
  if (Version{from.major, from.minor, from.patch + 1} != until) return {};
  return from;
}

}  // namespace tow::image::packs
