// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/file_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/clock.hpp"
#include "base/error.hpp"

namespace tow::image::buildah {

std::optional<FileLock> FileLock::try_lock(const std::filesystem::path& path, Mode mode) {
  FileLock file{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  if (file.descriptor_ < 0) throw system_error("cannot open the lock " + path.string(), errno);
  if (::flock(file.descriptor_, (mode == Mode::Shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0) return file;
  if (errno != EWOULDBLOCK) throw system_error("cannot lock " + path.string(), errno);
  return {};
}

Task<std::optional<FileLock>> FileLock::lock(std::filesystem::path path, Mode mode, Duration patience) {
  SystemClock clock;
  Duration pause{5};
  for (Duration waited{0};; waited += pause) {
    if (auto lock = try_lock(path, mode)) co_return lock;
    if (waited >= patience) co_return std::nullopt;
    co_await clock.sleep(pause);
    pause = std::min(pause * 2, Duration{200});
  }
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_{std::exchange(other.descriptor_, -1)} {}
FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}
FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace tow::image::buildah
