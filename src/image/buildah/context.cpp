// SPDX-License-Identifier: Apache-2.0
#include "image/buildah/context.hpp"

#include <fmt/ranges.h>

#include <vector>

#include "base/error.hpp"
#include "image/buildah/containerfile.hpp"
#include "image/packs/tree.hpp"

namespace tow::image::buildah {
namespace {

bool leaves(const std::filesystem::path& path) {
  return path.is_absolute() || path.begin() == path.end() || *path.begin() == "..";
}

}  // namespace

void check_links(const std::filesystem::path& context) {
  std::vector<std::string> found;
  std::size_t count = 0;
  std::error_code error;
  std::filesystem::recursive_directory_iterator at{context, error};
  if (error) throw fail(Code::Invalid, "the build context cannot be read: {}", error.message());
  for (; at != std::filesystem::recursive_directory_iterator{}; at.increment(error)) {
    if (error) throw fail(Code::Invalid, "the build context cannot be read: {}", error.message());
    const auto& entry = *at;
    if (entry.is_directory() && !entry.is_symlink()) {
      // Neither is source, and no pack copies them.
      if (entry.path().filename() == ".git" || entry.path().filename() == "node_modules")
        at.disable_recursion_pending();
      continue;
    }
    if (!entry.is_symlink()) continue;
    const auto target = std::filesystem::read_symlink(entry.path(), error);
    const auto here = entry.path().lexically_relative(context);
    if (!target.is_absolute() && !leaves((here.parent_path() / target).lexically_normal())) continue;
    if (++count <= 20) found.push_back(here.string() + " -> " + target.string());
  }
  if (count == 0) return;
  throw fail(
      Code::Invalid,
      "{} symbolic link{} out of the repository, which a build does not see: {}{}; commit what {} there, or "
      "link inside of the repository",
      count, count == 1 ? " leads" : "s lead", fmt::join(found, ", "), count > found.size() ? ", …" : "",
      count == 1 ? "it stands for" : "they stand for");
}

std::filesystem::path choose_context(const std::filesystem::path& repository,
                                     const std::filesystem::path& component, std::string_view containerfile) {
  const auto folder = component.empty() ? repository : (repository / component).lexically_normal();
  std::error_code ignored;
  for (auto path : copied_paths(containerfile)) {
    while (path.starts_with('/')) path.erase(0, 1);
    if (path.contains("..")) continue;
    if (std::filesystem::exists(repository / path, ignored) &&
        !std::filesystem::exists(folder / path, ignored))
      return repository;
  }
  return folder;
}

std::string read_inside(const std::filesystem::path& context, const std::string& path) {
  const auto normal = std::filesystem::path{path}.lexically_normal();
  if (path.empty() || leaves(normal))
    throw fail(Code::Invalid, "the path \"{}\" leaves the repository", path);
  const packs::Tree tree{context, {}};
  if (auto text = tree.read(normal.string())) return std::move(*text);
  std::error_code error;
  if (std::filesystem::is_symlink(context / normal, error))
    throw fail(Code::Invalid, "\"{}\" is a symbolic link that leaves the repository or leads nowhere", path);
  throw fail(Code::Invalid, "the repository has no file \"{}\"", path);
}

}  // namespace tow::image::buildah
