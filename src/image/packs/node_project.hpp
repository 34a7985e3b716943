// SPDX-License-Identifier: Apache-2.0
#pragma once
// A package.json and the files beside it.

#include <string>
#include <string_view>

#include "base/node.hpp"
#include "image/packs/tree.hpp"

namespace tow::image::packs {

/// A view: the tree outlives it.
struct Project {
  const Tree& tree;
  Node package;

  std::string text(std::string_view key) const {
    const Node* found = package.find(key);
    return found && found->string() ? *found->string() : std::string{};
  }
  std::string text(std::string_view map, std::string_view key) const {
    const Node* outer = package.find(map);
    const Node* found = outer ? outer->find(key) : nullptr;
    return found && found->string() ? *found->string() : std::string{};
  }
  std::string script(std::string_view name) const { return text("scripts", name); }
  bool depends_on(std::string_view name) const {
    return !text("dependencies", name).empty() || !text("devDependencies", name).empty();
  }
  /// Whether a map of the package has anything in it.
  bool has_any(std::string_view key) const {
    const Node* found = package.find(key);
    return found && found->map() && !found->map()->empty();
  }
};

/// Throws Error{Invalid} for what is no JSON object.
Project read_project(const Tree& tree, const std::string& json);

}  // namespace tow::image::packs
