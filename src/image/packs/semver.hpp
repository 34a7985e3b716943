// SPDX-License-Identifier: Apache-2.0
#pragma once
// Versions and version ranges as npm writes them
// (https://docs.npmjs.com/cli/v10/configuring-npm/package-json#engines and the grammar of npm's semver), as
// far as whole releases go: pre-releases are not told apart.

#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tow::image::packs {

struct Version {
  int major = 0;
  int minor = 0;
  int patch = 0;
  auto operator<=>(const Version&) const = default;
};

std::string to_string(const Version& version);

/// "18", "v18.2", "18.x", "18.2.0"; the parts that are missing or "x" are zero in `version`.
struct Partial {
  Version version;
  int parts = 0;  // how many were given: 0 for "*"
};
std::optional<Partial> parse_partial(std::string_view text);

/// A set of versions: alternatives of intervals.
class Range {
 public:
  /// Nothing for text that is no range.
  static std::optional<Range> parse(std::string_view text);
  bool accepts(const Version& version) const;
  /// The first version that it accepts; nothing when it accepts none.
  std::optional<Version> lowest() const;
  /// The version, when one is all it accepts.
  std::optional<Version> exact() const;

 private:
  struct Interval {
    Version from;   // inclusive
    Version until;  // exclusive
  };
  std::vector<Interval> intervals_;
};

}  // namespace tow::image::packs
