// SPDX-License-Identifier: Apache-2.0
#pragma once
// npm, pnpm and Yarn: which one a project is installed by, and how. Pure.

#include <string>
#include <vector>

#include "image/packs/node_project.hpp"
#include "image/packs/node_workspace.hpp"

namespace tow::image::packs {

/// How dependencies are fetched: the files that decide about them, and the commands.
struct Installer {
  std::string program = "npm";
  std::string words;                 // "npm", "pnpm 10", for people
  std::string set_up;                // a command that brings the program, or empty
  std::string environment;           // before every command of it: "NAME=value "
  std::vector<std::string> files;    // copied first, relative to where the lock file is
  std::vector<std::string> folders;  // the same, folders
  std::string all;                   // installs everything
  std::string production;            // installs what running takes
  std::string prune;                 // takes away what only building takes, or empty where that cannot be had
  std::string cache;                 // directory worth keeping between builds
  bool runs_scripts = false;         // installing runs or reads files of the project
  bool needs_git = false;
  bool compiles = false;             // a dependency has native code
  std::vector<std::string> dropped;  // scripts which are for people's own copies
  bool prepares = false;             // "prepare" runs before the build, not at installing
};

/// `project` is the component, `top` where the lock file is (the same without a workspace). Throws
/// Error{Unsupported} for package managers that there are not, and for dependencies that lie elsewhere.
Installer choose_installer(const Project& project, const Project& top, const Workspace* workspace);

}  // namespace tow::image::packs
