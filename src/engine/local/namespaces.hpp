// SPDX-License-Identifier: Apache-2.0
#pragma once
// The user namespace of an instance and the network namespace inside it.
//
// They are held by descriptors alone, and joined by way of /proc/PID/fd: when the engine is killed before a
// container lives in them, they and every link in them are gone. A holder process exists only for the moment
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
};

/// Maps users and groups 0–65,535 inside to `user_base` and up. Throws Error{Internal}. Blocks for well under
/// a millisecond. Thread-safe.
Namespaces make_namespaces(std::uint32_t user_base);

/// The path by which another process of this machine joins a namespace that this process holds.
std::string join_path(const Descriptor& held);

}  // namespace tow::engine::local
