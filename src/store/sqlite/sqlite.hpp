// SPDX-License-Identifier: Apache-2.0
#pragma once
// The store on a disk: SQLite in WAL mode with synchronous=FULL, one file `store.db` (0600) in a data
// directory that one process owns. Commits that wait together share one fsync, on a thread of their own;
// checkpoints run on another. A full disk refuses what comes (Error{Exhausted}) until there is room; a disk
// that fails makes the store read-only (Error{Unavailable}) until it is opened again, and what it was
// committing at that moment may or may not be there then.

#include <filesystem>
#include <memory>

#include "base/clock.hpp"
#include "store/feed.hpp"
#include "store/store.hpp"

namespace tow::store::sqlite {

struct Settings {
  std::filesystem::path directory;  // made (0700) when it is not there
  IsCold is_cold;                   // empty: no kind is
  const Clock* clock = nullptr;     // required; outlives the store
  Duration soon{50};                // how long Durability::Soon may wait, in real time
  FeedLimits feed;
  std::string vfs;  // SQLite's layer for files; empty for its default. For tests of bad disks
};

/// Throws Error{FailedPrecondition} when another process has the directory, or a newer Towpath wrote it; what
/// the disk says otherwise.
std::unique_ptr<Store> open(Settings settings);

}  // namespace tow::store::sqlite
