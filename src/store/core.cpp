// SPDX-License-Identifier: Apache-2.0
#include "store/core.hpp"

#include <atomic>

namespace tow::store {
namespace {

constexpr std::size_t kReadThreads = 2;

class Core final : public Store {
 public:
  Core(std::unique_ptr<Log> log, CoreSettings settings)
      : is_cold_{settings.is_cold ? std::move(settings.is_cold) : [](std::string_view) { return false; }},
        log_{std::move(log)},
        ledger_{*log_, is_cold_, *settings.clock} {
    feed_ = std::make_shared<Feed>(settings.feed, ledger_.last_revision(),
                                   [this](Sequence after, Sequence end, Filter filter, std::size_t limit) {
                                     return read([this, after, end, filter = std::move(filter), limit] {
                                       return log_->changes(after, end, filter, limit);
                                     });
                                   });
    ledger_.set_feed(feed_);
    if (settings.commits == CoreSettings::Commits::Inline) return;
    readers_ = std::make_unique<BlockingPool>(kReadThreads);
    group_ = std::make_unique<GroupCommit>(ledger_, settings.soon);
  }

  ~Core() override {
    feed_->close();
    shut();
  }

  Task<StoreRevision> commit(Transaction transaction, Durability durability) override {
    if (group_) co_return co_await group_->commit(std::move(transaction), durability);
    Commit commit{.transaction = std::move(transaction)};
    {
      const std::lock_guard lock{inline_mutex_};
      refuse_if_closed();
      Commit* batch[] = {&commit};
      ledger_.commit(batch);
      while (ledger_.orphans() > 0) ledger_.commit({});
    }
    if (commit.error) std::rethrow_exception(commit.error);
    co_return commit.revision;
  }

  SnapshotPtr snapshot() const override { return ledger_.snapshot(); }

  std::unique_ptr<Watch> watch(StoreRevision from, Filter filter) override {
    return feed_->watch(from, std::move(filter));
  }

  Task<std::vector<RecordPtr>> query(Query query) override {
    if (!query.filter.kind.empty() && !is_cold_(query.filter.kind))
      co_return newest_first(snapshot()->list(query.filter), query);
    co_return co_await read([&] { return log_->query(query); });
  }

  Task<RecordPtr> find(Key key) override {
    if (!is_cold_(key.kind)) co_return snapshot()->get(key);
    co_return co_await read([&] { return log_->find(key); });
  }

  Task<RecordPtr> find_at(Key key, StoreRevision revision) override {
    co_return co_await read([&] { return log_->find_at(key, revision); });
  }
  Task<std::vector<RecordPtr>> list_at(Filter filter, StoreRevision revision) override {
    co_return co_await read([&] { return log_->list_at(filter, revision); });
  }
  Task<std::vector<Change>> history(Key key, std::size_t limit) override {
    co_return co_await read([&] { return log_->history(key, limit); });
  }
  Task<StoreRevision> revision_at(TimePoint time) override {
    co_return co_await read([&] { return log_->revision_at(time); });
  }

  Task<> compact(TimePoint before) override {
    bool begun = false;
    co_await change([&] {
      if (std::exchange(begun, true)) return log_->compact_some();
      const auto horizon = log_->revision_at(before);
      if (horizon <= log_->compacted()) return false;
      log_->begin_compact(horizon);
      feed_->compact(horizon);
      return true;
    });
  }

  Task<> purge_history(Key key) override {
    co_await change([&] {
      log_->purge(key);
      feed_->forget(key);
      return false;
    });
  }

  Task<> close() override {
    feed_->close();
    if (readers_)
      co_await readers_->run([this] { shut(); });
    else
      shut();
  }

 private:
  void refuse_if_closed() const {
    if (closed_) throw Error{Code::Unavailable, "the store is closed"};
  }

  // Runs something that reads the log where it may block.
  template <class F>
  auto read(F work) -> Task<std::invoke_result_t<F>> {
    refuse_if_closed();
    if (readers_) co_return co_await readers_->run(std::move(work));
    co_return work();
  }

  // Runs something that changes the log, a slice at a time, in order with the commits.
  Task<> change(std::function<bool()> slice) {
    refuse_if_closed();
    if (group_) {
      co_await group_->run(std::move(slice));
      co_return;
    }
    const std::lock_guard lock{inline_mutex_};
    while (slice()) {
    }
  }

  void shut() {
    if (group_) group_->stop();
    const std::lock_guard lock{inline_mutex_};
    if (!closed_.exchange(true)) log_->close();
  }

  const IsCold is_cold_;
  const std::unique_ptr<Log> log_;
  Ledger ledger_;
  std::shared_ptr<Feed> feed_;
  std::mutex inline_mutex_;  // one inline commit at a time
  std::atomic<bool> closed_ = false;
  std::unique_ptr<BlockingPool> readers_;
  std::unique_ptr<GroupCommit> group_;
};

}  // namespace

std::unique_ptr<Store> make_store(std::unique_ptr<Log> log, CoreSettings settings) {
  return std::make_unique<Core>(std::move(log), std::move(settings));
}

}  // namespace tow::store
