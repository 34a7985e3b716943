// SPDX-License-Identifier: Apache-2.0
#pragma once
// The user namespace of an instance and the network namespace (and, for several containers, that of shared
// memory) inside it.
//
// They are held by descriptors alone, and joined by way of /proc/PID/fd: when the engine is killed before a
// container lives in them, they and every link in them are gone (see sandbox.hpp for what several containers
// share). A holder process exists only for the moment
// of their making (a namespace needs one to be born in).

#include <cstdint>
#include <string>

#include "engine/local/descriptor.hpp"

namespace tow::engine::local {

/// The number of users that a project's range has.
inline constexpr std::uint32_t kUserRange = 65536;

struct Namespaces {
  Descriptor user;
  Descriptor network;
  Descriptor ipc;  // only of several containers; else each makes its own
};
enum class Ipc { OfTheContainer, Shared };

/// Maps users and groups 0–65,535 inside to `user_base` and up. Throws Error{Internal}. Blocks for well under
/// a millisecond. Thread-safe.
Namespaces make_namespaces(std::uint32_t user_base, Ipc ipc);

/// The path by which another process of this machine joins a namespace that this process holds.
std::string join_path(const Descriptor& held);

}  // namespace tow::engine::local
