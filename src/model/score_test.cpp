// SPDX-License-Identifier: Apache-2.0
#include "model/score.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/score_infer.hpp"
#include "model/score_plan.hpp"
#include "model/testdata/golden.hpp"

namespace tow::score {
namespace {

namespace fs = std::filesystem;

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

// The plan of each document of testdata/score in one environment, or all its faults.
class ScoreGolden : public testing::TestWithParam<fs::path> {};

TEST_P(ScoreGolden, BecomesWhatIsWrittenBelowTheLine) {
  golden::check(GetParam(), [](const std::string& yaml) {
    return golden::outcome("score.yaml",
                           [&] { return to_yaml(write(plan(read(parse_yaml(yaml)), production()))); });
  });
}

INSTANTIATE_TEST_SUITE_P(Documents, ScoreGolden, testing::ValuesIn(golden::files("score")),
                         golden::test_name);

TEST_P(ScoreGolden, WhatIsReadAndWrittenIsTheSameAgain) {
  const auto text = golden::slurp(GetParam());
  Document document;
  try {
    document = read(parse_yaml(text.substr(0, text.find("====\n"))));
  } catch (const Error&) {
    return;  // its faults are the other test's matter
  }
  const Node written = write(document);
  EXPECT_EQ(to_yaml(write(read(written))), to_yaml(written));
  EXPECT_EQ(to_yaml(write(read_stored(parse_json(to_json(written))))), to_yaml(written));
  EXPECT_EQ(to_yaml(write(read(parse_yaml(render(document))))), to_yaml(written));
}

TEST(Score, TheExamplesAreValid) {
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator{fs::path{TOW_SOURCE_DIR} / "examples"}) {
    if (entry.path().filename() != "score.yaml") continue;
    ++count;
    EXPECT_NO_THROW(read(parse_yaml(golden::slurp(entry.path())))) << entry.path();
  }
  EXPECT_GE(count, 4u);
}

constexpr const char* kShop = R"(apiVersion: score.dev/v1b1
metadata: { name: shop }
containers:
  main:
    image: .
    command: [one, two]
    variables: { A: "1", B: "2" }
    resources: { limits: { memory: 64Mi } }
)";

struct Merge {
  const char* reason;
  const char* change;
  const char* path;
  Node value;
};

TEST(Override, ChangesADocument) {
  const Merge cases[] = {
      {"maps merge deeply", "containers: {main: {variables: {B: two}}}", "variables",
       Node::Map{{"A", "1"}, {"B", "two"}}},
      {"null deletes", "containers: {main: {variables: {A: null}}}", "variables", Node::Map{{"B", "2"}}},
      {"lists are replaced", "containers: {main: {command: [three]}}", "command", Node::List{"three"}},
      {"what was not there is added", "containers: {main: {args: [x]}}", "args", Node::List{"x"}},
      {"a map replaces another sort of value", "containers: {main: {files: {/a: {content: b}}}}", "files",
       Node::Map{{"/a", Node::Map{{"content", "b"}}}}},
      {"deleting what is not there is nothing", "containers: {main: {args: null}}", "args", Node{}},
  };
  for (const auto& c : cases) {
    const auto document = read(parse_yaml(kShop), {{parse_yaml(c.change), "towpath.yaml"}});
    const Node written = write(document);
    const Node* value = written.find("containers")->find("main")->find(c.path);
    EXPECT_EQ(value ? to_json(*value) : "null", to_json(c.value)) << c.reason;
  }
}

TEST(Override, ItsFaultsSayWhereItStands) {
  try {
    read(parse_yaml(kShop), {{parse_yaml("containers: {main: {args: [x]}}"), "first"},
                             {parse_yaml("containers:\n  main:\n    image: null\n    comand: [x]\n"
                                         "    variables: {A: 5}"),
                              "towpath.yaml"}});
    FAIL();
  } catch (const Error& error) {
    std::vector<std::string> all;
    for (const auto& fault : error.faults()) all.push_back(describe(fault, "score.yaml"));
    EXPECT_THAT(
        all,
        testing::ElementsAre(
            "score.yaml:5:5  containers.main.image: is missing",
            "score.yaml  containers.main.comand: unknown key; did you mean \"command\"? (set by "
            "towpath.yaml:4:5)",
            "score.yaml  containers.main.variables.A: must be a string; write it in quotes: \"5\" (set by "
            "towpath.yaml:5:20)"));
  }
}

