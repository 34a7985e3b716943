// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the steps of a build may use: memory and processes of each build, and the processor when others want
// it, too. Kept by a control group that exists as long as the build, above those that the OCI runtime makes.

#include <filesystem>
#include <string>

#include "image/buildah/buildah.hpp"

namespace tow::image::buildah {

struct BuildLimits {
  Bytes memory;
  int processes;
};

/// Those of the settings, or what this machine can spare.
BuildLimits build_limits(const Settings& settings);

/// Makes the build's group ("/towpath-build/ID") with its limits, in every hierarchy that has a use for it.
/// What this machine's kernel cannot limit is told to the log, once.
void limit_build(const std::string& group, const BuildLimits& limits,
                 const std::filesystem::path& root = "/sys/fs/cgroup");

/// Whether the build's steps wanted more memory than they may have.
bool was_short_of_memory(const std::string& group, const std::filesystem::path& root = "/sys/fs/cgroup");

}  // namespace tow::image::buildah
