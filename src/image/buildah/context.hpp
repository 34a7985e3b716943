// SPDX-License-Identifier: Apache-2.0
#pragma once
// A build sees its context and nothing else of the machine.

#include <filesystem>
#include <string>
#include <string_view>

namespace tow::image::buildah {

/// Throws Error{Invalid} naming every symbolic link that leads out of the context (the first twenty).
void check_links(const std::filesystem::path& context);

/// Reads a file of the context by its relative path. Throws Error{Invalid} for one that is not there, leaves
/// the context, or is larger than 1 MiB.
std::string read_inside(const std::filesystem::path& context, const std::string& path);

/// What the paths of a component's own Containerfile start at: the component's folder, as people try it out
/// there, or the repository where they name what is only found from its top.
std::filesystem::path choose_context(const std::filesystem::path& repository,
                                     const std::filesystem::path& component, std::string_view containerfile);

}  // namespace tow::image::buildah
