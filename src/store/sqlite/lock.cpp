// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/error.hpp"

namespace tow::store::sqlite {
namespace {

std::string owner_of(int file) {
  char text[32] = {};
  const auto size = pread(file, text, sizeof text - 1, 0);
  std::string pid{text, size > 0 ? static_cast<std::size_t>(size) : 0};
  while (!pid.empty() && pid.back() == '\n') pid.pop_back();
  return pid.empty() ? "another process" : "process " + pid;
}

}  // namespace

DirectoryLock::DirectoryLock(const std::filesystem::path& directory) {
  const auto path = directory / "lock";
  file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file_ < 0) throw system_error("cannot open " + path.string(), errno);
  if (flock(file_, LOCK_EX | LOCK_NB) != 0) {
    const int number = errno;
    const auto owner = owner_of(file_);
    ::close(file_);
    if (number != EWOULDBLOCK) throw system_error("cannot lock " + path.string(), number);
    throw fail(Code::FailedPrecondition,
               "the data directory {} is in use by {}: stop that first, or give another directory",
               directory.string(), owner);
  }
  const auto pid = std::to_string(getpid()) + "\n";
  if (ftruncate(file_, 0) != 0 || pwrite(file_, pid.data(), pid.size(), 0) < 0) {
    // A full disk: the lock holds all the same, only its owner has no name.
  }
}

DirectoryLock::~DirectoryLock() { ::close(file_); }

}  // namespace tow::store::sqlite
