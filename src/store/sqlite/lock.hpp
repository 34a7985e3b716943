// SPDX-License-Identifier: Apache-2.0
#pragma once
// The ownership of a data directory: a lock file that the kernel lets go of when the process ends, however it
// ends. The pid in it is for people and messages alone.

#include <filesystem>

namespace tow::store::sqlite {

class DirectoryLock {
 public:
  /// Throws Error{FailedPrecondition} that names the process that has it.
  explicit DirectoryLock(const std::filesystem::path& directory);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  int file_ = -1;
};

}  // namespace tow::store::sqlite
