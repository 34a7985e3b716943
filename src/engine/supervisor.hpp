// SPDX-License-Identifier: Apache-2.0
#pragma once
// What should happen to one instance next. Pure: the same arguments give the same decision; the test is a
// table.

#include <optional>
#include <string>
#include <vector>

#include "engine/engine.hpp"

namespace tow::engine {

/// The first restart comes after a second, each later one after twice the wait, up to five minutes; an
/// instance that was ready for ten minutes begins anew.
Duration backoff(int failures);
inline constexpr Duration kForgiven = std::chrono::minutes{10};

struct Wish {
  bool run = true;
  bool restart = true;     // a job is not started again
  bool waits = false;      // it must not start yet: another container of its instance comes first
  bool completes = false;  // an end with 0 is its last
  Duration grace = std::chrono::seconds{10};
  std::optional<Duration> start_limit;  // until it must be ready
  std::optional<TimePoint> deadline;    // of a job

  bool operator==(const Wish&) const = default;
};

struct Sight {
  enum class Life {
    Absent,  // nothing of it exists
    Making,  // the steps of a start run
    Running,
    Ended,  // its process has; what is left of it must be removed
  } life = Life::Absent;
  std::optional<TimePoint> started;
  std::optional<TimePoint> ready;       // since when, in this run; first time
  bool passing = false;                 // its readiness probe, now
  bool unhealthy = false;               // its liveness probe has failed for good
  bool unwatched = false;               // its conmon is lost
  std::optional<TimePoint> terminated;  // when SIGTERM was sent
  bool killed = false;
  int failures = 0;                // runs in a row that ended by themselves
  std::optional<TimePoint> ended;  // of the last run
  bool finished = false;           // a job's one run is over, or it is complete
};

enum class Action { Make, Terminate, Kill, Remove };

struct Decision {
  Phase phase = Phase::Starting;
  std::optional<Action> action;
  std::string reason;              // of a Terminate or Kill
  std::optional<TimePoint> again;  // look again then, if nothing happens before
  bool done = false;               // nothing is left to do, and nothing of it exists
};

Decision decide(const Wish& wish, const Sight& sight, TimePoint now);

}  // namespace tow::engine
