// SPDX-License-Identifier: Apache-2.0
// The tow program: the client's commands, and those that need the server's side.
#include <CLI/CLI.hpp>

#include "apps/commands.hpp"
#include "cli/cli.hpp"

int main(int argc, char** argv) {
  return tow::cli::run(argc, argv,
                       {.version = TOWPATH_VERSION,
                        .detect = &tow::apps::detect,
                        .find_components = &tow::apps::find_components,
                        .add_commands = &tow::apps::add_commands});
}
