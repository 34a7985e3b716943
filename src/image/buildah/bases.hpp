// SPDX-License-Identifier: Apache-2.0
#pragma once
// The base images: what they are made of. Pure.
//
// `base` is Debian's packages by mmdebstrap; every other one is layers on it, so that all of them share it on
// disk and in memory. A recipe's digest is a label of the image: an image of an older recipe is made anew.

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace tow::image::buildah {

struct Recipe {
  std::string_view name;
  std::string_view containerfile;
  /// Taken when the first one fails because no npm registry can be reached; empty for none.
  std::string_view without_registry;
  /// Files that it copies, by name.
  std::map<std::string, std::string> files;
};

inline constexpr std::string_view kRecipeLabel = "dev.towpath.recipe";

/// The recipe of base, node, python, build or static; null for another name.
const Recipe* find_recipe(std::string_view name);
std::span<const Recipe> recipes();
/// Changes when the recipe, or that of what it stands on, does.
std::string digest(const Recipe& recipe);

/// "localhost/towpath/node:12"
std::string base_reference(std::string_view name);
/// "node", when a reference names one of Towpath's own images. Throws Error{Invalid} for one that does not
/// exist
/// ("towpath/ruby", "towpath/node:13").
std::optional<std::string> base_name(std::string_view reference);

}  // namespace tow::image::buildah
