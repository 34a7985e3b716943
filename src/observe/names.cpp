// SPDX-License-Identifier: Apache-2.0
#include "observe/names.hpp"

#include <charconv>

namespace tow::observe {
namespace {

constexpr std::size_t kUidLength = 26;
constexpr std::size_t kShortLength = 5;  // 33 million; the last characters of a uid are random

}  // namespace

std::optional<RevisionName> parse_revision_name(std::string_view name) {
  const auto first = name.find('.');
  const auto second = name.find('.', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return std::nullopt;
  const auto digits = name.substr(second + 1);
  RevisionName parsed{.component = std::string{name.substr(0, first)},
                      .environment = std::string{name.substr(first + 1, second - first - 1)}};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed.number);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return parsed;
}

std::string_view group_of(std::string_view instance) { return instance.substr(0, instance.rfind('-')); }

std::string short_name(std::string_view instance) {
  const auto group = group_of(instance);
  return std::string{instance.substr(group.size() > kShortLength ? group.size() - kShortLength : 0)};
}

std::string_view deployment_of(std::string_view site) { return site.substr(0, kUidLength); }

}  // namespace tow::observe
