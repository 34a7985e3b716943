// SPDX-License-Identifier: Apache-2.0
#include "image/packs/tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "base/error.hpp"

namespace tow::image::packs {
namespace {

constexpr std::size_t kLargestFile = 1 << 20;
constexpr std::size_t kLargestLock = 32 << 20;

/// Opens below `root` or not at all: neither "..", nor an absolute path, nor a symbolic link leads out of it.
int open_beneath(int root, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, root, path.empty() ? "." : path.c_str(), &how, sizeof how));
}

struct Closer {
  int descriptor;
  ~Closer() {
    if (descriptor >= 0) ::close(descriptor);
  }
};

}  // namespace

Tree::Tree(const std::filesystem::path& context, const std::filesystem::path& component)
    : context_{context}, component_{component.lexically_normal().generic_string()} {
  while (component_.ends_with('/')) component_.pop_back();
  if (component_ == ".") component_.clear();
  descriptor_ = ::open(context.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ < 0) throw system_error("cannot read the source in " + context.string(), errno);
  const Closer directory{open_beneath(descriptor_, component_, O_PATH | O_DIRECTORY)};
  if (directory.descriptor >= 0) return;
  const int number = errno;
  ::close(descriptor_);
  if (number == EXDEV || component_.starts_with("../") || component_.starts_with('/') || component_ == "..")
    throw fail(Code::Invalid, "the path \"{}\" leaves the repository", component.string());
  throw fail(Code::Invalid, "the repository has no directory \"{}\"", component.string());
}

Tree::~Tree() { ::close(descriptor_); }

std::string Tree::inside(const std::string& file) const {
  if (component_.empty()) return file;
  return file.empty() ? component_ : component_ + "/" + file;
}

bool Tree::has(const std::string& file) const {
  const Closer opened{open_beneath(descriptor_, inside(file), O_PATH)};
  struct stat status{};
  return opened.descriptor >= 0 && ::fstat(opened.descriptor, &status) == 0 && S_ISREG(status.st_mode);
}

bool Tree::has_directory(const std::string& directory) const {
  const Closer opened{open_beneath(descriptor_, inside(directory), O_PATH | O_DIRECTORY)};
  return opened.descriptor >= 0;
}

std::optional<std::string> Tree::read(const std::string& file) const { return read_of_context(inside(file)); }

std::optional<std::string> Tree::read_large(const std::string& file) const {
  return read_up_to(inside(file), kLargestLock);
}

std::optional<std::string> Tree::read_of_context(const std::string& file) const {
  return read_up_to(file, kLargestFile);
}

std::optional<std::string> Tree::read_up_to(const std::string& file, std::size_t largest) const {
  // O_NONBLOCK: what should be a file may be a pipe.
  const Closer opened{open_beneath(descriptor_, file, O_RDONLY | O_NONBLOCK)};
  struct stat status{};
  if (opened.descriptor < 0 || ::fstat(opened.descriptor, &status) != 0 || !S_ISREG(status.st_mode))
    return {};
  if (static_cast<std::size_t>(status.st_size) > largest)
    throw fail(Code::Invalid, "{} is larger than {} MiB", file, largest >> 20);
  std::string text(static_cast<std::size_t>(status.st_size) + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(opened.descriptor, text.data() + size, text.size() - size);
    if (got < 0) throw system_error("cannot read " + file, errno);
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

std::vector<std::string> Tree::list(const std::string& directory, bool directories) const {
  std::vector<std::string> names;
  const int descriptor = open_beneath(descriptor_, inside(directory), O_RDONLY | O_DIRECTORY);
  if (descriptor < 0) return names;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream{::fdopendir(descriptor), ::closedir};
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string name = entry->d_name;
    const std::string path = directory.empty() ? name : directory + "/" + name;
    if (directories ? !name.starts_with('.') && has_directory(path) : has(path)) names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

std::vector<std::string> Tree::files(const std::string& directory) const { return list(directory, false); }
std::vector<std::string> Tree::directories(const std::string& directory) const {
  return list(directory, true);
}

std::string Tree::source() const { return component_.empty() ? "./" : component_ + "/"; }
std::string Tree::source(std::string_view file) const {
  return component_.empty() ? std::string{file} : component_ + "/" + std::string{file};
}

std::string Tree::name() const {
  const std::filesystem::path whole = component_.empty() ? context_ : std::filesystem::path{component_};
  return whole.filename().string();
}

}  // namespace tow::image::packs
