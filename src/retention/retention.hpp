// SPDX-License-Identifier: Apache-2.0
#pragma once
// What is kept, and how long: once a day old runs, builds with their logs, releases and events go, the store
// forgets earlier states, repositories are packed, and images that nothing names leave the disk. What is in
// use, and what a rollback could return to, stays, whatever the settings say.
//
// It owns nothing: it erases, and whoever owns an entity clears up behind it (pipeline a build's log).
// Lifecycle: construct, start(), stop(), destroy. What is given in Settings outlives it. clean() may be
// called at any time by anybody; calls follow one another.

#include <functional>
#include <memory>

#include "api/api.hpp"
#include "base/clock.hpp"
#include "image/image.hpp"
#include "model/operations.hpp"
#include "retention/choice.hpp"
#include "store/store.hpp"

namespace tow::retention {

struct Settings {
  store::Store& store;
  image::Images& images;
  Clock& clock;
  Executor executor;
  std::function<Task<>()> pack_repositories;
  Duration first = std::chrono::minutes{15};  // after the start, so that nothing is slowed by it
  Duration every = std::chrono::hours{24};
};

/// What the Platform entity says; the defaults where there is none.
Policy policy_of(const store::Snapshot& snapshot);

class Retention {
 public:
  explicit Retention(Settings settings);
  ~Retention();

  /// platforms.clean
  void add_operations(api::Api& api);
  void start();
  Task<> stop();

  /// With `dry_run` it only says what would go. A failure of one part is in the answer's notes; the others
  /// go on.
  Task<CleanOutput> clean(CleanInput input);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tow::retention
