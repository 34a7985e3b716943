// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the containers of one instance share: a user namespace with a network (its address, its loopback) and
// shared memory inside it. It outlives each of them, and the engine: its namespaces are pinned by mounts, so
// no process has to hold them. An instance of one container has none; its namespaces live and die with it.
// Blocking.

#include <optional>
#include <string>
#include <vector>

#include "engine/local/namespaces.hpp"
#include "engine/local/networks.hpp"
#include "engine/local/place.hpp"
#include "engine/local/records.hpp"

namespace tow::engine::local {

struct Sandbox {
  SandboxRecord record;
  Namespaces namespaces;
};

/// Makes it, or takes nothing: when a step fails, those before it are undone.
Sandbox make_sandbox(const Place& place, Networks& networks, const InstanceId& id, const Workload& workload,
                     const std::string& address);
/// One from before, wholly made; nothing otherwise.
std::optional<Sandbox> adopt_sandbox(const Place& place, const InstanceId& id);
/// Keeps what changed of it.
void remember(const Place& place, const SandboxRecord& record);
/// Whatever there is of it; safe to repeat. Its containers must be gone.
void remove_sandbox(const Place& place, Networks& networks, const InstanceId& id);
/// Instances of which there is a sandbox, wholly made or not.
std::vector<InstanceId> find_sandboxes(const Place& place);

/// The directory that is /dev/shm in each of its containers, as a mount to attach.
Descriptor open_shared_memory(const Place& place, const Sandbox& sandbox);

}  // namespace tow::engine::local
