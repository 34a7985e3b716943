// SPDX-License-Identifier: Apache-2.0
#include "deploy/rollout.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace tow::deploy {
namespace {

using engine::Phase;
using std::chrono::seconds;

constexpr TimePoint kNow{seconds{1'000'000}};

std::string show(const Action& action) {
  struct Show {
    std::string operator()(const Ensure& a) const {
      return fmt::format("ensure {} x{}", a.revision, a.count);
    }
    std::string operator()(const Shrink& a) const { return fmt::format("shrink {} to {}", a.revision, a.to); }
    std::string operator()(const Shift& a) const {
      return fmt::format("shift {} to {}%", a.revision, a.weight);
    }
    std::string operator()(const RunHook& a) const {
      return fmt::format("hook {} #{}", a.revision, a.number);
    }
    std::string operator()(const Serve& a) const { return fmt::format("serve {}", a.revision); }
    std::string operator()(const Withdraw& a) const { return fmt::format("withdraw {}", a.revision); }
    std::string operator()(const Retire& a) const { return fmt::format("retire {}", a.revision); }
    std::string operator()(const Fail& a) const { return fmt::format("fail {}: {}", a.revision, a.reason); }
    std::string operator()(const End& a) const { return fmt::format("end {}", a.revision); }
  };
  return std::visit(Show{}, action);
}

// --- revisions in words ---

RevisionSeen with(RevisionSeen revision, int count, Phase phase, int restarts = 0, std::string reason = {}) {
  revision.group = true;
  revision.count += count;
  for (int i = 0; i < count; ++i) {
    const int ordinal = static_cast<int>(revision.instances.size());
    revision.instances.push_back({.id = fmt::format("r{}-{}", revision.number, ordinal),
                                  .ordinal = ordinal,
                                  .phase = phase,
                                  .restarts = restarts,
                                  .reason = reason});
  }
  return revision;
}
RevisionSeen pending(int number) { return {.number = number}; }
RevisionSeen starting(int number, int count = 1) {
  return with({.number = number, .phase = Revision::Phase::Starting, .started = kNow - seconds{5}}, count,
              Phase::Starting);
}
RevisionSeen ready(int number, int count = 1) {
  return with({.number = number, .phase = Revision::Phase::Starting, .started = kNow - seconds{5}}, count,
              Phase::Ready);
}
RevisionSeen serving(int number, int count = 1) {
  return with(
      {.number = number, .phase = Revision::Phase::Serving, .served = true, .started = kNow - seconds{500}},
      count, Phase::Ready);
}
RevisionSeen draining(int number, Duration since, std::optional<int> sessions, int count = 1) {
  auto made =
      with({.number = number, .phase = Revision::Phase::Draining, .served = true}, count, Phase::Ready);
  made.draining_since = kNow - since;
  for (auto& each : made.instances) each.sessions = sessions;
  return made;
}
RevisionSeen retired(int number) {
  return {.number = number, .phase = Revision::Phase::Retired, .served = true};
}
RevisionSeen failed(int number) {
  return {.number = number, .phase = Revision::Phase::Failed, .message = "exited with 1"};
}
RevisionSeen exclusive(RevisionSeen revision) {
  revision.exclusive = true;
  return revision;
}
RevisionSeen retiring(RevisionSeen revision) {
  revision.retiring = true;
  revision.count = 0;
  for (auto& each : revision.instances) each.phase = Phase::Stopping;
  return revision;
}
RevisionSeen lost(RevisionSeen revision) {  // the engine has forgotten it
  revision.group = false;
  revision.count = 0;
  revision.instances.clear();
  return revision;
}
RevisionSeen waiting_for(Duration since, RevisionSeen revision) {
  revision.started = kNow - since;
  return revision;
}
RevisionSeen again(RevisionSeen revision) {  // it served before
  revision.served = true;
  return revision;
}
RevisionSeen shrinking(Duration since, std::optional<int> sessions, int to, RevisionSeen revision) {
  revision.shrinking_since = kNow - since;
  revision.shrinking_to = to;
  for (auto& each : revision.instances) each.sessions = sessions;
  return revision;
}

RevisionSeen weighing(int percent, RevisionSeen revision) {
  revision.weight = percent;
  return revision;
}
RevisionSeen hooked(HooksSeen hooks, RevisionSeen revision) {
  revision.hooks = std::move(hooks);
  return revision;
}
RevisionSeen of_failed(RevisionSeen revision) {  // it had a share, and has failed
  revision.phase = Revision::Phase::Failed;
  revision.message = "exited with 1";
  return revision;
}

const std::vector<Stage> kCanary = {{.weight = 10, .pause = std::chrono::minutes{2}},
                                    {.weight = 50, .pause = std::nullopt}};
const std::vector<Stage> kLook = {{.weight = 0, .pause = std::nullopt}};
Standing step(int stage, Duration since) { return {.revision = 7, .stage = stage, .since = kNow - since}; }
const Wanted kPlainCanary = {.revision = 7, .stages = kCanary, .error_limit = 0.05};
Wanted canary(Said said = {}) {
  auto made = kPlainCanary;
  made.said = std::move(said);
  return made;
}
Wanted batches(int scale, int surge, int unavailable) {
  return {.revision = 7, .scale = scale, .batches = Batches{.surge = surge, .unavailable = unavailable}};
}

struct Case {
  std::string reason;
  Wanted wanted;
  std::vector<RevisionSeen> observed;
  std::vector<std::string> actions;
  Deployment::Phase phase;
  std::string message;
  std::optional<Duration> again = {};
  TimePoint watched_since = {};
  std::optional<Standing> standing = {};
  Answers coming = {};
  Answers serving = {};
  std::optional<Standing> stands = {};  // afterwards
  bool waits = false;
};

constexpr auto kHealthy = Deployment::Phase::Healthy;
constexpr auto kProgressing = Deployment::Phase::Progressing;
constexpr auto kDegraded = Deployment::Phase::Degraded;
constexpr auto kFailed = Deployment::Phase::Failed;
constexpr auto kPending = Deployment::Phase::Pending;

const Case kCases[] = {
    // --- rolling ---
    {.reason = "the first revision is started",
     .wanted = {.revision = 1},
     .observed = {pending(1)},
     .actions = {"ensure 1 x1"},
     .phase = kProgressing,
     .message = "revision 1 is being started"},
    {.reason = "a revision gets no traffic before its instances are ready",
     .wanted = {.revision = 7, .scale = 2},
     .observed = {serving(6, 2), starting(7, 2)},
     .actions = {},
     .phase = kProgressing,
     .message = "revision 7: 0 of 2 instances ready; revision 6 goes on serving",
     .again = seconds{55}},
    {.reason = "nor before all of them are",
     .wanted = {.revision = 7, .scale = 2},
     .observed = {serving(6, 2), with(ready(7, 1), 1, Phase::Starting)},
     .actions = {},
     .phase = kProgressing,
     .message = "revision 7: 1 of 2 instances ready; revision 6 goes on serving",
     .again = seconds{55}},
    {.reason = "then it gets all of it",
     .wanted = {.revision = 7, .scale = 2},
     .observed = {serving(6, 2), ready(7, 2)},
     .actions = {"serve 7"},
     .phase = kProgressing,
     .message = "revision 7: 2 of 2 instances ready; revision 6 goes on serving"},
    {.reason = "the old one stays while something is open on it, and is looked at again",
     .wanted = {.revision = 7},
     .observed = {draining(6, seconds{2}, 3), serving(7)},
     .actions = {},
     .phase = kHealthy,
     .message = "",
     .again = std::chrono::milliseconds{500}},
    {.reason = "it goes when nothing is open on it any more",
     .wanted = {.revision = 7},
     .observed = {draining(6, seconds{2}, 0), serving(7)},
     .actions = {"retire 6"},
     .phase = kHealthy,
     .message = ""},
    {.reason = "or when its time is over",
     .wanted = {.revision = 7},
     .observed = {draining(6, seconds{30}, 3), serving(7)},
     .actions = {"retire 6"},
     .phase = kHealthy,
     .message = ""},
    {.reason = "what cannot be counted gets the whole time",
     .wanted = {.revision = 7},
     .observed = {draining(6, seconds{20}, std::nullopt), serving(7)},
     .actions = {},
     .phase = kHealthy,
     .message = "",
     .again = seconds{1}},
    {.reason = "it is not retired twice",
     .wanted = {.revision = 7},
     .observed = {retiring(draining(6, seconds{2}, 0)), serving(7)},
     .actions = {},
     .phase = kHealthy,
     .message = ""},
    {.reason = "when its group is gone it is Retired",
     .wanted = {.revision = 7},
     .observed = {lost(draining(6, seconds{2}, 0)), serving(7)},
     .actions = {"end 6"},
     .phase = kHealthy,
     .message = ""},
    {.reason = "nothing is to be done when all is well",
     .wanted = {.revision = 7, .scale = 2},
     .observed = {failed(5), retired(6), serving(7, 2)},
     .actions = {},
     .phase = kHealthy,
     .message = ""},

    // --- a newer one during a rollout ---
    {.reason = "a newer revision takes the place of one that is coming up",
     .wanted = {.revision = 8},
     .observed = {serving(6), starting(7), pending(8)},
     .actions = {"retire 7", "ensure 8 x1"},
     .phase = kProgressing,
     .message = "revision 8 is being started; revision 6 goes on serving"},
    {.reason = "one that was never started ends without ado",
     .wanted = {.revision = 8},
     .observed = {serving(6), pending(7), pending(8)},
     .actions = {"end 7", "ensure 8 x1"},
     .phase = kProgressing,
     .message = "revision 8 is being started; revision 6 goes on serving"},

    // --- failure and return ---
    {.reason = "a revision that keeps ending has failed, for the reason of its instances",
     .wanted = {.revision = 7},
     .observed = {serving(6),
                  with({.number = 7, .phase = Revision::Phase::Starting, .started = kNow - seconds{4}}, 1,
                       Phase::Backoff, 3, "exited with 1 after 0.2s")},
     .actions = {"fail 7: exited with 1 after 0.2s", "retire 7"},
     .phase = kProgressing,
     .message = "revision 7: 0 of 1 instance ready: exited with 1 after 0.2s; revision 6 goes on serving"},
    {.reason = "two bad starts may still be followed by a good one",
     .wanted = {.revision = 7},
     .observed = {serving(6),
                  with({.number = 7, .phase = Revision::Phase::Starting, .started = kNow - seconds{4}}, 1,
                       Phase::Backoff, 2, "exited with 1")},
     .actions = {},
     .phase = kProgressing,
     .message = "revision 7: 0 of 1 instance ready: exited with 1; revision 6 goes on serving",
     .again = seconds{56}},
    {.reason = "one that does not become ready in time has failed",
     .wanted = {.revision = 7},
     .observed = {serving(6),
                  with({.number = 7, .phase = Revision::Phase::Starting, .started = kNow - seconds{60}}, 1,
                       Phase::Starting, 0, "listens on 3000, not on the declared 8080")},
     .actions = {"fail 7: not ready within 1m: listens on 3000, not on the declared 8080", "retire 7"},
     .phase = kProgressing,
     .message = "revision 7: 0 of 1 instance ready: listens on 3000, not on the declared 8080; revision 6 "
                "goes on serving"},
    {.reason = "the time in which nobody looked does not count",
     .wanted = {.revision = 7},
     .observed = {waiting_for(seconds{600}, starting(7))},
     .actions = {},
     .phase = kProgressing,
     .message = "revision 7: 0 of 1 instance ready",
     .again = seconds{58},
     .watched_since = kNow - seconds{2}},
    {.reason = "after a failure the old one goes on as if nothing had been",
     .wanted = {.revision = 7},
     .observed = {serving(6), failed(7)},
     .actions = {},
     .phase = kFailed,
     .message = "revision 7 failed: exited with 1; revision 6 goes on serving"},
    {.reason = "and can be scaled",
     .wanted = {.revision = 7, .scale = 3},
     .observed = {serving(6), failed(7)},
     .actions = {"ensure 6 x3"},
     .phase = kFailed,
     .message = "revision 7 failed: exited with 1; revision 6 goes on serving"},
    {.reason = "what is left of the failed one goes",
     .wanted = {.revision = 7},
     .observed = {serving(6), with(failed(7), 1, Phase::Backoff, 3)},
     .actions = {"retire 7"},
     .phase = kFailed,
     .message = "revision 7 failed: exited with 1; revision 6 goes on serving"},
    {.reason = "a first revision that failed leaves nothing to return to",
     .wanted = {.revision = 1},
     .observed = {failed(1)},
     .actions = {},
     .phase = kFailed,
     .message = "revision 1 failed: exited with 1"},

    // --- recreate ---
    {.reason = "with recreate the old one gives up its traffic first",
     .wanted = {.revision = 7, .recreate = true},
     .observed = {serving(6), pending(7)},
     .actions = {"withdraw 6"},
     .phase = kProgressing,
     .message = "revision 7 starts when revision 6 has ended"},
    {.reason = "so it does where both write to a volume",
     .wanted = {.revision = 7},
     .observed = {exclusive(serving(6)), exclusive(pending(7))},
     .actions = {"withdraw 6"},
     .phase = kProgressing,
     .message = "revision 7 starts when revision 6 has ended"},
    {.reason = "it drains for a shorter time, as nothing serves meanwhile",
     .wanted = {.revision = 7, .recreate = true},
     .observed = {draining(6, seconds{5}, 2), pending(7)},
     .actions = {"retire 6"},
     .phase = kProgressing,
     .message = "revision 7 is being started"},
    {.reason = "the new one waits until it is gone",
     .wanted = {.revision = 7, .recreate = true},
     .observed = {retiring(draining(6, seconds{1}, 0)), pending(7)},
     .actions = {},
     .phase = kProgressing,
     .message = "revision 7 is being started"},
    {.reason = "and starts then",
     .wanted = {.revision = 7, .recreate = true},
     .observed = {retired(6), pending(7)},
     .actions = {"ensure 7 x1"},
     .phase = kProgressing,
     .message = "revision 7 is being started"},
    {.reason = "when it fails, the old one comes back once it is gone",
     .wanted = {.revision = 7, .recreate = true},
     .observed = {retired(6), retiring(with(failed(7), 1, Phase::Backoff, 3))},
     .actions = {},
     .phase = kFailed,
     .message = "revision 7 failed: exited with 1; returning to revision 6"},
    {.reason = "it is started again",
     .wanted = {.revision = 7, .recreate = true},
     .observed = {retired(6), failed(7)},
     .actions = {"ensure 6 x1"},
     .phase = kFailed,
     .message = "revision 7 failed: exited with 1; returning to revision 6"},
    {.reason = "it serves again when it is ready",
     .wanted = {.revision = 7, .recreate = true},
     .observed = {again(ready(6)), failed(7)},
     .actions = {"serve 6"},
     .phase = kFailed,
     .message = "revision 7 failed: exited with 1; returning to revision 6"},
    {.reason = "what served before is tried for as long as it takes",
     .wanted = {.revision = 7, .recreate = true},
     .observed = {with({.number = 6,
                        .phase = Revision::Phase::Starting,
                        .served = true,
                        .started = kNow - seconds{600}},
                       1, Phase::Backoff, 9, "exited with 1"),
                  failed(7)},
     .actions = {},
     .phase = kFailed,
     .message = "revision 7 failed: exited with 1; returning to revision 6"},
    {.reason = "what writes to a volume has one instance, whatever the scale",
     .wanted = {.revision = 1, .scale = 3},
     .observed = {exclusive(pending(1))},
     .actions = {"ensure 1 x1"},
     .phase = kProgressing,
     .message = "revision 1 is being started"},

    {.reason = "and that is said",
     .wanted = {.revision = 1, .scale = 3},
     .observed = {exclusive(serving(1))},
     .actions = {},
     .phase = kHealthy,
     .message = "it writes to a volume: one instance runs, not 3"},

    // --- canary ---
    {.reason = "a canary comes up whole before it gets anything",
     .wanted = canary(),
     .observed = {serving(6), starting(7)},
     .actions = {},
     .phase = kProgressing,
     .message = "revision 7: 0 of 1 instance ready; revision 6 goes on serving",
     .again = seconds{55}},
    {.reason = "then it gets the first step's share",
     .wanted = canary(),
     .observed = {serving(6), ready(7)},
     .actions = {"shift 7 to 10%"},
     .phase = kProgressing,
     .message = "step 1 of 2: revision 7 has 10% of the traffic for 2m, revision 6 the rest",
     .again = seconds{1},
     .stands = step(1, seconds{0})},
    {.reason = "and keeps it for the step's time",
     .wanted = canary(),
     .observed = {serving(6), weighing(10, ready(7))},
     .actions = {},
     .phase = kProgressing,
     .message = "step 1 of 2: revision 7 has 10% of the traffic for 2m, revision 6 the rest",
     .again = seconds{1},
     .standing = step(1, seconds{60}),
     .stands = step(1, seconds{60})},
    {.reason = "when that is over, the next step begins, which waits for a person",
     .wanted = canary(),
     .observed = {serving(6), weighing(10, ready(7))},
     .actions = {"shift 7 to 50%"},
     .phase = kProgressing,
     .message = "step 2 of 2: revision 7 has 50% of the traffic until it is continued, revision 6 the rest",
     .again = seconds{1},
     .standing = step(1, seconds{120}),
     .stands = step(2, seconds{0}),
     .waits = true},
    {.reason = "it waits for as long as it takes",
     .wanted = canary(),
     .observed = {serving(6), weighing(50, ready(7))},
     .actions = {},
     .phase = kProgressing,
     .message = "step 2 of 2: revision 7 has 50% of the traffic until it is continued, revision 6 the rest",
     .again = seconds{1},
     .standing = step(2, std::chrono::hours{30}),
     .stands = step(2, std::chrono::hours{30}),
     .waits = true},
    {.reason = "continued after the last step, it gets everything",
     .wanted = canary({.revision = 7, .continued = 2}),
     .observed = {serving(6), weighing(50, ready(7))},
     .actions = {"serve 7"},
     .phase = kProgressing,
     .message = "revision 7: 1 of 1 instance ready; revision 6 goes on serving",
     .standing = step(2, seconds{9})},
    {.reason = "a step is skipped by a person",
     .wanted = canary({.revision = 7, .continued = 1}),
     .observed = {serving(6), weighing(10, ready(7))},
     .actions = {"shift 7 to 50%"},
     .phase = kProgressing,
     .message = "step 2 of 2: revision 7 has 50% of the traffic until it is continued, revision 6 the rest",
     .again = seconds{1},
     .standing = step(1, seconds{3}),
     .stands = step(2, seconds{0}),
     .waits = true},
    {.reason = "what was said of another revision does not count",
     .wanted = canary({.revision = 5, .paused = true, .continued = 2, .aborted = true}),
     .observed = {serving(6), weighing(10, ready(7))},
     .actions = {},
     .phase = kProgressing,
     .message = "step 1 of 2: revision 7 has 10% of the traffic for 2m, revision 6 the rest",
     .again = seconds{1},
     .standing = step(1, seconds{60}),
     .stands = step(1, seconds{60})},
    {.reason = "paused, it stays where it is when the step's time is over",
     .wanted = canary({.revision = 7, .paused = true, .by = "ann"}),
     .observed = {serving(6), weighing(10, ready(7))},
     .actions = {},
     .phase = kProgressing,
     .message = "paused by ann: step 1 of 2: revision 7 has 10% of the traffic for 2m, revision 6 the rest",
     .again = seconds{1},
     .standing = step(1, seconds{900}),
     .stands = step(1, seconds{900}),
     .waits = true},
    {.reason = "more errors than the bound, and than what it replaces: it is taken back at once",
     .wanted = canary(),
     .observed = {serving(6), weighing(10, ready(7))},
     .actions = {"fail 7: 10.0% of its 50 answers were errors, of revision 6's 1.0%; the bound is 5%",
                 "withdraw 7"},
     .phase = kProgressing,
     .message = "revision 7: 1 of 1 instance ready; revision 6 goes on serving",
     .standing = step(1, seconds{60}),
     .coming = {.all = 50, .errors = 5},
     .serving = {.all = 500, .errors = 5}},
    {.reason = "a few answers say nothing",
     .wanted = canary(),
     .observed = {serving(6), weighing(10, ready(7))},
     .actions = {},
     .phase = kProgressing,
     .message = "step 1 of 2: revision 7 has 10% of the traffic for 2m, revision 6 the rest",
     .again = seconds{1},
     .standing = step(1, seconds{60}),
     .coming = {.all = 19, .errors = 19},
     .stands = step(1, seconds{60})},
    {.reason = "errors that the old one has as well are not the new one's",
     .wanted = canary(),
     .observed = {serving(6), weighing(10, ready(7))},
     .actions = {},
     .phase = kProgressing,
     .message = "step 1 of 2: revision 7 has 10% of the traffic for 2m, revision 6 the rest",
     .again = seconds{1},
     .standing = step(1, seconds{60}),
     .coming = {.all = 50, .errors = 10},
     .serving = {.all = 500, .errors = 150},
     .stands = step(1, seconds{60})},
    {.reason = "an instance that keeps ending takes it back in the middle of a step",
     .wanted = canary(),
     .observed = {serving(6), weighing(10, with({.number = 7,
                                                 .phase = Revision::Phase::Starting,
                                                 .started = kNow - seconds{90}},
                                                1, Phase::Backoff, 3, "exited with 1"))},
     .actions = {"fail 7: exited with 1", "withdraw 7"},
     .phase = kProgressing,
     .message = "revision 7: 0 of 1 instance ready: exited with 1; revision 6 goes on serving",
     .standing = step(1, seconds{60})},
    {.reason = "one that is not ready when its step is over gets the time to become so",
     .wanted = canary(),
     .observed = {serving(6), weighing(10, starting(7))},
     .actions = {},
     .phase = kProgressing,
     .message = "revision 7: 0 of 1 instance ready; revision 6 goes on serving",
     .again = seconds{1},
     .standing = step(1, seconds{150}),
     .stands = step(1, seconds{150})},
    {.reason = "and no more than that",
     .wanted = canary(),
     .observed = {serving(6), weighing(10, starting(7))},
     .actions = {"fail 7: not ready within 1m", "withdraw 7"},
     .phase = kProgressing,
     .message = "revision 7: 0 of 1 instance ready; revision 6 goes on serving",
     .standing = step(1, seconds{180})},
    {.reason = "aborted, it is taken back",
     .wanted = canary({.revision = 7, .aborted = true, .by = "ann"}),
     .observed = {serving(6), weighing(50, ready(7))},
     .actions = {"fail 7: aborted by ann", "withdraw 7"},
     .phase = kProgressing,
     .message = "revision 7: 1 of 1 instance ready; revision 6 goes on serving",
     .standing = step(2, seconds{9})},
    {.reason = "aborted before it had any share, it just goes",
     .wanted = canary({.revision = 7, .aborted = true, .by = "ann"}),
     .observed = {serving(6), starting(7)},
     .actions = {"fail 7: aborted by ann", "retire 7"},
     .phase = kProgressing,
     .message = "revision 7: 0 of 1 instance ready; revision 6 goes on serving"},
    {.reason = "what is open on a canary that was taken back ends in peace",
     .wanted = canary(),
     .observed = {serving(6), of_failed(draining(7, seconds{2}, 3))},
     .actions = {},
     .phase = kFailed,
     .message = "revision 7 failed: exited with 1; revision 6 goes on serving",
     .again = std::chrono::milliseconds{500}},
    {.reason = "and then it goes",
     .wanted = canary(),
     .observed = {serving(6), of_failed(draining(7, seconds{2}, 0))},
     .actions = {"retire 7"},
     .phase = kFailed,
     .message = "revision 7 failed: exited with 1; revision 6 goes on serving"},
    {.reason = "a newer revision takes the place of a canary, which loses its share first",
     .wanted = {.revision = 8, .stages = kCanary},
     .observed = {serving(6), weighing(10, ready(7)), pending(8)},
     .actions = {"withdraw 7", "ensure 8 x1"},
     .phase = kProgressing,
     .message = "revision 8 is being started; revision 6 goes on serving",
     .standing = step(1, seconds{60})},
    {.reason = "a canary that is scaled up gets the new instances before it goes on",
     .wanted = {.revision = 7, .scale = 2, .stages = kCanary},
     .observed = {serving(6, 2), weighing(10, ready(7))},
     .actions = {"ensure 7 x2"},
     .phase = kProgressing,
     .message = "revision 7: 1 of 2 instances ready; revision 6 goes on serving",
     .standing = step(1, seconds{60}),
     .stands = step(1, seconds{60})},
    {.reason = "where nothing serves there is nothing to compare with: it gets everything",
     .wanted = canary(),
     .observed = {ready(7)},
     .actions = {"serve 7"},
     .phase = kProgressing,
     .message = "revision 7: 1 of 1 instance ready"},

    // --- blue-green ---
    {.reason = "the new side waits beside the old one, to be looked at",
     .wanted = {.revision = 7, .stages = kLook},
     .observed = {serving(6), ready(7)},
     .actions = {},
     .phase = kProgressing,
     .message = "revision 7 is ready beside revision 6, which serves until it is continued",
     .stands = step(1, seconds{0}),
     .waits = true},
    {.reason = "and has everything when somebody says so",
     .wanted = {.revision = 7, .stages = kLook, .said = {.revision = 7, .continued = 1}},
     .observed = {serving(6), ready(7)},
     .actions = {"serve 7"},
     .phase = kProgressing,
     .message = "revision 7: 1 of 1 instance ready; revision 6 goes on serving",
     .standing = step(1, seconds{9})},
    {.reason = "a plain rollout can be paused before the switch, too",
     .wanted = {.revision = 7, .said = {.revision = 7, .paused = true, .by = "ann"}},
     .observed = {serving(6), ready(7)},
     .actions = {},
     .phase = kProgressing,
     .message = "paused by ann: revision 7: 1 of 1 instance ready; revision 6 goes on serving",
     .waits = true},

    // --- rolling in batches ---
    {.reason = "one more than the scale may exist",
     .wanted = batches(3, 1, 0),
     .observed = {serving(6, 3), pending(7)},
     .actions = {"ensure 7 x1"},
     .phase = kProgressing,
     .message = "revision 7 is being started; revision 6 goes on serving"},
    {.reason = "none of the old ones goes before the new one is ready",
     .wanted = batches(3, 1, 0),
     .observed = {serving(6, 3), starting(7)},
     .actions = {},
     .phase = kProgressing,
     .message = "revision 7: 0 of 3 instances ready; revision 6 goes on serving",
     .again = seconds{55}},
    {.reason = "a ready one has its share, and one of the old ones closes",
     .wanted = batches(3, 1, 0),
     .observed = {serving(6, 3), ready(7)},
     .actions = {"shrink 6 to 2", "shift 7 to 25%"},
     .phase = kProgressing,
     .message = "revision 7: 1 of 3 instances ready; revision 6 goes on serving"},
    {.reason = "it stays while something is open on it",
     .wanted = batches(3, 1, 0),
     .observed = {shrinking(seconds{8}, 1, 2, serving(6, 3)), weighing(33, ready(7))},
     .actions = {},
     .phase = kProgressing,
     .message = "revision 7: 1 of 3 instances ready; revision 6 goes on serving",
     .again = seconds{1}},
    {.reason = "and makes room when it goes",
     .wanted = batches(3, 1, 0),
     .observed = {shrinking(seconds{8}, 0, 2, serving(6, 3)), weighing(33, ready(7))},
     .actions = {"ensure 6 x2"},
     .phase = kProgressing,
     .message = "revision 7: 1 of 3 instances ready; revision 6 goes on serving"},
    {.reason = "which the next one takes",
     .wanted = batches(3, 1, 0),
     .observed = {serving(6, 2), weighing(33, ready(7))},
     .actions = {"ensure 7 x2"},
     .phase = kProgressing,
     .message = "revision 7: 1 of 3 instances ready; revision 6 goes on serving"},
    {.reason = "when all of the new ones are ready it serves",
     .wanted = batches(3, 1, 0),
     .observed = {serving(6, 1), weighing(75, ready(7, 3))},
     .actions = {"serve 7"},
     .phase = kProgressing,
     .message = "revision 7: 3 of 3 instances ready; revision 6 goes on serving"},
    {.reason = "without room for more, one of the old ones goes first",
     .wanted = batches(3, 0, 1),
     .observed = {serving(6, 3), pending(7)},
     .actions = {"shrink 6 to 2"},
     .phase = kProgressing,
     .message = "revision 7 is being started; revision 6 goes on serving"},
    {.reason = "old ones that are not ready count for nothing",
     .wanted = batches(3, 1, 0),
     .observed = {with(serving(6, 2), 1, Phase::Backoff, 9), starting(7)},
     .actions = {"shrink 6 to 2"},
     .phase = kProgressing,
     .message = "revision 7: 0 of 3 instances ready; revision 6 goes on serving",
     .again = seconds{55}},
    {.reason = "paused, nothing comes and nothing goes",
     .wanted = {.revision = 7,
                .scale = 3,
                .batches = Batches{.surge = 1, .unavailable = 0},
                .said = {.revision = 7, .paused = true, .by = "ann"}},
     .observed = {serving(6, 3), weighing(25, ready(7))},
     .actions = {},
     .phase = kProgressing,
     .message = "paused by ann: revision 7: 1 of 3 instances ready; revision 6 goes on serving",
     .waits = true},
    {.reason = "when it fails halfway, its ready ones carry on until the old one is whole",
     .wanted = batches(3, 1, 0),
     .observed = {serving(6, 1), weighing(67, of_failed(ready(7, 2)))},
     .actions = {"ensure 6 x2"},
     .phase = kFailed,
     .message = "revision 7 failed: exited with 1; revision 6 goes on serving"},
    {.reason = "they make room one after the other",
     .wanted = batches(3, 1, 0),
     .observed = {serving(6, 2), weighing(50, of_failed(ready(7, 2)))},
     .actions = {"shrink 7 to 1"},
     .phase = kFailed,
     .message = "revision 7 failed: exited with 1; revision 6 goes on serving"},
    {.reason = "and the rest loses its share when it is",
     .wanted = batches(3, 1, 0),
     .observed = {serving(6, 3), weighing(25, of_failed(ready(7)))},
     .actions = {"withdraw 7"},
     .phase = kFailed,
     .message = "revision 7 failed: exited with 1; revision 6 goes on serving"},
    {.reason = "a newer revision replaces both, the unfinished one first",
     .wanted = {.revision = 8, .scale = 3, .batches = Batches{.surge = 1, .unavailable = 0}},
     .observed = {serving(6, 2), weighing(50, ready(7, 2)), pending(8)},
     .actions = {"shrink 7 to 1"},
     .phase = kProgressing,
     .message = "revision 8 is being started; revision 6 goes on serving"},
    {.reason = "an instance that goes on ending takes it back",
     .wanted = batches(3, 1, 0),
     .observed = {serving(6, 3),
                  with({.number = 7, .phase = Revision::Phase::Starting, .started = kNow - seconds{9}}, 1,
                       Phase::Backoff, 3, "exited with 1")},
     .actions = {"fail 7: exited with 1", "retire 7"},
     .phase = kProgressing,
     .message = "revision 7: 0 of 3 instances ready: exited with 1; revision 6 goes on serving"},

    // --- commands before ---
    {.reason = "its command runs before anything of it starts",
     .wanted = {.revision = 7},
     .observed = {serving(6), hooked({.total = 2, .name = "migrate"}, pending(7))},
     .actions = {"hook 7 #0"},
     .phase = kProgressing,
     .message = "revision 7: hook 1 of 2 runs: migrate; revision 6 goes on serving"},
    {.reason = "which is waited for",
     .wanted = {.revision = 7},
     .observed = {serving(6), hooked({.total = 2, .done = 1, .running = true, .name = "seed"}, pending(7))},
     .actions = {},
     .phase = kProgressing,
     .message = "revision 7: hook 2 of 2 runs: seed; revision 6 goes on serving"},
    {.reason = "when all have run, it starts",
     .wanted = {.revision = 7},
     .observed = {serving(6), hooked({.total = 2, .done = 2}, pending(7))},
     .actions = {"ensure 7 x1"},
     .phase = kProgressing,
     .message = "revision 7 is being started; revision 6 goes on serving"},
    {.reason = "one that fails stops the rollout",
     .wanted = {.revision = 7},
     .observed = {serving(6),
                  hooked({.total = 1, .name = "migrate", .failure = "exited with 1"}, pending(7))},
     .actions = {"fail 7: exited with 1"},
     .phase = kProgressing,
     .message = "revision 7: hook 1 of 1 runs: migrate; revision 6 goes on serving"},
    {.reason = "with recreate, too, the old one serves until they have run",
     .wanted = {.revision = 7, .recreate = true},
     .observed = {serving(6), hooked({.total = 1, .running = true, .name = "migrate"}, pending(7))},
     .actions = {},
     .phase = kProgressing,
     .message = "revision 7: hook 1 of 1 runs: migrate; revision 6 goes on serving"},

    // --- scale ---
    {.reason = "more instances are asked for at once",
     .wanted = {.revision = 7, .scale = 3},
     .observed = {serving(7, 1)},
     .actions = {"ensure 7 x3"},
     .phase = kProgressing,
     .message = "1 of 3 instances ready"},
    {.reason = "surplus ones lose their traffic first",
     .wanted = {.revision = 7, .scale = 1},
     .observed = {serving(7, 3)},
     .actions = {"shrink 7 to 1"},
     .phase = kHealthy,
     .message = ""},
    {.reason = "and stay while something is open on them",
     .wanted = {.revision = 7, .scale = 1},
     .observed = {shrinking(seconds{8}, 1, 1, serving(7, 3))},
     .actions = {},
     .phase = kHealthy,
     .message = "",
     .again = seconds{1}},
    {.reason = "a scale that is raised again meanwhile opens them again",
     .wanted = {.revision = 7, .scale = 3},
     .observed = {shrinking(seconds{8}, 1, 1, serving(7, 3))},
     .actions = {"ensure 7 x3"},
     .phase = kHealthy,
     .message = ""},
    {.reason = "what is open on those that stay does not hold them up",
     .wanted = {.revision = 7, .scale = 2},
     .observed = {shrinking(seconds{8}, 0, 2, with(serving(7, 2), 1, Phase::Ready))},
     .actions = {"ensure 7 x2"},
     .phase = kHealthy,
     .message = ""},
    {.reason = "a scale that is lowered further meanwhile closes more",
     .wanted = {.revision = 7, .scale = 1},
     .observed = {shrinking(seconds{8}, 1, 2, serving(7, 3))},
     .actions = {"shrink 7 to 1"},
     .phase = kHealthy,
     .message = ""},
    {.reason = "then they go",
     .wanted = {.revision = 7, .scale = 1},
     .observed = {shrinking(seconds{1}, 0, 1, serving(7, 3))},
     .actions = {"ensure 7 x1"},
     .phase = kHealthy,
     .message = ""},
    {.reason = "scale 0 is well without any instance",
     .wanted = {.revision = 7, .scale = 0},
     .observed = {with(serving(7, 0), 0, Phase::Ready)},
     .actions = {},
     .phase = kHealthy,
     .message = "scaled to 0"},
    {.reason = "a new revision at scale 0 serves at once",
     .wanted = {.revision = 8, .scale = 0},
     .observed = {serving(7, 0), starting(8, 0)},
     .actions = {"serve 8"},
     .phase = kProgressing,
     .message = "revision 8: 0 of 0 instances ready; revision 7 goes on serving"},
    {.reason = "a scale that changes during a rollout is the new revision's",
     .wanted = {.revision = 7, .scale = 3},
     .observed = {serving(6, 1), starting(7, 1)},
     .actions = {"ensure 7 x3"},
     .phase = kProgressing,
     .message = "revision 7: 0 of 3 instances ready; revision 6 goes on serving",
     .again = seconds{55}},

    // --- what serves is unwell ---
    {.reason = "an instance that keeps ending makes the deployment Degraded, with the reason",
     .wanted = {.revision = 7, .scale = 2},
     .observed = {with(serving(7, 1), 1, Phase::Backoff, 5, "killed for memory: the limit is 64Mi")},
     .actions = {},
     .phase = kDegraded,
     .message = "1 of 2 instances ready: killed for memory: the limit is 64Mi"},
    {.reason = "an instance that is being made again after a restart of the machine is on its way",
     .wanted = {.revision = 7},
     .observed = {with({.number = 7, .phase = Revision::Phase::Serving, .served = true}, 1, Phase::Starting)},
     .actions = {},
     .phase = kProgressing,
     .message = "0 of 1 instance ready"},
    {.reason = "what the engine has lost is made again",
     .wanted = {.revision = 7, .scale = 2},
     .observed = {lost(serving(7, 2))},
     .actions = {"ensure 7 x2"},
     .phase = kProgressing,
     .message = "0 of 2 instances ready"},
    {.reason = "also while another revision comes up",
     .wanted = {.revision = 7},
     .observed = {lost(serving(6)), starting(7)},
     .actions = {"ensure 6 x1"},
     .phase = kProgressing,
     .message = "revision 7: 0 of 1 instance ready; revision 6 goes on serving",
     .again = seconds{55}},
    {.reason = "a crash-looping old revision does not stop the new one from taking over",
     .wanted = {.revision = 7},
     .observed = {with({.number = 6, .phase = Revision::Phase::Serving, .served = true}, 1, Phase::Backoff,
                       9),
                  ready(7)},
     .actions = {"serve 7"},
     .phase = kProgressing,
     .message = "revision 7: 1 of 1 instance ready; revision 6 goes on serving"},

    // --- nothing can be wanted ---
    {.reason = "while nothing that is wanted can be planned, what serves is kept up",
     .wanted = {.revision = 0, .scale = 2},
     .observed = {serving(6, 1)},
     .actions = {"ensure 6 x2"},
     .phase = kProgressing,
     .message = "1 of 2 instances ready"},
    {.reason = "and where nothing serves there is nothing to do",
     .wanted = {.revision = 0},
     .observed = {},
     .actions = {},
     .phase = kPending,
     .message = ""},
};

TEST(Rollout, Decides) {
  for (const auto& row : kCases) {
    const Observed observed{.revisions = row.observed,
                            .standing = row.standing,
                            .coming = row.coming,
                            .serving = row.serving,
                            .watched_since = row.watched_since};
    const auto made = decide(row.wanted, observed, kNow);
    std::vector<std::string> actions;
    for (const auto& action : made.actions) actions.push_back(show(action));
    EXPECT_EQ(actions, row.actions) << row.reason;
    EXPECT_EQ(made.phase, row.phase) << row.reason;
    EXPECT_EQ(made.message, row.message) << row.reason;
    std::optional<Duration> again;
    if (made.again) again = *made.again - kNow;
    EXPECT_EQ(again, row.again) << row.reason;
    EXPECT_EQ(made.standing, row.stands) << row.reason;
    EXPECT_EQ(made.waits, row.waits) << row.reason;
  }
}

}  // namespace
}  // namespace tow::deploy
