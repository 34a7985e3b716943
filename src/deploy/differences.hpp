// SPDX-License-Identifier: Apache-2.0
#pragma once
// What differs between two revisions, in words. Pure.

#include <string>
#include <vector>

#include "model/deployment.hpp"

namespace tow::deploy {

struct Described {
  const Revision::Spec* revision = nullptr;
  const Release::Spec* release = nullptr;  // null when it is gone
};

/// "image", "commit 1a2b3c4", "config GREETING set", "secret PASSWORD version 2", "score
/// containers.main.args", … Values are not in it.
std::vector<std::string> differences(const Described& before, const Described& after);

/// Paths at which two documents differ; a path ends where one side has nothing or is no map.
std::vector<std::string> changed_paths(const Node& before, const Node& after);

}  // namespace tow::deploy
