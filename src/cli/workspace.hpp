// SPDX-License-Identifier: Apache-2.0
#pragma once
// The repository that a command stands in: what it says about project, server and components.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "model/manifest.hpp"

namespace tow::cli {

struct Workspace {
  std::filesystem::path root;  // empty: no repository
  std::string url;             // of the server, from the remote "tow"
  std::string project;
  std::string repository;
  std::vector<std::string> components;
  std::string here;  // the component whose folder this is; empty: several, or none
};

/// Looks from `directory` upwards. What cannot be read is left out: commands that need it say so.
Workspace look(const std::filesystem::path& directory);

/// "http://host:8690/git/shop/web.git" in its parts; nothing for another kind of address.
struct Remote {
  std::string url;
  std::string project;
  std::string repository;
};
std::optional<Remote> parse_remote(std::string_view address);

/// The whole of a file. Error{NotFound}.
std::string read_file(const std::filesystem::path& path);

}  // namespace tow::cli
