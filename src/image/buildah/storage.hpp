// SPDX-License-Identifier: Apache-2.0
#pragma once
// Reads containers-storage where it lies, without starting a program: its index files are replaced by rename,
// so that every reading is a consistent one. Thread-safe; nothing is cached.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image/image.hpp"

namespace tow::image::buildah {

struct StoredImage {
  std::string id;
  std::string digest;
  std::vector<std::string> names;
  std::string layer;  // the topmost
  TimePoint created{};
};

struct StoredLayer {
  std::string id;
  std::string parent;
  Bytes size;
};

class Storage {
 public:
  explicit Storage(std::filesystem::path root) : root_{std::move(root)} {}

  std::vector<StoredImage> images() const;
  std::map<std::string, StoredLayer> layers() const;
  /// Ids of the working containers of a build, which is known by its control group.
  std::vector<std::string> working_containers(std::string_view cgroup) const;
  /// The control groups of all working containers.
  std::vector<std::string> working_cgroups() const;

  /// The image that an id, a digest or a normalised name stands for.
  std::optional<StoredImage> resolve(std::string_view reference) const;
  /// Its configuration. Throws Error{Internal} when the storage is damaged.
  Image describe(const StoredImage& image) const;
  /// When the image came into the storage, or was last marked as used.
  TimePoint last_used(const std::string& id) const;
  void mark_used(const std::string& id) const;
  /// A label of its configuration, or empty.
  std::string label(const std::string& id, std::string_view name) const;

 private:
  std::map<std::string, std::string> cgroups() const;

  std::filesystem::path root_;
};

/// "node:20" is "docker.io/library/node:20", "towpath/node:12" is "localhost/towpath/node:12"; ids and
/// digests stay as they are. Throws Error{Invalid} for what is no reference.
std::string normalise(std::string_view reference);

}  // namespace tow::image::buildah
