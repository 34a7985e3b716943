// SPDX-License-Identifier: Apache-2.0
#include "model/score.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "model/score_plan.hpp"

namespace tow::score {
namespace {

namespace fs = std::filesystem;

std::string slurp(const fs::path& path) {
  std::ifstream in{path, std::ios::binary};
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

Context production() {
  Context context{.project = "shop", .environment = "production", .directory = "web"};
  context.configuration = {{"CURRENCY", {"EUR", {}}},
                           {"SSL_MODE", {"require", {}}},
                           {"HOST", {"elsewhere.example.org", {}}},
                           {"DB_PASSWORD", {{}, "db-password@3"}}};
  context.read_file = [](const std::string& path) -> std::optional<std::string> {
    if (path == "conf/nginx.conf")
      return "server_name ${metadata.name};\nset $$host ${resources.env.HOST};\n";
    if (path == "web/logo.png") return std::string{"\x89PNG\0\x01", 6};
    return {};
  };
  context.service = [](const std::string& component) -> std::optional<std::vector<ServicePort>> {
    if (component != "cart") return {};
    return std::vector{ServicePort{"grpc", 7070, 7000}, ServicePort{"metrics", 9090, 9090}};
  };
  return context;
}

std::string outcome(const std::string& yaml) {
  try {
    return to_yaml(write(plan(read(parse_yaml(yaml)), production())));
  } catch (const Error& error) {
    std::string text = fmt::format("{}: {}\n", name(error.code()), error.message());
    for (const auto& fault : error.faults()) text += describe(fault, "score.yaml") + "\n";
    return text;
  }
}

// Each file: a document, a line "====", and what it becomes: its plan, or all its faults.
// TOW_UPDATE_GOLDEN=1 rewrites the lower halves.
class Golden : public testing::TestWithParam<fs::path> {};

TEST_P(Golden, BecomesWhatIsWrittenBelowTheLine) {
  const auto text = slurp(GetParam());
  const auto line = text.find("====\n");
  ASSERT_NE(line, std::string::npos);
  const auto made = outcome(text.substr(0, line));
  if (std::getenv("TOW_UPDATE_GOLDEN")) {
    std::ofstream{GetParam(), std::ios::binary} << text.substr(0, line + 5) << made;
    return;
  }
  EXPECT_EQ(made, text.substr(line + 5));
}

std::vector<fs::path> golden_files() {
  std::vector<fs::path> all;
  for (const auto& entry : fs::directory_iterator{fs::path{TOW_SOURCE_DIR} / "src/model/testdata/score"})
    all.push_back(entry.path());
  std::sort(all.begin(), all.end());
  return all;
}

TEST(Score, TheExamplesAreValid) {
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator{fs::path{TOW_SOURCE_DIR} / "examples"}) {
    if (entry.path().filename() != "score.yaml") continue;
    ++count;
    EXPECT_NO_THROW(read(parse_yaml(slurp(entry.path())))) << entry.path();
  }
  EXPECT_GE(count, 4u);
}

INSTANTIATE_TEST_SUITE_P(Score, Golden, testing::ValuesIn(golden_files()), [](const auto& it) {
  auto stem = it.param.stem().string();
  std::replace(stem.begin(), stem.end(), '-', '_');
  return stem;
});

}  // namespace
}  // namespace tow::score
