// SPDX-License-Identifier: Apache-2.0
#pragma once
// Images as buildah wrote them: containers-storage with the overlay driver, under a root of Towpath's own.
// They are read where they lie; nothing is unpacked or copied. Thread-safe; calls block shortly.

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace tow::engine::local {

struct StoredImage {
  std::string id;                             // 64 hexadecimal digits
  std::vector<std::filesystem::path> layers;  // directories, the topmost first
  std::vector<std::string> entrypoint;
  std::vector<std::string> command;
  std::vector<std::string> environment;  // "NAME=value"
  std::string working_directory;         // "/" when the image says nothing
  std::string user;                      // as the image says it: "", "node", "1000:1000"
};

/// Who the image's user is inside the container.
struct User {
  std::uint32_t user = 0;
  std::uint32_t group = 0;
  std::vector<std::uint32_t> further_groups;
  std::string home = "/";
};

class Layers {
 public:
  explicit Layers(std::filesystem::path storage) : storage_{std::move(storage)} {}

  /// By id, a unique prefix of at least 12 digits, "sha256:ID", manifest digest, or name. Throws
  /// Error{NotFound} when it or a layer of it is not there, Error{Internal} when the storage cannot be read.
  StoredImage find(const std::string& image);

  /// Resolves "", "name", "7", "name:group", "7:8" by the image's own passwd and group files.
  /// Throws Error{Invalid} for a name that is in neither, or a number over 65,535.
  static User user(const StoredImage& image, const std::string& spelling);

 private:
  std::filesystem::path storage_;
  std::mutex mutex_;
  std::map<std::string, StoredImage> known_;  // by id: an image never changes
};

}  // namespace tow::engine::local
