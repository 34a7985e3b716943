// SPDX-License-Identifier: Apache-2.0
#pragma once
// Locks between tasks and between processes: a file that is locked with flock(2). The kernel lets go of it
// when its holder dies.

#include <filesystem>
#include <optional>

#include "base/task.hpp"

namespace tow::image::buildah {

class FileLock {
 public:
  enum class Mode { Shared, Exclusive };

  /// Nothing when somebody else holds it. The file is made if missing; its directory must be there.
  static std::optional<FileLock> try_lock(const std::filesystem::path& path, Mode mode);
  /// Looks again, with short pauses, until it has the lock, or nothing after `patience`.
  static Task<std::optional<FileLock>> lock(std::filesystem::path path, Mode mode, Duration patience);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_{descriptor} {}
  int descriptor_;
};

}  // namespace tow::image::buildah
