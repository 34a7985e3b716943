// SPDX-License-Identifier: Apache-2.0
#pragma once
// For tests: the command in this process, in a directory of its own, with nothing of the caller's
// environment.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "cli/cli.hpp"

namespace tow::cli {

class CommandTest : public testing::Test {
 protected:
  struct Result {
    int code;
    std::string out;
    std::string err;
  };

  CommandTest() : before{std::filesystem::current_path()} {
    std::string path = (std::filesystem::temp_directory_path() / "tow-cli-XXXXXX").string();
    if (!mkdtemp(path.data())) std::abort();
    root = std::filesystem::canonical(path);
    std::filesystem::current_path(root);
    for (const char* name : {"TOWPATH_URL", "TOWPATH_PROJECT", "TOWPATH_TOKEN"}) unsetenv(name);
    setenv("XDG_CONFIG_HOME", (root / "config").c_str(), 1);
    setenv("TOWPATH_SOCKET", (root / "none.sock").c_str(), 1);
    setenv("GIT_CEILING_DIRECTORIES", root.parent_path().c_str(), 1);
  }
  ~CommandTest() override {
    std::filesystem::current_path(before);
    std::filesystem::remove_all(root);
  }

  Result tow(std::vector<std::string> words) {
    words.insert(words.begin(), "tow");
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const int code = run(static_cast<int>(argv.size()), argv.data(), extras);
    auto out = testing::internal::GetCapturedStdout();
    return {code, std::move(out), testing::internal::GetCapturedStderr()};
  }
  void write(const std::filesystem::path& path, std::string_view text) {
    std::filesystem::create_directories((root / path).parent_path());
    std::ofstream{root / path} << text;
  }

  std::filesystem::path before;
  std::filesystem::path root;
  Extras extras{.version = "1.2.3",
                .detect = [](const std::filesystem::path&, const std::string&) { return Detected{}; },
                .find_components = [](const std::filesystem::path&) { return std::vector<std::string>{}; },
                .add_commands = {}};
};

}  // namespace tow::cli
