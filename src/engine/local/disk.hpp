// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a disk refuses, said for people: a full one is the bad day that comes to every machine.

#include <exception>
#include <filesystem>
#include <string_view>

#include "base/error.hpp"

namespace tow::engine::local {

/// "no space is left on the disk of DIRECTORY: …" for a full one, else "DOING PATH: what the system said".
Error disk_error(std::string_view doing, const std::filesystem::path& path, int number);

/// Whatever was thrown, as an Error: what the standard library says of files becomes a disk_error.
Error explained(const std::exception_ptr& thrown);

}  // namespace tow::engine::local
