// SPDX-License-Identifier: Apache-2.0
#pragma once
// One function for each kind of source. Each returns nothing when the source is not of its kind, and then may
// add to `missing` what it lacked, for the message that is shown when no pack takes the source.

#include <optional>
#include <string>
#include <vector>

#include "image/image.hpp"
#include "image/packs/tree.hpp"

namespace tow::image::packs {

using Missing = std::vector<std::string>;

std::optional<Detection> node(const Tree& tree, Missing& missing);
std::optional<Detection> python(const Tree& tree, Missing& missing);
std::optional<Detection> cmake(const Tree& tree, Missing& missing);
std::optional<Detection> site(const Tree& tree, Missing& missing);

/// The Debian packages that an Aptfile asks for, one a line. Throws Error{Invalid} for what is no name of
/// one.
std::vector<std::string> debian_packages(const Tree& tree);

/// The members of the workspace whose top this is that are programs or sites; none where it is no workspace.
std::vector<std::string> programs_of_workspace(const Tree& top);

}  // namespace tow::image::packs
