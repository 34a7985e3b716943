// SPDX-License-Identifier: Apache-2.0
#include "engine/supervisor.hpp"

#include <algorithm>

namespace tow::engine {
namespace {

/// SIGTERM first, SIGKILL when the grace is over.
Decision stop(const Wish& wish, const Sight& sight, TimePoint now, std::string reason) {
  Decision decision{.phase = Phase::Stopping, .reason = std::move(reason)};
  if (!sight.terminated) {
    decision.action = Action::Terminate;
    decision.again = now + wish.grace;
  } else if (!sight.killed && now >= *sight.terminated + wish.grace) {
    decision.action = Action::Kill;
  } else if (!sight.killed) {
    decision.again = *sight.terminated + wish.grace;
  }
  return decision;
}

Decision absent(const Wish& wish, const Sight& sight, TimePoint now) {
  if (!wish.run || sight.finished) return {.phase = Phase::Ended, .done = true};
  if (wish.waits) return {.phase = Phase::Starting};
  if (sight.failures > 0 && sight.ended) {
    const TimePoint next = *sight.ended + backoff(sight.failures);
    if (now < next) return {.phase = Phase::Backoff, .again = next};
  }
  return {.phase = Phase::Starting, .action = Action::Make};
}

Decision running(const Wish& wish, const Sight& sight, TimePoint now) {
  if (sight.unwatched)
    return {.phase = Phase::Stopping, .action = Action::Kill, .reason = "its monitor was lost"};
  if (!wish.run) return stop(wish, sight, now, {});
  if (sight.terminated) return stop(wish, sight, now, {});
  if (sight.unhealthy) return stop(wish, sight, now, "its liveness probe failed");
  if (wish.deadline && now >= *wish.deadline)
    return stop(wish, sight, now, "it did not end before its deadline");
  if (sight.ready) return {.phase = sight.passing ? Phase::Ready : Phase::Unready, .again = wish.deadline};
  Decision decision{.phase = Phase::Starting, .again = wish.deadline};
  if (wish.start_limit && sight.started) {
    const TimePoint limit = *sight.started + *wish.start_limit;
    if (now >= limit)
      return stop(wish, sight, now, "it was not ready within " + tow::to_string(*wish.start_limit));
    decision.again = std::min(limit, decision.again.value_or(limit));
  }
  return decision;
}

}  // namespace

Duration backoff(int failures) {
  constexpr Duration first = std::chrono::seconds{1}, last = std::chrono::minutes{5};
  return std::min(last, first * (1 << std::clamp(failures - 1, 0, 16)));
}

Decision decide(const Wish& wish, const Sight& sight, TimePoint now) {
  switch (sight.life) {
    case Sight::Life::Absent:
      return absent(wish, sight, now);
    case Sight::Life::Making:
      return {.phase = wish.run ? Phase::Starting : Phase::Stopping};
    case Sight::Life::Running:
      return running(wish, sight, now);
    case Sight::Life::Ended:
      return {.phase = wish.run && wish.restart && !sight.finished ? Phase::Backoff : Phase::Stopping,
              .action = Action::Remove};
  }
  return {};
}

}  // namespace tow::engine
