// SPDX-License-Identifier: Apache-2.0
#pragma once
// Requests that wait for an instance: the program by which HAProxy holds them, and where it says for which
// sites. decisions/0018 has why it is done this way.

#include <filesystem>
#include <functional>
#include <string>

#include "base/task.hpp"
#include "route/haproxy/render.hpp"

namespace tow::route::haproxy {

/// In Lua, for `lua-load`. It runs for requests that wait, and for no others. Pure.
std::string hold_program(const Frame& frame);

/// Listens where HAProxy says for which sites requests wait, and calls `listener` for each, until it is
/// cancelled. `confined`: HAProxy runs as another user, who sees nothing but the socket's directory.
Task<> hear_held(std::filesystem::path socket, bool confined,
                 std::function<void(const SiteId& site)> listener);

}  // namespace tow::route::haproxy
