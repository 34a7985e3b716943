// SPDX-License-Identifier: Apache-2.0
#include "apps/memory.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace tow::apps {
namespace {

struct Case {
  const char* reason;
  std::vector<std::uint64_t> mebibytes;  // one after the other
  std::vector<bool> over;
};

class BurstsTest : public testing::TestWithParam<Case> {};

TEST_P(BurstsTest, AreOverWhenTheyHaveGrownTheProcessAndItRests) {
  Bursts bursts;
  for (std::size_t i = 0; i < GetParam().mebibytes.size(); ++i)
    EXPECT_EQ(bursts.over(GetParam().mebibytes[i] << 20), GetParam().over[i])
        << GetParam().reason << ", " << i;
}

INSTANTIATE_TEST_SUITE_P(
    Apps, BurstsTest,
    testing::Values(
        Case{"what is steady is left alone", {30, 30, 30}, {false, false, false}},
        Case{"while it grows, it may be needed", {30, 40, 50}, {false, false, false}},
        Case{"it rests at what it grew to", {30, 50, 50}, {false, false, true}},
        Case{"a little is not worth the walk", {30, 33, 33}, {false, false, false}},
        Case{"while it shrinks by itself, nothing is to be done", {50, 40, 30}, {false, false, false}},
        Case{"less than at first is the new measure",
             {50, 30, 30, 40, 40},
             {false, false, false, false, true}}));

TEST(Bursts, OfWhichNothingCouldBeGivenBackAreNotTriedAgain) {
  Bursts bursts;
  for (const std::uint64_t mebibytes : {30, 50}) EXPECT_FALSE(bursts.over(mebibytes << 20));
  EXPECT_TRUE(bursts.over(50 << 20));
  bursts.gave_back(49 << 20);
  EXPECT_FALSE(bursts.over(49 << 20));
  EXPECT_FALSE(bursts.over(60 << 20));
  EXPECT_TRUE(bursts.over(60 << 20));
}

}  // namespace
}  // namespace tow::apps
