// SPDX-License-Identifier: Apache-2.0
#include "deploy/configuration.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "deploy/names.hpp"

namespace tow::deploy {
namespace {

constexpr TimePoint at(int minute) { return TimePoint{std::chrono::minutes{minute}}; }

Setting text(std::string value, int minute = 1) {
  return {.value = std::move(value), .changed = at(minute), .by = "ann"};
}
Setting unset(int minute) { return {.value = {}, .changed = at(minute), .by = "ann"}; }
SecretSeen secret(std::string entity, std::vector<int> versions, int minute = 1) {
  return {.entity = std::move(entity), .versions = std::move(versions), .changed = at(minute), .by = "bob"};
}
SecretSeen removed(SecretSeen secret, int minute) {
  secret.removed = at(minute);
  return secret;
}

struct Layers {
  std::map<std::string, Setting> near, middle, far;
  std::map<std::string, SecretSeen> near_secrets, middle_secrets, far_secrets;
};

std::vector<ScopeValues> scopes(const Layers& layers) {
  return {{"web.development", layers.near, layers.near_secrets},
          {"development", layers.middle, layers.middle_secrets},
          {"project", layers.far, layers.far_secrets}};
}

std::string show(const Resolved& resolved) {
  if (!resolved.value) return "nothing";
  const auto& value = *resolved.value;
  auto made =
      value.value ? fmt::format("\"{}\"", *value.value) : fmt::format("{}@{}", value.secret, value.version);
  made += resolved.restored_from ? fmt::format(" from revision {}", resolved.restored_from)
                                 : " from " + value.from;
  if (!resolved.hidden.empty()) made += fmt::format(" over {}", fmt::join(resolved.hidden, ", "));
  return made;
}

ConfigurationValue plain(std::string value) { return {.value = std::move(value), .from = "development"}; }
ConfigurationValue sealed(std::string entity, int version) {
  return {.value = {}, .secret = std::move(entity), .version = version, .from = "development"};
}

struct Case {
  const char* reason;
  Layers layers;
  std::optional<RestoredValues> restored;
  const char* expected;
};

const Case kCases[] = {
    {"nobody set it", {}, {}, "nothing"},
    {"the only one that sets it", {.far = {{"X", text("p")}}}, {}, "\"p\" from project"},
    {"the nearest wins, and says what it hides",
     {.near = {{"X", text("c")}}, .middle = {{"X", text("e")}}, .far = {{"X", text("p")}}},
     {},
     "\"c\" from web.development over development, project"},
    {"what was unset near lets the farther one through",
     {.near = {{"X", unset(5)}}, .far = {{"X", text("p")}}},
     {},
     "\"p\" from project"},
    {"an empty text is a value",
     {.near = {{"X", text("")}}, .far = {{"X", text("p")}}},
     {},
     "\"\" from web.development over project"},
    {"a secret is named with its newest version",
     {.middle_secrets = {{"X", secret("s", {1, 2})}}},
     {},
     "s@2 from development"},
    {"a secret that was removed does not count",
     {.far = {{"X", text("p")}}, .near_secrets = {{"X", removed(secret("s", {1}), 3)}}},
     {},
     "\"p\" from project"},
    {"a secret nearer than a text wins",
     {.far = {{"X", text("p")}}, .near_secrets = {{"X", secret("s", {1})}}},
     {},
     "s@1 from web.development over project"},

    {"after a rollback the value of then holds",
     {.middle = {{"X", text("new", 5)}}},
     RestoredValues{3, at(10), {{"X", plain("old")}}},
     "\"old\" from revision 3 over development"},
    {"what is set afterwards counts",
     {.middle = {{"X", text("newer", 11)}}},
     RestoredValues{3, at(10), {{"X", plain("old")}}},
     "\"newer\" from development"},
    {"also where it is unset afterwards",
     {.near = {{"X", unset(11)}}, .far = {{"X", text("p")}}},
     RestoredValues{3, at(10), {{"X", plain("old")}}},
     "\"p\" from project"},
    {"a name that the revision did not read has its value of now",
     {.middle = {{"X", text("new", 5)}}},
     RestoredValues{3, at(10), {{"Y", plain("old")}}},
     "\"new\" from development"},
    {"a value that exists nowhere any more comes back, too",
     {},
     RestoredValues{3, at(10), {{"X", plain("old")}}},
     "\"old\" from revision 3"},
    {"a secret comes back in the version of then",
     {.middle_secrets = {{"X", secret("s", {1, 2}, 5)}}},
     RestoredValues{3, at(10), {{"X", sealed("s", 1)}}},
     "s@1 from revision 3 over development"},
    {"a version that was destroyed stays so: the newest is used",
     {.middle_secrets = {{"X", secret("s", {4}, 5)}}},
     RestoredValues{3, at(10), {{"X", sealed("s", 1)}}},
     "s@4 from revision 3 over development"},
    {"a secret that was removed before can be restored",
     {.middle_secrets = {{"X", removed(secret("s", {1}, 2), 5)}}},
     RestoredValues{3, at(10), {{"X", sealed("s", 1)}}},
     "s@1 from revision 3"},
    {"one that was removed afterwards is gone",
     {.middle_secrets = {{"X", removed(secret("s", {1}, 2), 11)}}},
     RestoredValues{3, at(10), {{"X", sealed("s", 1)}}},
     "nothing"},
    {"one whose entity is gone is gone", {}, RestoredValues{3, at(10), {{"X", sealed("s", 1)}}}, "nothing"},
};

TEST(Configuration, Resolves) {
  for (const auto& row : kCases) {
    const auto made = resolve({"X"}, scopes(row.layers), row.restored);
    EXPECT_EQ(show(made.at("X")), row.expected) << row.reason;
  }
}

TEST(Configuration, KnowsWhoChangedSomethingLast) {
  const auto all = scopes({.near = {{"X", text("c", 2)}}, .far_secrets = {{"X", secret("s", {1}, 7)}}});
  EXPECT_EQ(last_change(all, {"X"})->by, "bob");
  EXPECT_FALSE(last_change(all, {"Y"}));
}

TEST(Configuration, WhereAValueComesFromIsNoDifference) {
  std::map<std::string, ConfigurationValue> a{{"X", plain("1")}}, b{{"X", plain("1")}};
  b["X"].from = "project";
  EXPECT_TRUE(same_values(a, b));
  b["X"].value = "2";
  b["Y"] = sealed("s", 1);
  EXPECT_EQ(differing(a, b), (std::vector<std::string>{"X", "Y"}));
}

TEST(Names, VolumesAreCalledByTheirResource) {
  EXPECT_EQ(volume_name("development", "volume.default#worker.data"), "worker.development.data");
  EXPECT_EQ(volume_name("development", "volume.default#cache"), "development.cache");
  const auto odd = volume_name("development", "volume.fast#a--b");
  EXPECT_TRUE(odd.starts_with("development.volume.")) << odd;
  EXPECT_NE(odd, volume_name("development", "volume.fast#a--c"));
}

TEST(Names, SecretReferencesAreReadBack) {
  const auto read = parse_secret_reference("secret:shop/abc@12");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->project, "shop");
  EXPECT_EQ(read->secret, "abc");
  EXPECT_EQ(read->version, 12);
  for (const auto* bad :
       {"", "shop/abc@1", "secret:shop@1", "secret:shop/abc", "secret:shop/abc@x", "secret:shop/abc@1x"})
    EXPECT_FALSE(parse_secret_reference(bad)) << bad;
}

}  // namespace
}  // namespace tow::deploy
