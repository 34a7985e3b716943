// SPDX-License-Identifier: Apache-2.0
#pragma once
// Images of other people's registries.

#include <string>

#include "image/buildah/workshop.hpp"

namespace tow::image::buildah {

/// Brings an image into the storage by its normalised reference. Throws Error{NotFound} with what the
/// registry said, Error{Unavailable} when it does not answer, Error{Exhausted}.
Task<> fetch(const Workshop& workshop, std::string reference, ProgressSink progress);

}  // namespace tow::image::buildah
