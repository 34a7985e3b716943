// SPDX-License-Identifier: Apache-2.0
#include "store/feed.hpp"

#include <algorithm>

namespace tow::store {
namespace {

std::size_t weight(const Record& record) {
  std::size_t bytes = sizeof(Record) + record.spec.capacity() + record.status.capacity();
  for (const auto* labels : {&record.labels, &record.annotations})
    for (const auto& [key, value] : *labels) bytes += 112 + key.size() + value.size();
  return bytes;
}

}  // namespace

class Feed::Reader final : public Watch {
 public:
  Reader(std::shared_ptr<Feed> feed, StoreRevision from, Filter filter)
      : feed_{std::move(feed)}, filter_{std::move(filter)}, position_{end_of(from)} {}
  ~Reader() override {
    const std::lock_guard lock{feed_->mutex_};
    std::erase(feed_->readers_, this);
  }

  Task<std::vector<Change>> next() override {
    std::vector<Change> found;
    for (;;) {
      Sequence end = 0;
      const auto taken = feed_->take(*this, found, end);
      if (taken == Taken::Some) co_return found;
      if (taken == Taken::Nothing) {
        co_await signal_.wait();
        continue;
      }
      auto page = co_await feed_->history_(position_, end, filter_, feed_->limits_.batch);
      position_ = page.next;
      if (!page.changes.empty()) co_return std::move(page.changes);
    }
  }

 private:
  friend class Feed;
  const std::shared_ptr<Feed> feed_;
  const Filter filter_;
  Signal signal_;
  // Guarded by the feed's mutex, but for the position of a reader that is behind: that is its own.
  Sequence position_;     // everything up to here has been given
  bool live_ = false;     // it has been in the ring
  bool waiting_ = false;  // it has seen all there is
};

Feed::Feed(FeedLimits limits, StoreRevision last, History history)
    : limits_{limits},
      history_{std::move(history)},
      floor_{end_of(last)},
      last_{end_of(last)},
      expected_{last_} {}

Feed::~Feed() = default;

void Feed::expect(StoreRevision last) {
  const std::lock_guard lock{mutex_};
  expected_ = end_of(last);
}

void Feed::publish(std::span<const Logged> changes, StoreRevision last) {
  const std::lock_guard lock{mutex_};
  const auto first = ring_.size();
  for (const auto& [sequence, change, before] : changes) {
    const bool relabelled =
        before && change.type == Change::Type::Put && before->labels != change.record->labels;
    ring_.push_back({sequence, change, relabelled ? before : nullptr, weight(*change.record)});
    bytes_ += ring_.back().weight;
  }
  last_ = end_of(last);
  expected_ = std::max(expected_, last_);
  for (Reader* reader : readers_) {
    if (!reader->waiting_) continue;
    const auto concerns = [&](const Item& item) {
      return item.sequence > reader->position_ && seen_through(reader->filter_, item.change, item.before);
    };
    const bool concerned =
        std::any_of(ring_.begin() + static_cast<std::ptrdiff_t>(first), ring_.end(), concerns);
    if (concerned) {
      reader->waiting_ = false;
      reader->signal_.notify();
    } else {
      reader->position_ = std::max(reader->position_, last_);
    }
  }
  evict();
}

void Feed::drop_oldest() {
  floor_ = end_of(revision_of(ring_.front().sequence));
  bytes_ -= ring_.front().weight;
  ring_.pop_front();
}

void Feed::evict() {
  while (ring_.size() > limits_.changes || (bytes_ > limits_.bytes && !ring_.empty())) drop_oldest();
}

void Feed::compact(StoreRevision horizon) {
  const std::lock_guard lock{mutex_};
  while (!ring_.empty() && revision_of(ring_.front().sequence) <= horizon) drop_oldest();
  floor_ = std::max(floor_, std::min(end_of(horizon), last_));
}

std::unique_ptr<Watch> Feed::watch(StoreRevision from, Filter filter) {
  auto reader = std::make_unique<Reader>(shared_from_this(), from, std::move(filter));
  const std::lock_guard lock{mutex_};
  readers_.push_back(reader.get());
  return reader;
}

Feed::Taken Feed::take(Reader& reader, std::vector<Change>& out, Sequence& end) {
  const std::lock_guard lock{mutex_};
  if (closed_) throw Error{Code::Unavailable, "the store is closing"};
  if (reader.position_ > expected_)
    throw WatchLost{fmt::format("revision {} has not been reached yet (the last one is {}): list again",
                                revision_of(reader.position_), revision_of(last_))};
  if (reader.position_ < floor_) {
    const auto behind = revision_of(floor_) - revision_of(reader.position_);
    if (reader.live_ && behind > limits_.lag)
      throw WatchLost{fmt::format("the watcher is too slow, {} revisions behind: list again", behind)};
    end = last_;
    return Taken::Behind;
  }
  reader.live_ = true;
  auto item = std::ranges::upper_bound(ring_, reader.position_, {}, &Item::sequence);
  end = std::max(last_, reader.position_);
  for (; item != ring_.end(); ++item) {
    const auto revision = revision_of(item->sequence);
    if (out.size() >= limits_.batch && revision != out.back().revision) {
      end = sequence(revision) - 1;
      break;
    }
    if (auto change = seen_through(reader.filter_, item->change, item->before))
      out.push_back(std::move(*change));
  }
  reader.position_ = end;
  reader.waiting_ = out.empty();
  return out.empty() ? Taken::Nothing : Taken::Some;
}

void Feed::forget(const Key& key) {
  const std::lock_guard lock{mutex_};
  const auto of_key = [&](const Item& item) { return item.change.record->key == key; };
  // The last version stays if it is a put: that is what exists. Of removals only the fact stays.
  const auto newest = std::find_if(ring_.rbegin(), ring_.rend(), of_key);
  const Sequence kept = newest == ring_.rend() ? 0 : newest->sequence;
  std::erase_if(ring_, [&](const Item& item) {
    const bool drop = of_key(item) && item.change.type == Change::Type::Put && item.sequence != kept;
    if (drop) bytes_ -= item.weight;
    return drop;
  });
  for (Item& item : ring_) {
    if (!of_key(item)) continue;
    item.before = nullptr;
    if (item.change.type != Change::Type::Removed) continue;
    auto blank = *item.change.record;
    blank.spec = blank.status = "{}";
    item.change.record = std::make_shared<const Record>(std::move(blank));
  }
}

void Feed::close() {
  const std::lock_guard lock{mutex_};
  closed_ = true;
  for (Reader* reader : readers_) reader->signal_.notify();
}

}  // namespace tow::store
