// SPDX-License-Identifier: Apache-2.0
// Opening, appending, compaction.
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "store/sqlite/log.hpp"
#include "store/sqlite/rows.hpp"
#include "store/sqlite/schema.hpp"

namespace tow::store::sqlite {
namespace {

constexpr std::int64_t kCompactSlice = 2'000;

// SQLite gives its other files the mode of this one.
void make_private(const std::filesystem::path& directory, const std::string& path) {
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
    throw system_error("cannot make the data directory " + directory.string(), errno);
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) throw system_error("cannot open " + path, errno);
  ::close(file);
}

}  // namespace

SqliteLog::SqliteLog(const std::filesystem::path& directory, std::string vfs)
    : directory_{directory}, path_{(directory / "store.db").string()}, vfs_{std::move(vfs)} {
  std::error_code ignored;  // the parents; the directory itself is made below, and says what fails
  std::filesystem::create_directories(std::filesystem::absolute(directory).parent_path(), ignored);
  make_private(directory_, path_);
  lock_ = std::make_unique<DirectoryLock>(directory_);
  writer_ = std::make_unique<Database>(path_, vfs_, Database::Access::Write);
  prepare_schema(*writer_);
  writer_->script("PRAGMA cache_size=-8000;");
  const auto newest = writer_->number("SELECT max(sequence) FROM version").value_or(0);
  last_revision_ = std::max(revision_of(newest), meta(*writer_, "last_revision"));
  const auto time = writer_->number("SELECT time FROM version WHERE sequence = ?1", newest).value_or(0);
  last_time_ = TimePoint{Duration{std::max(time, meta(*writer_, "last_time"))}};
  checkpoints_ = std::make_unique<Checkpoints>(path_, vfs_, writing_);
  sqlite3_wal_hook(
      writer_->handle(),
      [](void* checkpoints, sqlite3*, const char*, int pages) {
        static_cast<Checkpoints*>(checkpoints)->log_has(pages);
        return SQLITE_OK;
      },
      checkpoints_.get());
}

void SqliteLog::close() {
  const std::lock_guard lock{readers_mutex_};
  closed_ = true;
  checkpoints_.reset();
  readers_.clear();
  // The last connection that closes checkpoints and removes the write-ahead log. A reader that is on loan
  // still does so later.
  writer_.reset();
  lock_.reset();
}

void SqliteLog::append(std::span<const Logged> changes, TimePoint time) {
  const std::lock_guard lock{writing_};
  writer_->transaction([&] {
    for (const auto& logged : changes) write(logged, millis(time));
  });
}

void SqliteLog::write(const Logged& logged, std::int64_t time) {
  const Record& record = *logged.change.record;
  const bool removed = logged.change.type == Change::Type::Removed;
  std::int64_t entity = logged.sequence;
  if (!removed && !logged.before) {
    writer_->execute(
        "INSERT INTO entity (id, kind, project, name, uid, owner, created) VALUES (?1,?2,?3,?4,?5,?6,?7)",
        entity, record.key.kind, record.key.project, record.key.name, record.uid, record.owner,
        millis(record.created));
    add_labels(entity, record);
  } else {
    const auto found = writer_->number(
        "SELECT id FROM entity WHERE kind = ?1 AND project = ?2 AND name = ?3 AND removed = 0",
        record.key.kind, record.key.project, record.key.name);
    if (!found) throw fail(Code::Internal, "{} is not in store.db", to_string(record.key));
    entity = *found;
  }
  if (removed) {
    remove_labels(entity, record);
    writer_->execute("UPDATE entity SET removed = ?2 WHERE id = ?1", entity, logged.sequence);
  } else if (logged.before && logged.before->labels != record.labels) {
    remove_labels(entity, *logged.before);
    add_labels(entity, record);
  }
  std::optional<std::int64_t> deleted;
  if (record.deleted) deleted = millis(*record.deleted);
  writer_->execute(
      "INSERT INTO version (sequence, entity, removed, time, revision, updated, generation, deleted, schema, "
      "labels, annotations, finalizers, spec, status) VALUES "
      "(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14)",
      logged.sequence, entity, removed, time, record.revision, millis(record.updated), record.generation,
      deleted, record.schema, to_json(record.labels), to_json(record.annotations), to_json(record.finalizers),
      record.spec, record.status);
}

