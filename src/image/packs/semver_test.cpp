// SPDX-License-Identifier: Apache-2.0
#include "image/packs/semver.hpp"

#include <gtest/gtest.h>

namespace tow::image::packs {
namespace {

TEST(Semver, RangesAcceptWhatNpmAccepts) {
  const struct {
    const char* reason;
    const char* range;
    Version version;
    bool accepted;
  } cases[] = {
      {"a major takes all of its releases", "18", {18, 20, 4}, true},
      {"and none of the next", "18", {19, 0, 0}, false},
      {"x stands for anything", "18.x", {18, 20, 4}, true},
      {"a star alone, too", "*", {1, 2, 3}, true},
      {"nothing asks for nothing", "", {1, 2, 3}, true},
      {"v is only decoration", "v20.1", {20, 1, 9}, true},
      {"at least", ">=18", {24, 0, 0}, true},
      {"an operator may stand alone", ">= 18.20", {18, 19, 9}, false},
      {"larger than a major means the next one", ">18", {18, 20, 4}, false},
      {"up to a major includes it", "<=18", {18, 20, 4}, true},
      {"below a major excludes it", "<18", {18, 0, 0}, false},
      {"both must hold", ">=18 <21", {21, 0, 0}, false},
      {"both must hold, with a comma", ">=18,<21", {20, 1, 0}, true},
      {"caret keeps the major", "^20.9", {20, 17, 0}, true},
      {"caret wants at least what it names", "^20.9", {20, 8, 0}, false},
      {"caret below one keeps the minor", "^0.2.3", {0, 3, 0}, false},
      {"tilde keeps the minor", "~20.9.1", {20, 10, 0}, false},
      {"tilde of a major keeps the major", "~20", {20, 10, 0}, true},
      {"one of two", "^18.18 || ^20.9 || >=21.1", {20, 10, 0}, true},
      {"none of them", "^18.18 || ^20.9 || >=21.1", {21, 0, 0}, false},
      {"from one to another, both included", "18 - 20", {20, 99, 0}, true},
      {"exact", "=20.1.0", {20, 1, 1}, false},
  };
  for (const auto& one : cases) {
    const auto range = Range::parse(one.range);
    ASSERT_TRUE(range) << one.reason;
    EXPECT_EQ(range->accepts(one.version), one.accepted) << one.reason << ": " << one.range;
  }
}

TEST(Semver, RefusesWhatIsNoRange) {
  for (const char* text : {"latest", "18..1", ">", "18 -", "1.2.3.4", "18; rm -rf /", "20.0.0-$(id)", "-1",
                           "=>18", "99999999999"})
    EXPECT_FALSE(Range::parse(text)) << text;
}

TEST(Semver, KnowsItsLowestAndWhetherItIsExact) {
  EXPECT_EQ(Range::parse("20.11.1")->exact(), (Version{20, 11, 1}));
  EXPECT_FALSE(Range::parse("20.11")->exact());
  EXPECT_EQ(Range::parse("^22.3 || ^20.9")->lowest(), (Version{20, 9, 0}));
  EXPECT_FALSE(Range::parse(">21 <20")->lowest());
}

}  // namespace
}  // namespace tow::image::packs
