// SPDX-License-Identifier: Apache-2.0
#pragma once
// Makes the base images, once on a machine: tasks and processes that want the same one wait for each other.

#include <string>

#include "image/buildah/bases.hpp"
#include "image/buildah/workshop.hpp"

namespace tow::image::buildah {

/// Thread-safe. The workshop outlives it.
class BaseImages {
 public:
  explicit BaseImages(Workshop& workshop) : workshop_{workshop} {}

  /// Throws Error{NotFound} for a name that is none, Error{Unavailable} when packages cannot be had.
  Task<> ensure(std::string name, ProgressSink progress);

 private:
  bool has(const Recipe& recipe) const;
  Task<> make(const Recipe& recipe, const ProgressSink& progress);
  Task<> make_from(const Recipe& recipe, std::string_view containerfile, const ProgressSink& progress);
  Task<> bootstrap(const std::filesystem::path& directory, const ProgressSink& progress);

  Workshop& workshop_;
};

}  // namespace tow::image::buildah
