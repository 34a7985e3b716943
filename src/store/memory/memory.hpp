// SPDX-License-Identifier: Apache-2.0
#pragma once
// The store without a disk, for tests and simulations. A commit happens in the calling task, without a thread
// or a wait, so that what runs on one thread is deterministic. It keeps history, too, until it is compacted.

#include <memory>

#include "base/clock.hpp"
#include "store/feed.hpp"
#include "store/store.hpp"

namespace tow::store::memory {

struct Settings {
  IsCold is_cold;                // empty: no kind is
  const Clock* clock = nullptr;  // required; outlives the store
  FeedLimits feed;
};

std::unique_ptr<Store> open(Settings settings);

}  // namespace tow::store::memory
