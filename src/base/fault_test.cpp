// SPDX-License-Identifier: Apache-2.0
#include "base/fault.hpp"

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>

namespace tow {
namespace {

// Each death test runs in a process of its own, which reads the variable anew.
void come_by(const char* wanted, int times) {
  ::setenv("TOWPATH_FAULT", wanted, 1);
  for (int i = 0; i < times; ++i) fault_point("here.it-is");
  fault_point("there.it-is");
  std::_Exit(0);
}

TEST(FaultPointDeathTest, EndsTheProcessWhereAndWhenItIsTold) {
  EXPECT_EXIT(come_by("here.it-is", 1), testing::KilledBySignal(SIGKILL), "");
  EXPECT_EXIT(come_by("there.it-is", 1), testing::KilledBySignal(SIGKILL), "");
  EXPECT_EXIT(come_by("here.it-is:3", 3), testing::KilledBySignal(SIGKILL), "");
  EXPECT_EXIT(come_by("here.it-is:3", 2), testing::ExitedWithCode(0), "") << "not before its time";
  EXPECT_EXIT(come_by("", 5), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(come_by("nowhere", 5), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace tow
