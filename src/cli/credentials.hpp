// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where one has signed in: a file of the user's own, mode 0600, server by server.

#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace tow::cli {

class Credentials {
 public:
  /// $XDG_CONFIG_HOME/towpath/credentials.json, or below ~/.config. A file that others can read is refused.
  static Credentials load();
  static std::filesystem::path file();

  std::optional<std::string> token(const std::string& url) const;
  /// The server that was signed in to last; empty: none.
  const std::string& last() const { return last_; }
  /// Remembers and writes the file.
  void keep(const std::string& url, const std::string& token);

 private:
  std::map<std::string, std::string> tokens_;
  std::string last_;
};

}  // namespace tow::cli
