// SPDX-License-Identifier: Apache-2.0
#include "engine/supervisor.hpp"

#include <gtest/gtest.h>

namespace tow::engine {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using Life = Sight::Life;

constexpr TimePoint kStart{Duration{1'000'000}};
constexpr TimePoint at(Duration later) { return kStart + later; }

struct Case {
  const char* reason;
  Wish wish;
  Sight sight;
  Duration now{0};
  Phase phase;
  std::optional<Action> action = {};
  std::optional<Duration> again = {};
  bool done = false;
};

const Wish kRun{.start_limit = seconds{60}};
const Wish kStop{.run = false, .start_limit = seconds{60}};
const Wish kJob{.restart = false, .deadline = at(minutes{5})};

const Case kCases[] = {
    {.reason = "what is wanted is made",
     .wish = kRun,
     .sight = {},
     .phase = Phase::Starting,
     .action = Action::Make},
    {.reason = "what is not wanted and not there is done",
     .wish = kStop,
     .sight = {},
     .phase = Phase::Ended,
     .done = true},
    {.reason = "what is being made is waited for",
     .wish = kRun,
     .sight = {.life = Life::Making},
     .phase = Phase::Starting},
    {.reason = "what is being made is waited for even when it is no longer wanted",
     .wish = kStop,
     .sight = {.life = Life::Making},
     .phase = Phase::Stopping},
    {.reason = "it has its start limit to become ready",
     .wish = kRun,
     .sight = {.life = Life::Running, .started = kStart},
     .now = seconds{59},
     .phase = Phase::Starting,
     .again = seconds{60}},
    {.reason = "then it is stopped",
     .wish = kRun,
     .sight = {.life = Life::Running, .started = kStart},
     .now = seconds{60},
     .phase = Phase::Stopping,
     .action = Action::Terminate,
     .again = seconds{70}},
    {.reason = "once ready, the start limit does not count",
     .wish = kRun,
     .sight = {.life = Life::Running, .started = kStart, .ready = at(seconds{1}), .passing = true},
     .now = minutes{60},
     .phase = Phase::Ready},
    {.reason = "an instance whose probe fails later is unready, and runs on",
     .wish = kRun,
     .sight = {.life = Life::Running, .started = kStart, .ready = at(seconds{1})},
     .now = minutes{60},
     .phase = Phase::Unready},
    {.reason = "failed liveness stops it",
     .wish = kRun,
     .sight = {.life = Life::Running,
               .started = kStart,
               .ready = at(seconds{1}),
               .passing = true,
               .unhealthy = true},
     .now = minutes{1},
     .phase = Phase::Stopping,
     .action = Action::Terminate,
     .again = seconds{70}},
    {.reason = "retirement begins with SIGTERM",
     .wish = kStop,
     .sight = {.life = Life::Running, .started = kStart, .ready = kStart, .passing = true},
     .phase = Phase::Stopping,
     .action = Action::Terminate,
     .again = seconds{10}},
    {.reason = "within the grace it is left alone",
     .wish = kStop,
     .sight = {.life = Life::Running, .started = kStart, .terminated = kStart},
     .now = seconds{9},
     .phase = Phase::Stopping,
     .again = seconds{10}},
    {.reason = "then comes SIGKILL",
     .wish = kStop,
     .sight = {.life = Life::Running, .started = kStart, .terminated = kStart},
     .now = seconds{10},
     .phase = Phase::Stopping,
     .action = Action::Kill},
    {.reason = "once",
     .wish = kStop,
     .sight = {.life = Life::Running, .started = kStart, .terminated = kStart, .killed = true},
     .now = seconds{11},
     .phase = Phase::Stopping},
    {.reason = "what was told to stop and is wanted again still stops first",
     .wish = kRun,
     .sight = {.life = Life::Running, .started = kStart, .terminated = kStart},
     .now = seconds{1},
     .phase = Phase::Stopping,
     .again = seconds{10}},
    {.reason = "without its monitor it has no log and no exit code: it is replaced",
     .wish = kRun,
     .sight = {.life = Life::Running, .started = kStart, .ready = kStart, .passing = true, .unwatched = true},
     .phase = Phase::Stopping,
     .action = Action::Kill},
    {.reason = "what has ended is removed",
     .wish = kRun,
     .sight = {.life = Life::Ended},
     .phase = Phase::Backoff,
     .action = Action::Remove},
    {.reason = "a retired one, too",
     .wish = kStop,
     .sight = {.life = Life::Ended},
     .phase = Phase::Stopping,
     .action = Action::Remove},
    {.reason = "a first failure waits a second",
     .wish = kRun,
     .sight = {.failures = 1, .ended = kStart},
     .phase = Phase::Backoff,
     .again = seconds{1}},
    {.reason = "and is tried again",
     .wish = kRun,
     .sight = {.failures = 1, .ended = kStart},
     .now = seconds{1},
     .phase = Phase::Starting,
     .action = Action::Make},
    {.reason = "a fourth waits eight",
     .wish = kRun,
     .sight = {.failures = 4, .ended = kStart},
     .now = seconds{7},
     .phase = Phase::Backoff,
     .again = seconds{8}},
    {.reason = "an instance that was stopped on purpose comes back at once",
     .wish = kRun,
     .sight = {.failures = 0, .ended = kStart},
     .phase = Phase::Starting,
     .action = Action::Make},
    {.reason = "a failed one that is not wanted any more does not wait",
     .wish = kStop,
     .sight = {.failures = 3, .ended = kStart},
     .phase = Phase::Ended,
     .done = true},
    {.reason = "a job runs until its deadline",
     .wish = kJob,
     .sight = {.life = Life::Running, .started = kStart},
     .now = minutes{1},
     .phase = Phase::Starting,
     .again = minutes{5}},
    {.reason = "then it is stopped",
     .wish = kJob,
     .sight = {.life = Life::Running, .started = kStart},
     .now = minutes{5},
     .phase = Phase::Stopping,
     .action = Action::Terminate,
     .again = minutes{5} + seconds{10}},
    {.reason = "a job that has run does not run again",
     .wish = kJob,
     .sight = {.failures = 1, .ended = kStart, .finished = true},
     .now = minutes{1},
     .phase = Phase::Ended,
     .done = true},
};

TEST(Supervisor, Decides) {
  for (const auto& c : kCases) {
    const Decision d = decide(c.wish, c.sight, at(c.now));
    EXPECT_EQ(name(d.phase), name(c.phase)) << c.reason;
    EXPECT_EQ(d.action, c.action) << c.reason;
    EXPECT_EQ(d.again, c.again ? std::optional{at(*c.again)} : std::nullopt) << c.reason;
    EXPECT_EQ(d.done, c.done) << c.reason;
  }
}

TEST(Supervisor, BacksOffUpToFiveMinutes) {
  EXPECT_EQ(backoff(1), seconds{1});
  EXPECT_EQ(backoff(2), seconds{2});
  EXPECT_EQ(backoff(9), seconds{256});
  EXPECT_EQ(backoff(10), minutes{5});
  EXPECT_EQ(backoff(1'000'000), minutes{5});
}

TEST(Supervisor, SaysWhyItStops) {
  const Sight late{.life = Life::Running, .started = kStart};
  EXPECT_EQ(decide(kRun, late, at(minutes{2})).reason, "it was not ready within 1m");
  const Sight job{.life = Life::Running, .started = kStart};
  EXPECT_EQ(decide(kJob, job, at(minutes{6})).reason, "it did not end before its deadline");
}

}  // namespace
}  // namespace tow::engine
