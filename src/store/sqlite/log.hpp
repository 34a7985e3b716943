// SPDX-License-Identifier: Apache-2.0
#pragma once
// The log in store.db. Writes go through one connection; reads through a few others, which see the last
// commit and wait for nobody.

#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

#include "store/log.hpp"
#include "store/sqlite/checkpoints.hpp"
#include "store/sqlite/database.hpp"
#include "store/sqlite/lock.hpp"

namespace tow::store::sqlite {

class SqliteLog final : public Log {
 public:
  SqliteLog(const std::filesystem::path& directory, std::string vfs);

  StoreRevision last_revision() const override { return last_revision_; }
  TimePoint last_time() const override { return last_time_; }
  std::vector<RecordPtr> load(const IsCold& is_cold) const override;
  void append(std::span<const Logged> changes, TimePoint time) override;

  RecordPtr find(const Key& key) const override;
  RecordPtr find_by_uid(std::string_view uid) const override;
  std::vector<Key> owned_by(std::string_view uid) const override;
  Orphans orphans(std::string_view after, std::size_t limit) const override;
  std::vector<RecordPtr> query(const Query& query) const override;
  RecordPtr find_at(const Key& key, StoreRevision revision) const override;
  std::vector<RecordPtr> list_at(const Filter& filter, StoreRevision revision) const override;
  std::vector<Change> history(const Key& key, std::size_t limit) const override;
  StoreRevision revision_at(TimePoint time) const override;
  Page changes(Sequence after, Sequence end, const Filter& filter, std::size_t limit) const override;

  StoreRevision compacted() const override;
  void begin_compact(StoreRevision horizon) override;
  bool compact_some() override;
  void purge(const Key& key) override;
  void close() override;

 private:
  // A connection for reading, on loan.
  class Reader;

  void write(const Logged& logged, std::int64_t time);
  std::int64_t add_entity(const Logged& logged);
  void add_labels(std::int64_t entity, const Record& record);
  void remove_labels(std::int64_t entity, const Record& record);
  std::int64_t meta(Database& database, std::string_view name) const;
  void set_meta(std::string_view name, std::int64_t value);
  void check_kept(Database& database, StoreRevision revision) const;

  const std::filesystem::path directory_;
  const std::string path_, vfs_;
  StoreRevision last_revision_ = 0;
  TimePoint last_time_{};
  // Members end in the reverse order: the lock goes last.
  std::unique_ptr<DirectoryLock> lock_;
  mutable std::mutex readers_mutex_;
  mutable std::vector<std::unique_ptr<Database>> readers_;  // those that are free
  bool closed_ = false;
  std::mutex writing_;
  std::unique_ptr<Database> writer_;
  std::unique_ptr<Checkpoints> checkpoints_;
  Sequence compacting_ = 0;  // versions up to here have been looked at
};

}  // namespace tow::store::sqlite
