// SPDX-License-Identifier: Apache-2.0
#include "retention/choice.hpp"

#include <gtest/gtest.h>

#include "base/clock.hpp"

namespace tow::retention {
namespace {

using std::chrono::days;

const TimePoint kNow = FakeClock{}.now();

Inventory::Release release(const std::string& name, int age, const std::string& build = {},
                           const std::string& component = "web") {
  return {{"Release", "shop", name}, component, kNow - days{age}, build, "image-" + name};
}
Inventory::Build build(const std::string& name, int age, bool ended = true) {
  return {{"Build", "shop", name}, "web", kNow - days{age}, ended, "image-of-" + name};
}
Inventory::Run run(const std::string& name, int age, bool ended = true) {
  return {{"PipelineRun", "shop", name}, "shop", kNow - days{age}, ended, {}, {}};
}

std::vector<std::string> names(const std::vector<Key>& keys) {
  std::vector<std::string> all;
  for (const auto& key : keys) all.push_back(key.name);
  return all;
}

TEST(Choice, TakesWhatIsOldAndBeyondTheNumberAndNotNamed) {
  using Names = std::vector<std::string>;
  const struct {
    const char* reason;
    Inventory inventory;
    Names runs, builds, releases;
  } rows[] = {
      {"nothing is nothing", {}, {}, {}, {}},
      {"what is within the number stays, however old",
       {.releases = {release("r2", 400), release("r1", 500)}},
       {},
       {},
       {}},
      {"what is young stays, however many",
       {.runs = {run("c", 1), run("b", 2), run("a", 3)}, .releases = {}},
       {},
       {},
       {}},
      {"beyond the number, and old",
       {.runs = {run("c", 1), run("b", 2), run("a", 30)},
        .builds = {build("c", 1), build("b", 2), build("a", 30)},
        .releases = {release("c", 1), release("b", 2), release("a", 30)}},
       {"a"},
       {"a"},
       {"a"}},
      {"what has not ended stays, and what it speaks of",
       {.runs = {{{"PipelineRun", "shop", "x"}, "shop", kNow - days{90}, false, {"a"}, {"a"}},
                 run("c", 91),
                 run("b", 92),
                 run("a", 93)},
        .builds = {build("d", 90), build("c", 91), build("b", 92, false), build("a", 93)},
        .releases = {release("c", 1), release("b", 2), release("a", 30)}},
       {"a"},
       {},
       {}},
      {"a release that a revision or a deployment has stays, and its build",
       {.builds = {build("c", 91), build("b", 92), build("a", 93)},
        .releases = {release("c", 91), release("b", 92), release("a", 93, "a")},
        .named_releases = {"shop/a"}},
       {},
       {},
       {}},
      {"a name in another project is another's",
       {.releases = {release("c", 91), release("b", 92), release("a", 93)}, .named_releases = {"blog/a"}},
       {},
       {},
       {"a"}},
      {"each component has its own number",
       {.releases = {release("c", 91), release("b", 92), release("a", 93, "", "api")}},
       {},
       {},
       {}},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    const auto choice = choose(row.inventory, {.runs = 2, .builds = 2, .releases = 2}, kNow);
    EXPECT_EQ(names(choice.runs), row.runs);
    EXPECT_EQ(names(choice.builds), row.builds);
    EXPECT_EQ(names(choice.releases), row.releases);
  }
}

TEST(Choice, ImagesAreThoseOfWhatIsKept) {
  const Inventory inventory{
      .builds = {build("c", 91), build("b", 92), build("a", 93)},
      .releases = {release("c", 91), release("b", 92), release("a", 93), release("z", 94)},
      .named_releases = {"shop/z"}};
  const auto choice = choose(inventory, {.builds = 1, .releases = 1}, kNow);
  EXPECT_EQ(choice.images, (std::vector<std::string>{"image-c", "image-of-c", "image-z"}));
}

}  // namespace
}  // namespace tow::retention
