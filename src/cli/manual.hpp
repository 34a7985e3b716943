// SPDX-License-Identifier: Apache-2.0
#pragma once
// The commands as data, read from the parser's tree: of it come the reference and the shells' completions, so
// that nothing is written twice. Pure.

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace tow::cli {

struct OptionText {
  std::vector<std::string> names;  // "-p", "--project"; none for a positional
  std::string value;               // "PROJECT": what follows; empty for a flag
  std::string help;
  std::string standard;  // default
  std::string variable;  // of the environment, that it is read from
  bool required = false;
  bool several = false;
};
struct CommandText {
  std::string path;  // "tow project create"
  std::string help;
  std::vector<OptionText> positionals;
  std::vector<OptionText> options;
  std::vector<std::string> commands;  // names of those below it
};

/// The root first, then every command that is shown, in the order in which they were added.
std::vector<CommandText> commands_of(const CLI::App& app);

/// docs/cli.md
std::string reference(const std::vector<CommandText>& commands);
/// Scripts that the shell sources.
std::string bash_completion(const std::vector<CommandText>& commands);
std::string zsh_completion(const std::vector<CommandText>& commands);

}  // namespace tow::cli
