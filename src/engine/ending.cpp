// SPDX-License-Identifier: Apache-2.0
#include "engine/ending.hpp"

namespace tow::engine {

void end_run(Sight& sight, const Wish& wish, Cause cause, TimePoint now) {
  if (cause == Cause::Wished || cause == Cause::Completed || (cause == Cause::MonitorLost && sight.ready))
    sight.failures = 0;
  else
    sight.failures = sight.ready && now - *sight.ready >= kForgiven ? 1 : sight.failures + 1;
  sight.life = Sight::Life::Ended;
  sight.ended = now;
  sight.passing = false;
  if (!wish.restart || cause == Cause::Completed) sight.finished = true;
}

std::string killed_for_memory(const std::optional<Bytes>& limit) {
  return limit ? "killed for memory: the limit is " + to_string(*limit)
               : std::string{"killed for memory: the machine had none left"};
}

}  // namespace tow::engine
