// SPDX-License-Identifier: Apache-2.0
#pragma once
// The logs of a deployment from a moment on: of every revision that runs, and of each that comes later, until
// the deployment is gone. Everything happens on one task's executor; it outlives the scope given.

#include <map>

#include "observe/core.hpp"
#include "observe/log_sources.hpp"

namespace tow::observe {

/// A source that may not have begun, and may be gone for good.
struct FollowedSource {
  std::string id;                // of a group or job
  std::function<bool()> exists;  // in the engine
  std::function<bool()> gone;    // and nothing more will come
};

/// Follows it until it is gone; `changed` wakes it to look again.
Task<> follow_source(engine::Engine& engine, FollowedSource source, TimePoint since,
                     std::shared_ptr<Signal> changed, LiveLines& lines);

class Following {
 public:
  Following(Core& state, Scope& scope, Record deployment, TimePoint since)
      : core_{state}, scope_{scope}, deployment_{std::move(deployment)}, since_{since} {}

  /// One revision and no other.
  void only(const Record& revision);
  /// All that run, and all that come.
  void watch();
  LiveLines& lines() { return lines_; }

 private:
  Task<> follow(std::string uid, std::shared_ptr<Signal> changed);
  Task<> watch_revisions();
  StoreRevision look();
  void add(const Record& revision);
  void end_if_last();

  Core& core_;
  Scope& scope_;
  Record deployment_;
  TimePoint since_;
  LiveLines lines_;
  std::map<std::string, std::shared_ptr<Signal>> followed_;
  std::size_t open_ = 0;
  bool complete_ = false;  // no revision will join any more
  bool deployment_gone_ = false;
};

bool has_ended(const Revision::Status& status);

}  // namespace tow::observe
