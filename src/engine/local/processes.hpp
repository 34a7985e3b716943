// SPDX-License-Identifier: Apache-2.0
#pragma once
// Finds again what an engine of before has started: by command line, which nobody has to write down in time.

#include <sys/types.h>

#include <string>
#include <vector>

namespace tow::engine::local {

struct Found {
  pid_t pid = -1;
  std::vector<std::string> argv;
  /// The argument behind `flag`, or after "flag="; empty when it has none.
  std::string option(const std::string& flag) const;
};

/// Processes of that program (by argv[0]'s last part) one of whose arguments contains `mark`. Zombies are
/// none.
std::vector<Found> find_processes(const std::string& program, const std::string& mark);

}  // namespace tow::engine::local
