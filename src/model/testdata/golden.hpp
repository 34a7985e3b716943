// SPDX-License-Identifier: Apache-2.0
#pragma once
// Golden files: a document, a line "====", and what it becomes. TOW_UPDATE_GOLDEN=1 rewrites the lower
// halves.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.hpp"

namespace tow::golden {

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream in{path, std::ios::binary};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// The files of src/model/testdata/FOLDER, by name.
inline std::vector<std::filesystem::path> files(const std::string& folder) {
  std::vector<std::filesystem::path> all;
  for (const auto& entry : std::filesystem::directory_iterator{std::filesystem::path{TOW_SOURCE_DIR} /
                                                               "src/model/testdata" / folder})
    all.push_back(entry.path());
  std::sort(all.begin(), all.end());
  return all;
}

/// For INSTANTIATE_TEST_SUITE_P.
inline std::string test_name(const testing::TestParamInfo<std::filesystem::path>& it) {
  auto stem = it.param.stem().string();
  std::replace(stem.begin(), stem.end(), '-', '_');
  return stem;
}

/// What `make` returns, or its error with every fault as a person sees it.
template <class Make>
std::string outcome(const std::string& file, Make make) {
  try {
    return make();
  } catch (const Error& error) {
    std::string text = fmt::format("{}: {}\n", name(error.code()), error.message());
    for (const auto& fault : error.faults()) text += describe(fault, file) + "\n";
    return text;
  }
}

template <class Become>
void check(const std::filesystem::path& path, Become become) {
  const auto text = slurp(path);
  const auto line = text.find("====\n");
  ASSERT_NE(line, std::string::npos);
  const std::string made = become(text.substr(0, line));
  if (std::getenv("TOW_UPDATE_GOLDEN"))
    std::ofstream{path, std::ios::binary} << text.substr(0, line + 5) << made;
  else
    EXPECT_EQ(made, text.substr(line + 5));
}

}  // namespace tow::golden
