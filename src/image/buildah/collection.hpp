// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which images may go. Pure.

#include <map>
#include <string>
#include <vector>

#include "image/buildah/storage.hpp"

namespace tow::image::buildah {

/// Ids to remove, so ordered that no image is removed before those that were built on it. Kept are: what is
/// used, by id or digest; base images; what is younger than `since`; and steps of the cache whose layers
/// belong to something kept, because they cost nothing.
std::vector<std::string> choose_garbage(const std::vector<StoredImage>& images,
                                        const std::map<std::string, StoredLayer>& layers,
                                        const std::vector<std::string>& used, TimePoint since);

}  // namespace tow::image::buildah
