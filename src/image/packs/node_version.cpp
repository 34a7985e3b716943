// SPDX-License-Identifier: Apache-2.0
#include "image/packs/node_version.hpp"

#include <algorithm>
#include <optional>

#include "base/error.hpp"
#include "image/packs/semver.hpp"

namespace tow::image::packs {
namespace {

/// What nodejs of Debian 12 is. Its security updates keep the major and minor version.
constexpr Version kDebian{18, 20, 4};

/// The majors of npm's "node" package that the npm of towpath/node runs on, in the order in which an open
/// range
/// (">=20") gets them: long-term support first, the newest of them before the others.
constexpr int kMajors[] = {24, 22, 20, 26, 25, 23, 21, 18};
constexpr int kNewest = 26;
constexpr std::string_view kThereAre = "18 (Debian's), 20, 21, 22, 23, 24, 25 and 26 (from npm)";

struct Codename {
  std::string_view name;
  std::string_view range;
};
constexpr Codename kCodenames[] = {
    {"lts/*", "24"},       {"lts", "24"},  {"lts/hydrogen", "18"}, {"lts/iron", "20"}, {"lts/jod", "22"},
    {"lts/krypton", "24"}, {"node", "26"}, {"latest", "26"},       {"current", "26"},  {"stable", "26"},
};
static_assert(kNewest == 26);

NodeChoice from_npm(std::string version) {
  return {.npm_version = version, .words = "Node " + version + " from npm"};
}

}  // namespace

NodeChoice choose_node(std::string_view asked, std::string_view where, Taste taste) {
  NodeChoice debian{.npm_version = {}, .words = "Node 18 from Debian"};
  std::string text{asked.empty() ? "*" : asked};
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const auto& [name, range] : kCodenames)
    if (text == name) text = range;
  const auto range = Range::parse(text);
  if (!range)
    throw fail(Code::Invalid, "{} asks for Node \"{}\", which is not a version; there are {}", where, asked,
               kThereAre);
  const bool debians = !range->exact() && range->accepts(kDebian);
  if (debians && taste == Taste::Debian) return debian;
  for (const int major : kMajors)
    if (range->accepts({major, 999'999, 999'999}))
      return debians && major == kDebian.major ? debian : from_npm(std::to_string(major));
  if (debians) return debian;
  // Accepts only some releases of a major: npm finds the newest of those.
  const auto lowest = range->lowest();
  if (lowest && std::ranges::find(kMajors, lowest->major) != std::end(kMajors)) {
    const auto exact = range->exact();
    return from_npm(exact ? to_string(*exact) : text);
  }
  throw fail(Code::Invalid, "{} asks for Node {}, which cannot be had here; there are {}", where, asked,
             kThereAre);
}

}  // namespace tow::image::packs
