// SPDX-License-Identifier: Apache-2.0
#pragma once
// A component's files as the packs see them: read only, small files only, and confined to the build context
// (the kernel refuses a path or a symbolic link that leaves it).

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tow::image::packs {

/// Not thread-safe; lives as long as one detection.
class Tree {
 public:
  /// Throws Error{Invalid} when the component is not a directory inside the context.
  Tree(const std::filesystem::path& context, const std::filesystem::path& component);
  ~Tree();
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  bool has(const std::string& file) const;
  bool has_directory(const std::string& directory) const;
  /// The text of a file, or nothing when there is none. Throws Error{Invalid} for one over 1 MiB.
  std::optional<std::string> read(const std::string& file) const;
  /// The same for what programs write (lock files), up to 32 MiB.
  std::optional<std::string> read_large(const std::string& file) const;
  /// The same for a file of the context, by its path there.
  std::optional<std::string> read_of_context(const std::string& file) const;
  /// Names of regular files in a directory of the component ("" is the component itself), sorted.
  std::vector<std::string> files(const std::string& directory = {}) const;
  /// Names of directories in it, sorted, hidden ones left out.
  std::vector<std::string> directories(const std::string& directory = {}) const;

  /// The component as a source of COPY: "web/" or "./".
  std::string source() const;
  /// A file of the component as a source of COPY: "web/package.json".
  std::string source(std::string_view file) const;
  /// The component's last path element, or the context's when it is the whole context.
  std::string name() const;
  const std::filesystem::path& context() const { return context_; }
  /// The component's path in the context; "" for the context itself.
  const std::string& path() const { return component_; }

 private:
  std::vector<std::string> list(const std::string& directory, bool directories) const;
  std::string inside(const std::string& file) const;
  std::optional<std::string> read_up_to(const std::string& file, std::size_t largest) const;

  std::filesystem::path context_;
  std::string component_;  // "" or "web" or "services/web"
  int descriptor_ = -1;
};

}  // namespace tow::image::packs
