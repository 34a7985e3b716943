// SPDX-License-Identifier: Apache-2.0
#pragma once
// Asks an instance whether it is well, from the host, by way of its environment's bridge.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.hpp"

namespace tow::engine::local {

/// Runs a command inside the instance; its exit code, or nothing when `limit` passed.
using ExecProbe = std::function<Task<std::optional<int>>(std::vector<std::string> command, Duration limit)>;

/// Nothing when it passes, else why not, for people: "answers 503 at http :8080/health". At most as long as
/// the probe's time-out. HTTP passes with 200–399; certificates are not looked at.
Task<std::optional<std::string>> ask(const Probe& probe, const std::string& address, BlockingPool& pool,
                                     const ExecProbe& exec);

/// What is asked when the workload names no readiness probe: its first TCP port; nothing when it has none.
std::optional<Probe> default_readiness(const Workload& workload);

}  // namespace tow::engine::local