void SqliteLog::add_labels(std::int64_t entity, const Record& record) {
  for (const auto& [key, value] : record.labels)
    writer_->execute("INSERT OR IGNORE INTO label (kind, label, entity) VALUES (?1,?2,?3)", record.key.kind,
                     label_text(key, value), entity);
}

void SqliteLog::remove_labels(std::int64_t entity, const Record& record) {
  for (const auto& [key, value] : record.labels)
    writer_->execute("DELETE FROM label WHERE kind = ?1 AND label = ?2 AND entity = ?3", record.key.kind,
                     label_text(key, value), entity);
}

void SqliteLog::set_meta(std::string_view name, std::int64_t value) {
  writer_->execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?1,?2)", name, value);
}

// The horizon first: whoever reads what is being removed is told so from then on. The newest revision is
// written down, because its row may be among what goes, and no revision is used twice.
void SqliteLog::begin_compact(StoreRevision horizon) {
  const std::lock_guard lock{writing_};
  const auto newest = writer_->number("SELECT max(sequence) FROM version").value_or(0);
  const auto time_of = [&](Sequence sequence) {
    return writer_
        ->number("SELECT time FROM version WHERE sequence <= ?1 ORDER BY sequence DESC LIMIT 1", sequence)
        .value_or(0);
  };
  writer_->transaction([&] {
    set_meta("last_revision", std::max(revision_of(newest), meta(*writer_, "last_revision")));
    set_meta("last_time", std::max(time_of(newest), meta(*writer_, "last_time")));
    set_meta("compacted", horizon);
    set_meta("compacted_time", time_of(end_of(horizon)));
  });
  compacting_ = 0;
}

bool SqliteLog::compact_some() {
  const std::lock_guard lock{writing_};
  const Sequence end = end_of(meta(*writer_, "compacted"));
  const auto slice = writer_->number(
      "SELECT max(sequence) FROM (SELECT sequence FROM version WHERE sequence > ?1 AND sequence <= ?2 "
      "ORDER BY sequence LIMIT ?3)",
      compacting_, end, kCompactSlice);
  if (slice) {
    // What had a newer version at the horizon already.
    writer_->transaction([&] {
      writer_->execute(
          "DELETE FROM version WHERE sequence > ?1 AND sequence <= ?2 AND EXISTS (SELECT 1 FROM version AS "
          "newer "
          "WHERE newer.entity = version.entity AND newer.sequence > version.sequence AND newer.sequence <= "
          "?3)",
          compacting_, *slice, end);
    });
    compacting_ = *slice;
    return true;
  }
  // What was removed before the horizon: one version of each is left.
  bool more = false;
  writer_->transaction([&] {
    constexpr const char* kRemoved =
        "SELECT id FROM entity WHERE removed > 0 AND removed <= ?1 ORDER BY removed LIMIT ?2";
    writer_->execute(fmt::format("DELETE FROM version WHERE entity IN ({})", kRemoved), end, kCompactSlice);
    writer_->execute(fmt::format("DELETE FROM entity WHERE id IN ({})", kRemoved), end, kCompactSlice);
    more = sqlite3_changes(writer_->handle()) == kCompactSlice;
  });
  return more;
}

void SqliteLog::purge(const Key& key) {
  const std::lock_guard lock{writing_};
  // Freed pages are overwritten, and the write-ahead log is emptied: the values are not on the disk any more.
  writer_->script("PRAGMA secure_delete=ON;");
  std::vector<std::pair<std::int64_t, bool>> entities;
  {
    auto rows = writer_->rows("SELECT id, removed FROM entity WHERE kind = ?1 AND project = ?2 AND name = ?3",
                              key.kind, key.project, key.name);
    while (rows.next()) entities.emplace_back(rows.integer(0), rows.integer(1) != 0);
  }
  writer_->transaction([&] {
    for (const auto& [id, removed] : entities) {
      writer_->execute(
          "DELETE FROM version WHERE entity = ?1 AND sequence < (SELECT max(sequence) FROM version WHERE "
          "entity = ?1)",
          id);
      if (removed) writer_->execute("UPDATE version SET spec = '{}', status = '{}' WHERE entity = ?1", id);
    }
  });
  writer_->script("PRAGMA secure_delete=OFF; PRAGMA wal_checkpoint(TRUNCATE);");
}

}  // namespace tow::store::sqlite
