// SPDX-License-Identifier: Apache-2.0
#include "model/manifest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/testdata/golden.hpp"

namespace tow::manifest {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

// Each document of testdata/manifest as it is written again, or all its faults.
class ManifestGolden : public testing::TestWithParam<fs::path> {};

TEST_P(ManifestGolden, BecomesWhatIsWrittenBelowTheLine) {
  golden::check(GetParam(), [](const std::string& yaml) {
    return golden::outcome("towpath.yaml", [&] { return render(read(parse_yaml(yaml))); });
  });
}

INSTANTIATE_TEST_SUITE_P(Documents, ManifestGolden, testing::ValuesIn(golden::files("manifest")),
                         golden::test_name);

TEST(Manifest, TheExamplesAreValid) {
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator{fs::path{TOW_SOURCE_DIR} / "examples"}) {
    if (entry.path().filename() != kFileName) continue;
    ++count;
    const auto document = read(parse_yaml(golden::slurp(entry.path())));
    for (const auto& [name, component] : document.components)
      EXPECT_TRUE(fs::exists(entry.path().parent_path() / score_file(*component))) << entry.path() << name;
  }
  EXPECT_GE(count, 1u);
}

Document document(const char* rest) {
  return read(parse_yaml(std::string{"apiVersion: towpath.dev/v1\n"} + rest));
}

struct Watched {
  const char* reason;
  const char* component;
  const char* file;
  bool watched;
};

TEST(Manifest, KnowsWhatBuildsAComponentAnew) {
  const Watched cases[] = {
      {"its own folder", "path: web", "web/index.js", true},
      {"another folder", "path: web", "api/main.py", false},
      {"a folder whose name only begins like it", "path: web", "website/index.js", false},
      {"a component at the root watches all", "path: .", "any/file", true},
      {"a watched folder beside it", "path: web, watch: [web, shared]", "shared/a.js", true},
      {"its own folder when others are watched instead", "path: web, watch: [shared]", "web/index.js", false},
      {"its Score document always", "path: web, watch: [shared]", "web/score.yaml", true},
      {"its Containerfile always", "path: web, containerfile: docker/web", "docker/web", true},
      {"a single file", "path: web, watch: [package.json]", "package.json", true},
  };
  for (const auto& c : cases) {
    const auto made = document(fmt::format("components: {{ web: {{ {} }} }}", c.component).c_str());
    EXPECT_EQ(watches(*made.components.at("web"), c.file), c.watched) << c.reason;
  }
}

struct Pushed {
  const char* reason;
  const char* yaml;
  const char* branch;
  std::optional<std::string> environment;
};

TEST(Manifest, SaysWhereABranchIsDeployed) {
  const Pushed cases[] = {
      {"the environment that names it", "environments: { production: { branch: release } }", "release",
       "production"},
      {"no environment names it", "environments: { production: { branch: release } }", "feature", {}},
      {"the default branch, where another is named",
       "environments: { production: { branch: release } }",
       "main",
       {}},
      {"nobody names a branch: the default one", "environments: { production: {} }", "main", "development"},
      {"nobody names a branch: another one", "", "feature", {}},
  };
  for (const auto& c : cases)
    EXPECT_EQ(environment_of(document(c.yaml), c.branch, "main"), c.environment) << c.reason;
}

TEST(Manifest, WithoutComponentsTheCallerKnowsTheirNames) {
  const auto made = document("environments: { production: { components: { wbe: { scale: 2 } } } }");
  const auto faults = unknown_components(made, {"web"});
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(
      describe(faults[0]),
      "2:45  environments.production.components.wbe: there is no component \"wbe\" in this repository; it "
      "has web; did you mean \"web\"?");
  EXPECT_TRUE(unknown_components(made, {"wbe"}).empty());
}

TEST(Manifest, IsProposedForARepository) {
  const auto text = render(infer({{"api", "api"}, {"web", "front/web"}}, "trunk"));
  EXPECT_EQ(text,
            "# How the components of this repository are run, where, and from which branch.\n"
            "apiVersion: towpath.dev/v1\n\n"
            "components:\n  api:\n    path: api\n  web:\n    path: front/web\n\n"
            "environments:\n  development:\n    branch: trunk\n  production: {}\n");
  const auto again = read(parse_yaml(text));
  EXPECT_EQ(environment_of(again, "trunk", "main"), "development");
}

TEST(Manifest, ItsSchemaNamesWhatIsNotSupportedYet) {
  const auto text = to_json(schema());
  EXPECT_NE(text.find("x-towpath-unsupported"), std::string::npos);
  EXPECT_NE(text.find("\"blue-green\""), std::string::npos);
}

}  // namespace
}  // namespace tow::manifest
