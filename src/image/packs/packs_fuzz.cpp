// SPDX-License-Identifier: Apache-2.0
// Any files as a component: "-- NAME --" begins each, as in golden/. Detection gives an answer or says why
// not; it reads nothing outside, and what it writes can be built from.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "base/error.hpp"
#include "image/buildah/containerfile.hpp"
#include "image/packs/packs.hpp"

namespace {

namespace fs = std::filesystem;

const fs::path& home() {
  static const fs::path made = [] {
    std::string pattern = (fs::exists("/dev/shm") ? "/dev/shm" : "/tmp") + std::string{"/packs-fuzz-XXXXXX"};
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    static const fs::path path = pattern;
    std::atexit([] { fs::remove_all(path); });
    return path;
  }();
  return made;
}

void write_tree(std::string_view text) {
  std::ofstream file;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.starts_with("-- ") && line.ends_with(" --") && line.size() > 6) {
      file = {};
      const fs::path name = line.substr(3, line.size() - 6);
      if (name.is_absolute() || name.string().contains("..") || name.string().contains('\0')) continue;
      std::error_code ignored;
      fs::create_directories((home() / name).parent_path(), ignored);
      file.open(home() / name);
    } else if (file.is_open()) {
      file << line << '\n';
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tow;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{home()}) fs::remove_all(entry.path(), ignored);
  write_tree({reinterpret_cast<const char*>(data), size});
  try {
    const auto found = image::packs::detect(home());
    if (found.containerfile.empty() && found.explanation.empty()) std::abort();
    image::buildah::check_supported(found.containerfile, "Containerfile");
    image::buildah::images_of(image::buildah::salt_stages(found.containerfile), {});
  } catch (const Error& error) {
    if (error.code() != Code::Invalid && error.code() != Code::Unsupported) std::abort();
    if (error.message().empty()) std::abort();
  }
  return 0;
}
