// SPDX-License-Identifier: Apache-2.0
#pragma once
// The Containerfiles of the Node pack. Pure.

#include <optional>
#include <string>

#include "image/packs/listening.hpp"
#include "image/packs/node_frameworks.hpp"
#include "image/packs/node_installer.hpp"
#include "image/packs/node_version.hpp"
#include "image/packs/text.hpp"

namespace tow::image::packs {

struct Start {
  std::string line;    // as a package.json or a Procfile has it
  std::string reason;  // "its start script"
  bool listens = true;
};

/// All that is known of a project. The projects and the workspace outlive it.
struct NodePlan {
  const Project& project;
  const Project& top;          // where the lock file is: the project itself, or its workspace's top
  const Workspace* workspace;  // or none
  NodeChoice choice = {};
  Installer installer = {};
  bool has_lock = false;
  std::optional<MadeServer> server = {};
  std::optional<MadeSite> site = {};
  Listening listening = {.port = kPort, .remark = {}};
  bool keeps_tools = false;                // it is started by one of its devDependencies
  std::vector<std::string> packages = {};  // of Debian, which its Aptfile asks for
};

std::string program(const NodePlan& plan, const Start& start);
std::string built_site(const NodePlan& plan);

}  // namespace tow::image::packs
