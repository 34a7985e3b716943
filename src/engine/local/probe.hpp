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

/// What a container is asked: its readiness probe, else, of the main one, the workload's first TCP port;
/// nothing when there is neither.
std::optional<Probe> readiness_of(const Workload& workload, const ContainerSpec& container);

}  // namespace tow::engine::local
