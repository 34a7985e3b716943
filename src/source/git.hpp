// SPDX-License-Identifier: Apache-2.0
#pragma once
// git's plumbing on one bare repository. Every call is one child process or two; none changes a ref.

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/process.hpp"
#include "model/source.hpp"

namespace tow::source {

struct TreeEntry {
  std::string path;
  bool symbolic_link = false;
};

class Git {
 public:
  explicit Git(std::filesystem::path repository) : repository_{std::move(repository)} {}
  const std::filesystem::path& path() const { return repository_; }

  /// The commit that each branch points to, by its short name, with author, subject and time.
  Task<std::map<std::string, Commit>> branches() const;
  /// Every file of a commit; with `folder`, only below it (paths stay relative to the repository).
  Task<std::vector<TreeEntry>> files(std::string commit, std::string folder = {}) const;
  /// A file's content; nothing when it does not exist, or is not a plain file. Throws Error{Exhausted} above
  /// 1 MiB.
  Task<std::optional<std::string>> read(std::string commit, std::string path) const;
  /// What differs between two commits.
  Task<std::vector<std::string>> changed(std::string before, std::string after) const;
  /// The object id of a folder (or of the whole for an empty path): equal ids, equal content.
  Task<std::optional<std::string>> tree_id(std::string commit, std::string path) const;
  /// Writes the files of a commit into a directory that exists and is empty.
  Task<> checkout(std::string commit, std::filesystem::path directory) const;
  /// Loose objects and small packs become few packs. Loses nothing, reachable or not.
  Task<> pack() const;

  /// The command with this repository and a configuration that no file of the machine changes.
  Command command(std::vector<std::string> arguments) const;

 private:
  std::filesystem::path repository_;
};

}  // namespace tow::source
