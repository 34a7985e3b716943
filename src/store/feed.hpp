// SPDX-License-Identifier: Apache-2.0
#pragma once
// The recent changes, and those who watch them. One ring is shared by all watchers: a watcher is a position
// in it and buffers nothing, so a slow one costs nothing. Who is behind the ring is served from the log's
// history; who fell behind while watching, and by too much, is told so. Thread-safe.

#include <deque>
#include <mutex>

#include "store/filter.hpp"
#include "store/log.hpp"

namespace tow::store {

struct FeedLimits {
  std::size_t changes = 16'384;         // kept in the ring
  std::size_t bytes = 8 * 1024 * 1024;  // of the records in it, about
  std::size_t batch = 1'000;            // given to a watcher at once; a transaction is never split
  StoreRevision lag = 10'000;           // transactions a watcher may be behind the ring before it is lost
};

class Feed : public std::enable_shared_from_this<Feed> {
 public:
  /// Reads older changes as Log::changes() does. Not called after close().
  using History =
      std::function<Task<Log::Page>(Sequence after, Sequence end, Filter filter, std::size_t limit)>;

  Feed(FeedLimits limits, StoreRevision last, History history);
  ~Feed();

  /// Revisions up to this one may be durable any moment, and be read before they are published.
  void expect(StoreRevision last);
  /// Makes known what has become durable. Called in order of revisions.
  void publish(std::span<const Logged> changes, StoreRevision last);
  /// Throws nothing: what is wrong with `from` is said by the first next().
  std::unique_ptr<Watch> watch(StoreRevision from, Filter filter);
  /// Drops earlier versions of an entity from the ring.
  void forget(const Key& key);
  /// What was up to this revision is not given to anyone any more.
  void compact(StoreRevision horizon);
  /// Every watch ends with Error{Unavailable}.
  void close();

 private:
  class Reader;
  struct Item {
    Sequence sequence;
    Change change;
    RecordPtr before;  // only where the labels differ
    std::size_t weight;
  };
  enum class Taken { Some, Nothing, Behind };

  /// `end` is how far it may read on in history when it is behind.
  Taken take(Reader& reader, std::vector<Change>& out, Sequence& end);
  void evict();
  void drop_oldest();

  const FeedLimits limits_;
  const History history_;
  std::mutex mutex_;
  std::deque<Item> ring_;
  std::size_t bytes_ = 0;
  Sequence floor_;  // the ring has everything after it
  Sequence last_;   // and up to here
  Sequence expected_;
  std::vector<Reader*> readers_;
  bool closed_ = false;
};

}  // namespace tow::store
