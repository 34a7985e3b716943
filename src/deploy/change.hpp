// SPDX-License-Identifier: Apache-2.0
#pragma once
// How operations change a deployment's spec: read, change, write if nobody else did meanwhile, else again.

#include <functional>
#include <optional>
#include <string>

#include "deploy/core.hpp"

namespace tow::deploy {

/// `change` may throw, and may be called more than once. Returns the generation that says what it asked for.
Task<std::int64_t> change_deployment(
    Core& core, Key id, std::string by,
    std::function<void(const Entity<Deployment>& now, Deployment::Spec& spec)> change);

/// What whoever wants to deploy is told while there is a lock.
Error refusal(const Entity<Deployment>& deployment);

/// Whether one instance is the most that may run: its newest revision writes to a volume.
bool is_exclusive(const store::Snapshot& snapshot, const Entity<Deployment>& deployment);

inline constexpr int kAttempts = 10;

}  // namespace tow::deploy
