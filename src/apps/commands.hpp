// SPDX-License-Identifier: Apache-2.0
#pragma once
// The commands of the server's machine: server, admin, hook; and what the client's commands need of the
// program.

#include "apps/settings.hpp"
#include "cli/cli.hpp"

namespace tow::apps {

void add_commands(CLI::App& app, int& code, const cli::Output& output);
cli::Detected detect(const std::filesystem::path& root, const std::string& folder);
std::vector<std::string> find_components(const std::filesystem::path& root);

}  // namespace tow::apps
