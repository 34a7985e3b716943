// SPDX-License-Identifier: Apache-2.0
#include "model/located.hpp"

#include "base/ids.hpp"

namespace tow {

std::string list_of(const std::vector<std::string>& words) {
  constexpr std::size_t kMost = 12;
  if (words.size() < 2) return words.empty() ? std::string{} : words[0];
  if (words.size() > kMost)
    return fmt::format("{} and {} others", fmt::join(words.begin(), words.begin() + kMost - 2, ", "),
                       words.size() - (kMost - 2));
  return fmt::format("{} and {}", fmt::join(words.begin(), words.end() - 1, ", "), words.back());
}

std::string suggestion(std::string_view word, const std::vector<std::string>& candidates) {
  if (word.size() > 100) return {};
  const auto near = nearest(word, candidates);
  return near.empty() ? std::string{} : fmt::format("; did you mean \"{}\"?", near);
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

}  // namespace tow
