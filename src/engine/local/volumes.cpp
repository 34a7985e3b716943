// SPDX-License-Identifier: Apache-2.0
#include "engine/local/volumes.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.hpp"
#include "engine/local/disk.hpp"

namespace tow::engine::local {
namespace {

namespace fs = std::filesystem;

struct Owner {
  std::uint32_t user, group;
};

/// One step down from `parent` (or from anywhere, with an absolute path).
Descriptor step(int parent, const fs::path& name, const fs::path& full, Owner owner) {
  const bool made = ::mkdirat(parent, name.c_str(), 0755) == 0;
  if (!made && errno != EEXIST) throw disk_error("making", full, errno);
  Descriptor directory{::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!directory && (errno == ELOOP || errno == ENOTDIR))
    throw fail(Code::Invalid, "{} is no directory (a sub-path of a volume may not lead over links)",
               full.string());
  if (!directory) throw disk_error("opening", full, errno);
  if (!made) return directory;
  if (::fchown(directory.get(), owner.user, owner.group) != 0) throw disk_error("giving away", full, errno);
  ::fchmod(directory.get(), 0755);  // whatever the umask
  return directory;
}

}  // namespace

Descriptor open_volume(const fs::path& volume, const std::string& sub_path, std::uint32_t user,
                       std::uint32_t group) {
  const fs::path below = fs::path{sub_path}.lexically_normal();
  if (below.is_absolute() || std::ranges::find(below, "..") != below.end())
    throw fail(Code::Invalid, "the sub-path {} leaves its volume", sub_path);
  fs::create_directories(volume.parent_path());
  Descriptor at = step(AT_FDCWD, volume, volume, {user, group});
  for (const auto& name : below)
    if (!name.empty() && name != ".") at = step(at.get(), name, volume.filename() / below, {user, group});
  return at;
}

}  // namespace tow::engine::local
