// SPDX-License-Identifier: Apache-2.0
#pragma once
// The store's face over any Log. Implementations are made of it: see memory/ and sqlite/.

#include <memory>

#include "store/group_commit.hpp"

namespace tow::store {

struct CoreSettings {
  /// Inline: a commit happens in the calling task, one after another; for a log that does not block, and so
  /// that a simulation with one thread is deterministic. Threaded: on a thread of its own, in groups; reads
  /// of the log run on a small pool.
  enum class Commits { Inline, Threaded };
  Commits commits = Commits::Inline;
  IsCold is_cold;                // empty: no kind is
  const Clock* clock = nullptr;  // outlives the store
  std::chrono::milliseconds soon{50};
  FeedLimits feed;
};

/// Throws what reading the log throws.
std::unique_ptr<Store> make_store(std::unique_ptr<Log> log, CoreSettings settings);

}  // namespace tow::store
