// SPDX-License-Identifier: Apache-2.0
#include "engine/ending.hpp"

#include <gtest/gtest.h>

namespace tow::engine {
namespace {

constexpr TimePoint kNow{std::chrono::hours{1}};

Sight running(int failures, std::optional<Duration> ready_for = {}) {
  Sight sight{.life = Sight::Life::Running, .passing = ready_for.has_value(), .failures = failures};
  if (ready_for) sight.ready = kNow - *ready_for;
  return sight;
}

TEST(Ending, CountsTowardsTheNextWait) {
  using std::chrono::minutes;
  const struct {
    const char* reason;
    Sight sight;
    Cause cause;
    int failures;
  } rows[] = {
      {"the first", running(0), Cause::Own, 1},
      {"one more", running(3), Cause::Own, 4},
      {"ready for a moment is no excuse", running(3, minutes{9}), Cause::Own, 4},
      {"it had served long", running(3, minutes{10}), Cause::Own, 1},
      {"as it was told", running(3), Cause::Wished, 0},
      {"not its fault, and it served", running(3, minutes{1}), Cause::MonitorLost, 0},
      {"it may be what takes the monitor down", running(3), Cause::MonitorLost, 4},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    Sight sight = row.sight;
    end_run(sight, {}, row.cause, kNow);
    EXPECT_EQ(sight.failures, row.failures);
    EXPECT_EQ(sight.life, Sight::Life::Ended);
    EXPECT_EQ(sight.ended, kNow);
    EXPECT_FALSE(sight.passing);
    EXPECT_FALSE(sight.finished);
  }
}

TEST(Ending, FinishesWhatIsNotStartedAgain) {
  Sight sight = running(0);
  end_run(sight, {.restart = false}, Cause::Own, kNow);
  EXPECT_TRUE(sight.finished);
}

TEST(Ending, NamesTheLimit) {
  EXPECT_EQ(killed_for_memory(Bytes{64 << 20}), "killed for memory: the limit is 64Mi");
  EXPECT_EQ(killed_for_memory({}), "killed for memory: the machine had none left");
}

}  // namespace
}  // namespace tow::engine
