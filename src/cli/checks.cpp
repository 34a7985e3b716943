// SPDX-License-Identifier: Apache-2.0
#include "cli/checks.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/ids.hpp"

namespace tow::cli {

CLI::Validator whole_number(std::int64_t low, std::int64_t high) {
  return {[low, high](std::string& text) -> std::string {
            std::int64_t value = 0;
            const auto* end = text.data() + text.size();
            const auto read = std::from_chars(text.data(), end, value);
            if (read.ec == std::errc{} && read.ptr == end && value >= low && value <= high) return {};
            return fmt::format("\"{}\" is no whole number from {} to {}", text, low, high);
          },
          ""};
}

CLI::Validator one_of(std::initializer_list<std::string> words) {
  return {[known = std::vector<std::string>(words)](std::string& text) -> std::string {
            if (std::ranges::find(known, text) != known.end()) return {};
            const auto near = nearest(text, known);
            return fmt::format("\"{}\" is none of {}{}", text, fmt::join(known, ", "),
                               near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near));
          },
          ""};
}

}  // namespace tow::cli
