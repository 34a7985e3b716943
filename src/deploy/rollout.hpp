// SPDX-License-Identifier: Apache-2.0
#pragma once
// What one deployment should do next: from what is wanted, what is recorded and what the engine has, to a
// list of actions. Pure: the same arguments give the same actions. Whoever carries them out may die after any
// of them; asked again, decide() goes on from what was reached.
//
// The way of a revision: Pending → Starting (its group was asked for) → Serving (all its instances were
// ready; it has all of the traffic) → Draining (another has it) → Retired (its group is gone). A revision
// that does not become ready is Failed, and the one that served before goes on, or comes back.
//
// Meanwhile a revision that is Starting may have a share of the traffic, its weight; the one that serves has
// the rest. Stages (canary, blue-green) bring it up whole and move weights; batches (rolling with bounds)
// move instances, and each ready one has the same share.

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "engine/engine.hpp"
#include "model/deployment.hpp"

namespace tow::deploy {

struct InstanceSeen {
  std::string id;
  int ordinal = 0;
  engine::Phase phase = engine::Phase::Starting;
  int restarts = 0;
  std::string reason;
  std::optional<int> sessions = 0;  // that are open now; nothing: they cannot be counted
};

/// Its commands before it starts, which run one after the other, once.
struct HooksSeen {
  int total = 0;
  int done = 0;
  bool running = false;
  std::string name;     // of the one that is due or runs, for people
  std::string failure;  // why it ended; empty: it has not failed
};

struct RevisionSeen {
  int number = 0;
  Revision::Phase phase = Revision::Phase::Pending;
  std::string message;     // why it failed
  bool served = false;     // it had the traffic once
  bool exclusive = false;  // it writes to a volume: it never runs beside another revision
  std::optional<TimePoint> started;
  std::optional<TimePoint> draining_since;
  std::optional<TimePoint> shrinking_since;  // its surplus instances get nothing new since then
  int shrinking_to = 0;                      // … those from this ordinal on
  int weight = 0;                            // percent of the traffic, where it does not serve
  std::optional<TimePoint> progressed;       // when the rollout last got further with it
  HooksSeen hooks;
  bool group = false;  // the engine has its group
  bool retiring = false;
  int count = 0;                        // instances that the engine was asked for
  std::vector<InstanceSeen> instances;  // in order of their ordinals
};

/// How many instances may come and go at once.
struct Batches {
  int surge = 1;        // more than the scale that may exist
  int unavailable = 0;  // fewer than the scale that may be ready
};

/// What a person said of the rollout of a revision.
struct Said {
  int revision = 0;
  bool paused = false;
  int continued = 0;  // stages up to this one last no longer
  bool aborted = false;
  std::string by;
};

struct Wanted {
  int revision = 0;  // its number; 0: there is none that could run
  int scale = 1;
  bool recreate = false;
  std::optional<Batches> batches;  // nothing: a revision comes up whole
  std::vector<Stage> stages;       // before it gets all of the traffic
  double error_limit = 1;          // share of its answers; taken back above it
  Said said;
  Duration ready_limit = std::chrono::seconds{60};
  Duration drain_limit = std::chrono::seconds{30};
  Duration recreate_drain_limit = std::chrono::seconds{5};
};

/// Where a rollout stands. Recorded, so that another process goes on in the middle of a stage.
struct Standing {
  int revision = 0;
  int stage = 1;  // of the stages that are wanted
  TimePoint since{};
  bool operator==(const Standing&) const = default;
};

/// Answers since the stage began.
struct Answers {
  std::uint64_t all = 0;
  std::uint64_t errors = 0;
  double share() const { return all ? static_cast<double>(errors) / static_cast<double>(all) : 0; }
};

struct Observed {
  std::vector<RevisionSeen> revisions;  // in order of their numbers
  std::optional<Standing> standing;
  Answers coming;             // of the revision that comes up
  Answers serving;            // of the one that serves
  TimePoint watched_since{};  // nothing was observed before: limits count from here at the earliest
};

/// The engine is to have a group of that many instances for it.
struct Ensure {
  int revision = 0;
  int count = 0;
  bool operator==(const Ensure&) const = default;
};
/// Its instances from this ordinal on get nothing new; they are stopped later.
struct Shrink {
  int revision = 0;
  int to = 0;
  bool operator==(const Shrink&) const = default;
};
/// It gets all of the traffic, from its ready instances; what served before drains.
struct Serve {
  int revision = 0;
  bool operator==(const Serve&) const = default;
};
/// It gets that share of the traffic, from its ready instances; what serves has the rest.
struct Shift {
  int revision = 0;
  int weight = 0;  // percent
  bool operator==(const Shift&) const = default;
};
/// Its next command runs.
struct RunHook {
  int revision = 0;
  int number = 0;  // from 0
  bool operator==(const RunHook&) const = default;
};
/// It gets nothing new, and nobody takes its place yet.
struct Withdraw {
  int revision = 0;
  bool operator==(const Withdraw&) const = default;
};
/// Its group goes.
struct Retire {
  int revision = 0;
  bool operator==(const Retire&) const = default;
};
/// It will not become ready.
struct Fail {
  int revision = 0;
  std::string reason;
  bool operator==(const Fail&) const = default;
};
/// Its group is gone: it is Retired.
struct End {
  int revision = 0;
  bool operator==(const End&) const = default;
};
using Action = std::variant<Ensure, Shrink, Serve, Shift, RunHook, Withdraw, Retire, Fail, End>;

struct Decision {
  std::vector<Action> actions;
  Deployment::Phase phase = Deployment::Phase::Pending;
  std::string message;
  std::optional<Standing> standing;  // to be recorded; nothing: no stage is under way
  std::optional<TimePoint> until;    // when the stage ends by itself
  bool waits = false;                // … or it waits for a person
  std::optional<TimePoint> again;    // look again then, even if nothing changes
};

Decision decide(const Wanted& wanted, const Observed& observed, TimePoint now);

/// The reason of the first instance that has one, for people.
std::string reason_of(const RevisionSeen& revision);
int ready_count(const RevisionSeen& revision);

}  // namespace tow::deploy
