// SPDX-License-Identifier: Apache-2.0
#pragma once
// The tow command. It reaches the platform through the client alone; what needs more of the program (running
// the server, looking at source) comes in as functions.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace tow::cli {

class Output;

/// What a folder of source is, without building it.
struct Detected {
  std::string pack;           // empty: nothing was recognised
  std::string containerfile;  // text
  std::optional<std::uint16_t> port;
  std::string explanation;
  std::vector<std::string> watch;  // paths of the repository that it is made of; empty: its folder
};

struct Extras {
  std::string version;
  /// A component of a repository, by its folder; "" is the repository itself.
  std::function<Detected(const std::filesystem::path& root, const std::string& folder)> detect;
  /// The folders of a repository that are components.
  std::function<std::vector<std::string>(const std::filesystem::path& root)> find_components;
  /// Adds the commands of the server's side: server, admin, doctor, hook. The exit code of one that ran goes
  /// into `code`; what `output` holds is known when one runs.
  std::function<void(CLI::App& app, int& code, const Output& output)> add_commands;
};

/// Runs one command. Returns the exit code (exit.hpp).
int run(int argc, char** argv, const Extras& extras);

}  // namespace tow::cli
