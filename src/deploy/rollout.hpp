// SPDX-License-Identifier: Apache-2.0
#pragma once
// What one deployment should do next: from what is wanted, what is recorded and what the engine has, to a
// list of actions. Pure: the same arguments give the same actions. Whoever carries them out may die after any
// of them; asked again, decide() goes on from what was reached.
//
// The way of a revision: Pending → Starting (its group was asked for) → Serving (all its instances were
// ready; it has all of the traffic) → Draining (another has it) → Retired (its group is gone). A revision
// that does not become ready is Failed, and the one that served before goes on, or comes back.

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

struct RevisionSeen {
  int number = 0;
  Revision::Phase phase = Revision::Phase::Pending;
  std::string message;     // why it failed
  bool served = false;     // it had the traffic once
  bool exclusive = false;  // it writes to a volume: it never runs beside another revision
  std::optional<TimePoint> started;
  std::optional<TimePoint> draining_since;
  std::optional<TimePoint> shrinking_since;  // its surplus instances get nothing new since then
  bool group = false;                        // the engine has its group
  bool retiring = false;
  int count = 0;                        // instances that the engine was asked for
  std::vector<InstanceSeen> instances;  // in order of their ordinals
};

struct Wanted {
  int revision = 0;  // its number; 0: there is none that could run
  int scale = 1;
  bool recreate = false;
  Duration ready_limit = std::chrono::seconds{60};
  Duration drain_limit = std::chrono::seconds{30};
  Duration recreate_drain_limit = std::chrono::seconds{5};
};

struct Observed {
  std::vector<RevisionSeen> revisions;  // in order of their numbers
  TimePoint watched_since{};            // nothing was observed before: limits count from here at the earliest
};

/// The engine is to have a group of that many instances for it.
struct Ensure {
  int revision = 0;
  int count = 0;
  bool operator==(const Ensure&) const = default;
};
/// Its instances above the scale get nothing new; they are stopped later.
struct Shrink {
  int revision = 0;
  bool operator==(const Shrink&) const = default;
};
/// It gets all of the traffic, from its ready instances; what served before drains.
struct Serve {
  int revision = 0;
  bool operator==(const Serve&) const = default;
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
using Action = std::variant<Ensure, Shrink, Serve, Withdraw, Retire, Fail, End>;

struct Decision {
  std::vector<Action> actions;
  Deployment::Phase phase = Deployment::Phase::Pending;
  std::string message;
  std::optional<TimePoint> again;  // look again then, even if nothing changes
};

Decision decide(const Wanted& wanted, const Observed& observed, TimePoint now);

/// The reason of the first instance that has one, for people.
std::string reason_of(const RevisionSeen& revision);
int ready_count(const RevisionSeen& revision);

}  // namespace tow::deploy
