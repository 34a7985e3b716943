// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.hpp"

namespace tow::engine {

std::string_view name(Phase phase) {
  switch (phase) {
    case Phase::Starting:
      return "starting";
    case Phase::Ready:
      return "ready";
    case Phase::Unready:
      return "unready";
    case Phase::Backoff:
      return "backoff";
    case Phase::Stopping:
      return "stopping";
    case Phase::Ended:
      return "ended";
  }
  return "unknown";
}

}  // namespace tow::engine
