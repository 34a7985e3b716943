// SPDX-License-Identifier: Apache-2.0
#pragma once
// A command beside a container's own process, with a terminal or with pipes. The OCI runtime joins the
// container's namespaces, limits and seccomp profile, and carries the bytes; what goes away ends the command.

#include <memory>
#include <string>
#include <vector>

#include "engine/local/making.hpp"

namespace tow::engine::local {

/// Blocking, some tens of milliseconds; the result's streams then run on `executor`.
std::unique_ptr<Terminal> open_terminal(Workshop& workshop, const Executor& executor, const std::string& key,
                                        const Runtime& runtime, const std::vector<std::string>& command,
                                        bool terminal);

}  // namespace tow::engine::local
