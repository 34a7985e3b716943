// SPDX-License-Identifier: Apache-2.0
#include "model/entity.hpp"

#include <gtest/gtest.h>

#include <set>

#include "model/deployment.hpp"
#include "model/identity.hpp"
#include "model/project.hpp"

namespace tow {
namespace {

TEST(Kinds, AreFoundByEveryOfTheirNames) {
  for (const char* name : {"EnvironmentType", "environmenttype", "environmenttypes"})
    EXPECT_EQ(find_kind(name)->kind, "EnvironmentType") << name;
  EXPECT_EQ(find_kind("nothing"), nullptr);
  EXPECT_TRUE(is_cold("Event"));
  EXPECT_FALSE(is_cold("Deployment"));
}

TEST(Kinds, HaveUniqueNamesAndASentenceOfHelp) {
  std::set<std::string_view> seen;
  for (const auto& info : kinds()) {
    EXPECT_TRUE(seen.insert(info.kind).second) << info.kind;
    EXPECT_TRUE(seen.insert(info.plural).second) << info.plural;
    EXPECT_TRUE(info.help.ends_with(".") || info.help.ends_with("\"platform\".")) << info.kind;
  }
}

TEST(Kinds, EveryFieldOfEveryKindIsExplained) {
  for (const auto& info : kinds())
    for (const Node& schema : {info.spec_schema(), info.status_schema()})
      for (const auto& [name, property] : *schema.find("properties")->map())
        EXPECT_NE(property.find("description"), nullptr) << info.kind << "." << name;
}

TEST(Entity, RoundsTripThroughARecord) {
  Deployment::Spec spec{.component = "web", .environment = "development", .release = "r1", .scale = 3};
  spec.restored = Restored{.revision = 4, .since = TimePoint{Duration{1'700'000'000'000}}};
  auto record = std::make_shared<const Record>(draft<Deployment>("shop", "web.development", spec));
  const auto back = decode<Deployment>(record);
  EXPECT_EQ(back.spec.scale, 3);
  EXPECT_EQ(back.spec.restored->since, spec.restored->since);
  EXPECT_EQ(to_string(back.key()), "deployment:shop/web.development");
}

TEST(Entity, ADocumentThatWasReadCanBeSentAgain) {
  Record record = draft<Environment>("shop", "development", {.type = "development", .branch = "main"});
  record.uid = "u1";
  record.generation = 2;
  const Record back = from_document(to_document(record));
  EXPECT_EQ(back.key, record.key);
  EXPECT_EQ(back.spec, record.spec);
}

TEST(Entity, TheTextOfADocumentIsThatOfItsTree) {
  Record record = draft<Environment>("shop", "development", {.type = "development", .branch = "main"});
  record.labels["team"] = "a\"b";
  record.status = R"({"x":1})";
  EXPECT_EQ(to_document_json(record), to_json(to_document(record)));
  record.status = "{}";
  EXPECT_EQ(to_document_json(record), to_json(to_document(record)));
}

struct Case {
  const char* reason;
  const char* yaml;
  const char* fault;
};

TEST(Entity, SaysWhatIsWrongInADocument) {
  const Case cases[] = {
      {"an unknown kind", "apiVersion: towpath.dev/v1\nkind: Enviroment\nmetadata: {name: a}\n",
       "2:7  kind: \"Enviroment\" is no kind; did you mean \"Environment\"?"},
      {"an empty kind", "apiVersion: towpath.dev/v1\nkind: \"\"\nmetadata: {name: a}\n",
       "2:8  kind: \"\" is no kind"},
      {"a kind that is no text", "apiVersion: towpath.dev/v1\nkind: [Project]\nmetadata: {name: a}\n",
       "2:8  kind: must be a string, not a list"},
      {"a kind of a project without one",
       "apiVersion: towpath.dev/v1\nkind: Environment\nmetadata: {name: a}\nspec: {type: d}\n",
       "1:1  metadata.project: is missing"},
      {"a misspelt key in the spec",
       "apiVersion: towpath.dev/v1\nkind: Environment\nmetadata: {name: a, project: p}\nspec: {type: d, "
       "brnach: x}\n",
       "4:17  spec.brnach: unknown key; did you mean \"branch\"?"},
      {"a hostile name", "apiVersion: towpath.dev/v1\nkind: Project\nmetadata: {name: ../etc}\n",
       "3:18  metadata.name: \"../etc\" is not a name: lower-case letters, digits and single hyphens, "
       "beginning and "
       "ending with a letter or digit, at most 63"},
      {"another version", "apiVersion: v2\nkind: Project\nmetadata: {name: a}\n",
       "1:13  apiVersion: \"v2\" must be towpath.dev/v1"},
  };
  for (const auto& c : cases) {
    try {
      from_document(parse_yaml(c.yaml));
      ADD_FAILURE() << c.reason << ": was accepted";
    } catch (const Error& error) {
      ASSERT_EQ(error.faults().size(), 1u) << c.reason;
      EXPECT_EQ(describe(error.faults()[0]), c.fault) << c.reason;
    }
  }
}

TEST(Entity, SecretsAreNeverShown) {
  const Record record = draft<Secret>(
      "shop", "s1", {.scope = "project", .name = "KEY", .versions = {{.version = 1, .sealed = "abc"}}});
  EXPECT_EQ(to_json(to_document(record)).find("abc"), std::string::npos);
}

}  // namespace
}  // namespace tow
