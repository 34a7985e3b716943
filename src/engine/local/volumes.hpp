// SPDX-License-Identifier: Apache-2.0
#pragma once
// The directory of a volume that an instance is given. Instances write into it, and may put symbolic links
// there: it is walked as root of the host, and none is ever followed.

#include <cstdint>
#include <filesystem>
#include <string>

#include "engine/local/descriptor.hpp"

namespace tow::engine::local {

/// Opens `sub_path` ("" for all of it) below the volume's directory; what is missing is made, and belongs to
/// that user and group. Throws Error{Invalid} for a sub-path that leaves the volume or leads over a link.
Descriptor open_volume(const std::filesystem::path& volume, const std::string& sub_path, std::uint32_t user,
                       std::uint32_t group);

}  // namespace tow::engine::local
