// SPDX-License-Identifier: Apache-2.0
#pragma once
// One command of an OCI runtime, run to its end where the runtime sees the host as it needs to. Blocking.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/local/making.hpp"
#include "engine/local/runtime.hpp"

namespace tow::engine::local {

struct Spoken {
  std::optional<int> exit_code;  // nothing: it was ended when its limit passed
  std::string text;
};
/// What it printed, both streams together, at most 64 KiB of it. When the limit passes, the runtime is
/// killed; with `at_limit` that is called first, and the runtime has a second to end by itself.
Spoken run_runtime(const Runtime& runtime, const std::vector<std::string>& command, Duration limit,
                   const std::function<void()>& at_limit = {});

/// "crun: executable file `/nothing` not found" of what a runtime prints, without its adornments.
std::string plainly(std::string text);

/// Runs a command inside, for a probe; nothing when the limit passed.
std::optional<int> run_probe(const Workshop& workshop, const RunRecord& run,
                             const std::string& default_runtime, const std::vector<std::string>& command,
                             Duration limit);

}  // namespace tow::engine::local
