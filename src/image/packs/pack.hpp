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

}  // namespace tow::image::packs
