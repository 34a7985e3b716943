// SPDX-License-Identifier: Apache-2.0
#pragma once
// The whole platform in one object: which parts there are, which implementation of each, and what one hands
// another. Lifecycle: construct, start(), wait for the end, stop(), destroy; each once.

#include <memory>

#include "apps/settings.hpp"
#include "base/task.hpp"

namespace tow::apps {

class Platform {
 public:
  Platform(Executor executor, ServerSettings settings);
  ~Platform();

  /// Ready when it returns. Throws what stands in the way: a port in use, a missing program, another server.
  Task<> start();
  /// Ends the control plane; applications go on.
  Task<> stop();
  /// Where the API is, once started: "http://127.0.0.1:8690".
  std::string url() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace tow::apps
