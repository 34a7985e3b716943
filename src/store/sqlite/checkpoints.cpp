// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/checkpoints.hpp"

#include <pthread.h>
#include <sqlite3.h>

#include "base/log.hpp"
#include "store/sqlite/database.hpp"

namespace tow::store::sqlite {
namespace {

constexpr int kStep = 1'000;  // pages of 4 KiB between checkpoints
constexpr int kLong = 4'000;  // a log this long is brought to its end

}  // namespace

Checkpoints::Checkpoints(std::string path, std::string vfs, std::mutex& writing)
    : path_{std::move(path)}, vfs_{std::move(vfs)}, writing_{writing}, thread_{[this] { loop(); }} {}

Checkpoints::~Checkpoints() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
    changed_.notify_one();
  }
  thread_.join();
}

void Checkpoints::log_has(int pages) {
  const std::lock_guard lock{mutex_};
  if (pages < pages_) done_ = 0;  // it has begun anew
  pages_ = pages;
  if (pages_ - done_ >= kStep) changed_.notify_one();
}

void Checkpoints::loop() {
  pthread_setname_np(pthread_self(), "store checkpt");
  std::optional<Database> database;
  bool failing = false;
  std::unique_lock lock{mutex_};
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || pages_ - done_ >= kStep; });
    if (stopping_) return;
    const bool is_long = pages_ >= kLong;
    const int known = pages_;
    lock.unlock();
    int pages = known;
    int result = SQLITE_OK;
    const auto checkpoint = [&] {
      int moved = 0;
      result =
          sqlite3_wal_checkpoint_v2(database->handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, &pages, &moved);
    };
    try {
      if (!database) database.emplace(path_, vfs_, Database::Access::Write);
      checkpoint();
      if (result == SQLITE_OK && is_long) {
        const std::lock_guard hold{writing_};
        checkpoint();
      }
    } catch (const std::exception&) {
      result = SQLITE_CANTOPEN;
    }
    // A log that is not moved stays as good as it was; it only grows. It is tried again a step later.
    const bool failed = result != SQLITE_OK && result != SQLITE_BUSY;
    if (failed && !failing)
      log::warning("store", "a checkpoint failed ({}); the write-ahead log grows until one works",
                   sqlite3_errstr(result));
    failing = failed;
    lock.lock();
    done_ = failed ? known : std::max(pages, 0);
  }
}

}  // namespace tow::store::sqlite
