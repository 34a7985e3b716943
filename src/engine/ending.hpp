// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the end of a run means, for every engine: how it counts towards the wait before the next, and how it
// is told.

#include <optional>
#include <string>

#include "engine/supervisor.hpp"

namespace tow::engine {

enum class Cause {
  Wished,       // it was told to stop, and not for a fault of its own
  MonitorLost,  // the engine could not look after it any more
  Own,
  Completed,  // with 0, and its wish was no more than that
};

/// Marks the run as ended. What ended by itself waits longer each time; what had served well does not wait.
void end_run(Sight& sight, const Wish& wish, Cause cause, TimePoint now);

/// "killed for memory: the limit is 64Mi"
std::string killed_for_memory(const std::optional<Bytes>& limit);

}  // namespace tow::engine
