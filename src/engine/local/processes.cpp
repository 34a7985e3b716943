// SPDX-License-Identifier: Apache-2.0
#include "engine/local/processes.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>

namespace tow::engine::local {

namespace fs = std::filesystem;

std::string Found::option(const std::string& flag) const {
  for (std::size_t i = 1; i < argv.size(); ++i) {
    if (argv[i] == flag && i + 1 < argv.size()) return argv[i + 1];
    if (argv[i].starts_with(flag + "=")) return argv[i].substr(flag.size() + 1);
  }
  return {};
}

std::vector<Found> find_processes(const std::string& program, const std::string& mark) {
  std::vector<Found> all;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator{"/proc", ignored}) {
    const std::string name = entry.path().filename();
    Found found;
    if (std::from_chars(name.data(), name.data() + name.size(), found.pid).ec != std::errc{}) continue;
    std::ifstream in{entry.path() / "cmdline"};  // empty for a zombie
    for (std::string argument; std::getline(in, argument, '\0');) found.argv.push_back(argument);
    if (found.argv.empty() || fs::path{found.argv[0]}.filename() != program) continue;
    if (std::ranges::any_of(found.argv, [&](const auto& a) { return a.find(mark) != std::string::npos; }))
      all.push_back(std::move(found));
  }
  return all;
}

}  // namespace tow::engine::local
