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
    std::string operator()(const Shrink& a) const { return fmt::format("shrink {}", a.revision); }
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
RevisionSeen shrinking(Duration since, std::optional<int> sessions, RevisionSeen revision) {
  revision.shrinking_since = kNow - since;
  for (auto& each : revision.instances) each.sessions = sessions;
  return revision;
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
     .actions = {"shrink 7"},
     .phase = kHealthy,
     .message = ""},
    {.reason = "and stay while something is open on them",
     .wanted = {.revision = 7, .scale = 1},
     .observed = {shrinking(seconds{8}, 1, serving(7, 3))},
     .actions = {},
     .phase = kHealthy,
     .message = "",
     .again = seconds{1}},
    {.reason = "what is open on those that stay does not hold them up",
     .wanted = {.revision = 7, .scale = 3},
     .observed = {shrinking(seconds{8}, 1, serving(7, 3))},
     .actions = {},
     .phase = kHealthy,
     .message = ""},
    {.reason = "then they go",
     .wanted = {.revision = 7, .scale = 1},
     .observed = {shrinking(seconds{1}, 0, serving(7, 3))},
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
    const auto made =
        decide(row.wanted, {.revisions = row.observed, .watched_since = row.watched_since}, kNow);
    std::vector<std::string> actions;
    for (const auto& action : made.actions) actions.push_back(show(action));
    EXPECT_EQ(actions, row.actions) << row.reason;
    EXPECT_EQ(made.phase, row.phase) << row.reason;
    EXPECT_EQ(made.message, row.message) << row.reason;
    std::optional<Duration> again;
    if (made.again) again = *made.again - kNow;
    EXPECT_EQ(again, row.again) << row.reason;
  }
}

}  // namespace
}  // namespace tow::deploy
