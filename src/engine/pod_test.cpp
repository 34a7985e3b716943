// SPDX-License-Identifier: Apache-2.0
#include "engine/pod.hpp"

#include <gtest/gtest.h>

namespace tow::engine {
namespace {

using std::chrono::seconds;

constexpr TimePoint at(int second) { return TimePoint{seconds{1000 + second}}; }

ContainerView running(const std::string& name, Phase phase, std::optional<TimePoint> ready = {}) {
  return {.name = name, .phase = phase, .started = at(0), .ready = ready};
}

TEST(Pod, WaitsForWhatIsNotThatFar) {
  const struct {
    const char* reason;
    std::map<std::string, Milestone> after;
    std::vector<ContainerView> others;
    const char* awaited;
  } rows[] = {
      {"nothing to wait for", {}, {}, ""},
      {"what was never seen", {{"a", Milestone::Started}}, {}, "a to run"},
      {"what runs has started", {{"a", Milestone::Started}}, {running("a", Phase::Starting)}, ""},
      {"what runs is not ready", {{"a", Milestone::Ready}}, {running("a", Phase::Starting)}, "a to be ready"},
      {"it is", {{"a", Milestone::Ready}}, {running("a", Phase::Ready, at(1))}, ""},
      {"what is ready has not ended",
       {{"a", Milestone::Complete}},
       {running("a", Phase::Ready, at(1))},
       "a to be complete"},
      {"what is complete has come all the way",
       {{"a", Milestone::Complete}, {"b", Milestone::Ready}},
       {{.name = "a", .complete = true}, {.name = "b", .complete = true}},
       ""},
      {"all of them",
       {{"a", Milestone::Started}, {"b", Milestone::Ready}},
       {running("c", Phase::Ready)},
       "a to run, b to be ready"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.reason);
    Progress progress;
    for (const auto& other : row.others) note(progress, other);
    EXPECT_EQ(awaited({.name = "x", .after = row.after}, progress), row.awaited);
  }
}

TEST(Pod, AGateThatWasOpenStaysOpen) {
  Progress progress;
  note(progress, running("a", Phase::Ready, at(1)));
  note(progress, {.name = "a", .phase = Phase::Backoff});
  EXPECT_EQ(awaited({.name = "x", .after = {{"a", Milestone::Ready}}}, progress), "");
}

TEST(Pod, IsWhatItsContainersAreTogether) {
  auto complete = running("prepare", Phase::Ended);
  complete.complete = true;
  auto waiting =
      ContainerView{.name = "late", .phase = Phase::Starting, .reason = "waits for main to be ready"};
  auto failing = running("main", Phase::Backoff);
  failing.reason = "exited with 1";
  failing.restarts = 2;
  failing.last_end = LastEnd{.time = at(5), .exit_code = 1, .reason = "exited with 1"};
  auto killed = running("main", Phase::Ready, at(9));
  killed.last_end =
      LastEnd{.time = at(5), .exit_code = 137, .out_of_memory = true, .reason = "killed for memory"};
  const struct {
    const char* why;
    std::vector<ContainerView> containers;
    Phase phase;
    std::optional<TimePoint> ready;
    const char* reason;
    std::optional<int> exit_code = {};
  } rows[] = {
      {"one alone speaks for itself", {failing}, Phase::Backoff, {}, "exited with 1", 1},
      {"since when all are ready",
       {running("main", Phase::Ready, at(1)), running("side", Phase::Ready, at(3))},
       Phase::Ready,
       at(3),
       ""},
      {"one that is not ready keeps the whole from it",
       {running("main", Phase::Ready, at(1)), running("side", Phase::Starting)},
       Phase::Starting,
       {},
       ""},
      {"what is complete does not count",
       {running("main", Phase::Ready, at(1)), complete},
       Phase::Ready,
       at(1),
       ""},
      {"what keeps ending explains what waits for it",
       {waiting, failing},
       Phase::Backoff,
       {},
       "main: exited with 1",
       1},
      {"what waits says so when nothing is wrong",
       {waiting, running("main", Phase::Starting)},
       Phase::Starting,
       {},
       "late: waits for main to be ready"},
      {"how it last ended is no reason now", {killed}, Phase::Ready, at(9), "", 137},
      {"all have gone", {running("main", Phase::Ended), complete}, Phase::Ended, {}, ""},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.why);
    InstanceView view;
    view.containers = row.containers;
    combine(view);
    EXPECT_EQ(view.phase, row.phase) << name(view.phase);
    EXPECT_EQ(view.ready, row.ready);
    EXPECT_EQ(view.reason, row.reason);
    EXPECT_EQ(view.exit_code, row.exit_code);
  }
}

TEST(Pod, FindsContainersThatWaitForEachOther) {
  EXPECT_EQ(find_cycle({{.name = "a", .after = {{"b", Milestone::Started}}}, {.name = "b"}}), "");
  EXPECT_EQ(find_cycle({{.name = "x", .after = {{"a", Milestone::Started}}},
                        {.name = "a", .after = {{"b", Milestone::Started}}},
                        {.name = "b", .after = {{"a", Milestone::Ready}}}}),
            "a → b → a");
}

}  // namespace
}  // namespace tow::engine
