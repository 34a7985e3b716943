// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a build that was cut short leaves behind: directories, control groups, working containers.

#include <string>
#include <vector>

#include "image/buildah/commands.hpp"
#include "image/buildah/storage.hpp"

namespace tow::image::buildah {

/// Held by the process of a build, from before anything of it is there until nothing is. It lies beside the
/// storage, so that processes which share one see each other, whatever their run directories.
std::filesystem::path build_lock(const Layout& layout, const std::string& id);

/// Builds of which something is there and whose process is not: nobody holds their lock.
std::vector<std::string> abandoned_builds(const Layout& layout, const Storage& storage);

/// Removes a build's directories and control groups; no process of it may be left.
void remove_leftovers(const Layout& layout, const std::string& id);

/// Removes the caches of projects that have not built since.
void remove_old_caches(const Layout& layout, TimePoint since);

}  // namespace tow::image::buildah
