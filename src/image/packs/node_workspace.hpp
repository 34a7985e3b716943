// SPDX-License-Identifier: Apache-2.0
#pragma once
// Workspaces of npm, pnpm and Yarn: packages of one repository that share a lock file and need one another.
// Pure over the files of the tree.

#include <optional>
#include <string>
#include <vector>

#include "base/node.hpp"
#include "image/packs/tree.hpp"

namespace tow::image::packs {

struct Member {
  std::string path;  // below the top; "" is the top itself
  std::string name;  // in its package.json; may be empty
  Node package;
};

struct Workspace {
  std::string top;              // where the lock file is, relative to the context
  std::vector<Member> members;  // by path, without the top
  Member self;                  // the component: one of them, or the top
};

/// The workspace that a component belongs to, as a member or as its top. Members whose package.json cannot be
/// read are left out.
std::optional<Workspace> find_workspace(const Tree& tree);

/// The members that a member depends on, directly or by others, each after those that it depends on itself.
std::vector<const Member*> dependencies_of(const Workspace& workspace, const Member& member);

/// The members that no other depends on: what might be programs.
std::vector<const Member*> leaves_of(const Workspace& workspace);

}  // namespace tow::image::packs
