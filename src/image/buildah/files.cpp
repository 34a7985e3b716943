// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <fstream>

#include "base/error.hpp"
#include "base/ids.hpp"

namespace tow::image::buildah {

void write_file(const std::filesystem::path& path, std::string_view text, mode_t mode) {
  const auto temporary = path.string() + "." + new_uid();
  const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (descriptor < 0) throw system_error("cannot write " + path.string(), errno);
  const bool written = ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  const int number = errno;
  ::close(descriptor);
  std::error_code error;
  if (written) std::filesystem::rename(temporary, path, error);
  if (written && !error) return;
  ::unlink(temporary.c_str());
  throw system_error("cannot write " + path.string(), written ? error.value() : number);
}

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

void make_directory(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw system_error("cannot make " + path.string(), error.value());
  ::chmod(path.c_str(), 0700);
}

bool in_path(std::string_view program) {
  for (const char* directory :
       {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"})
    if (::access((std::filesystem::path{directory} / program).c_str(), X_OK) == 0) return true;
  return false;
}

bool is_file_system(const std::filesystem::path& path, long magic) {
  struct statfs status{};
  return ::statfs(path.c_str(), &status) == 0 && static_cast<long>(status.f_type) == magic;
}

bool is_safe_name(std::string_view text) {
  return !text.empty() && text.size() <= 128 && text.front() != '.' && text.front() != '-' &&
         std::ranges::all_of(
             text, [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; });
}

}  // namespace tow::image::buildah