TEST(Override, IsAppliedToWhatIsStored) {
  const auto stored = write(read(parse_yaml(kShop)));
  const auto document = read_stored(stored, parse_yaml("containers: {main: {variables: {A: null}}}"));
  EXPECT_FALSE(document.containers.at("main")->variables.contains("A"));
}

TEST(Score, ItsSchemaHasBothFormsOfFilesAndItsPatterns) {
  const Node made = schema();
  const Node& container =
      *made.find("properties")->find("containers")->find("additionalProperties")->find("properties");
  EXPECT_EQ(container.find("files")->find("oneOf")->list()->size(), 2u);
  EXPECT_EQ(to_json(*container.find("files")->find("oneOf")->list()->at(1).find("items")->find("required")),
            R"(["target"])");
  EXPECT_EQ(to_json(*made.find("required")), R"(["apiVersion","metadata","containers"])");
  EXPECT_EQ(to_json(*made.find("properties")->find("metadata")->find("additionalProperties")), "true");
  EXPECT_NE(to_json(made).find("Ki|Mi|Gi"), std::string::npos);
}

struct Inferred {
  const char* reason;
  Facts facts;
  const char* yaml;
};

TEST(Infer, WritesTheDocumentThatAPersonWouldWrite) {
  const Inferred cases[] = {
      {"an HTTP service on another port than ours",
       {"web", 3000},
       "# What this component needs to run: a Score document (https://docs.score.dev).\n"
       "apiVersion: score.dev/v1b1\n\nmetadata:\n  name: web\n\n"
       "service:\n  ports:\n    http:\n      port: 8080\n      targetPort: 3000\n\n"
       "containers:\n  main:\n    image: .\n\n"
       "resources:\n  route:\n    type: route\n    params:\n      port: 8080\n"},
      {"a worker serves nothing and has no route",
       {"mail-worker", {}},
       "# What this component needs to run: a Score document (https://docs.score.dev).\n"
       "apiVersion: score.dev/v1b1\n\nmetadata:\n  name: mail-worker\n\n"
       "containers:\n  main:\n    image: .\n"},
  };
  for (const auto& c : cases) {
    const auto text = render(infer(c.facts));
    EXPECT_EQ(text, c.yaml) << c.reason;
    EXPECT_NO_THROW(plan(read(parse_yaml(text)), production())) << c.reason;
  }
}

TEST(Infer, MakesAValidNameOfAnyFolder) {
  const std::pair<const char*, const char*> cases[] = {
      {"web", "web"},        {"My_App", "my-app"}, {"src/api/", "api"}, {"shop.git", "shop"},
      {"--a--b--", "a-b"},   {"x", "x-app"},       {"", "app"},         {"...", "app"},
      {"Größe 2", "gr-e-2"}, {"/", "app"},         {".git", "app"},     {"a.b_c", "a-b-c"},
  };
  for (const auto& [folder, name] : cases) EXPECT_EQ(component_name(folder), name) << folder;
  EXPECT_EQ(component_name(std::string(100, 'a')), std::string(63, 'a'));
}

TEST(RepositoryPath, HasOneSpellingAndStaysInside) {
  struct Row {
    const char* directory;
    const char* path;
    std::optional<std::string> settled;
  };
  const Row rows[] = {
      {"", "a/b", "a/b"},     {"", "./a//b/", "a/b"},     {"web", "../conf/x", "conf/x"},
      {"", ".", ""},          {"web", "a/../b", "web/b"}, {"", "../x", {}},
      {"web", "../../x", {}}, {"", "/etc/passwd", {}},    {"web/", "x", "web/x"},
      {"", "a/..", ""},       {"", "a/../../b", {}},      {"", "...", "..."},
  };
  for (const auto& row : rows)
    EXPECT_EQ(repository_path(row.directory, row.path), row.settled) << row.directory << " " << row.path;
  EXPECT_EQ(repository_path("", std::string_view{"a\0b", 3}), std::nullopt);
}

}  // namespace
}  // namespace tow::score
