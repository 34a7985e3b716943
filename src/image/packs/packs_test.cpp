// SPDX-License-Identifier: Apache-2.0
// Golden tests: each file in golden/ has a sentence of reason, the source tree ("-- path --" sections), and
// below
// "== detection ==" what comes out of it. Run with TOWPATH_UPDATE_GOLDEN=1 to write what comes out now.
#include "image/packs/packs.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/error.hpp"
#include "base/ids.hpp"

namespace tow::image::packs {
namespace {

const std::filesystem::path kGolden = std::filesystem::path{TOWPATH_SOURCE_DIR} / "src/image/packs/golden";
constexpr std::string_view kExpected = "== detection ==\n";

std::string read(const std::filesystem::path& path) {
  std::ifstream file{path};
  return {std::istreambuf_iterator<char>{file}, {}};
}

/// Writes the "-- path --" sections as files. A section "component" names the component instead.
std::filesystem::path unpack(const std::string& text, const std::filesystem::path& directory) {
  std::filesystem::path component;
  std::filesystem::path path;
  std::string content;
  const auto flush = [&] {
    if (path == "component")
      component = content.substr(0, content.find('\n'));
    else if (!path.empty()) {
      std::filesystem::create_directories((directory / path).parent_path());
      std::ofstream{directory / path} << content;
    }
    content.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const auto end = std::min(text.find('\n', at), text.size() - 1) + 1;
    const auto line = text.substr(at, end - at);
    at = end;
    if (line.starts_with("-- ") && line.ends_with(" --\n")) {
      flush();
      path = line.substr(3, line.size() - 7);
    } else {
      content += line;
    }
  }
  flush();
  return component;
}

std::string outcome(const std::filesystem::path& context, const std::filesystem::path& component) {
  try {
    const auto found = detect(context, component);
    const auto port = found.port ? std::to_string(*found.port) : "none";
    return "pack: " + found.pack + "\nport: " + port + "\nexplanation: " + found.explanation + "\n\n" +
           found.containerfile;
  } catch (const Error& error) {
    return "error " + std::string{name(error.code())} + ": " + error.message() + "\n";
  }
}

class Packs : public testing::TestWithParam<std::string> {};

TEST_P(Packs, ComeOutAsWritten) {
  const auto file = kGolden / (GetParam() + ".txt");
  const auto text = read(file);
  const auto split = std::min(text.find(kExpected), text.size());
  const auto directory = std::filesystem::temp_directory_path() / ("towpath-packs-" + new_uid());
  std::filesystem::create_directories(directory);
  const auto component = unpack(text.substr(0, split), directory);
  const auto found = outcome(directory, component);
  std::filesystem::remove_all(directory);
  if (std::getenv("TOWPATH_UPDATE_GOLDEN")) {
    std::ofstream{file} << text.substr(0, split) << kExpected << found;
    return;
  }
  EXPECT_EQ(found, text.substr(std::min(split + kExpected.size(), text.size())))
      << text.substr(0, text.find('\n'));
}

std::vector<std::string> golden_files() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator{kGolden}) names.push_back(entry.path().stem());
  std::ranges::sort(names);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Golden, Packs, testing::ValuesIn(golden_files()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace tow::image::packs
