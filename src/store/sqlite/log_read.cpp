// SPDX-License-Identifier: Apache-2.0
// Everything that reads.
#include "store/filter.hpp"
#include "store/sqlite/log.hpp"
#include "store/sqlite/rows.hpp"

namespace tow::store::sqlite {
namespace {

constexpr std::size_t kSearchAtOnce = 10'000;  // versions looked at for one page of changes

std::string select(std::string_view rest) { return fmt::format("SELECT {} {}", kColumns, rest); }

// What exists, with its newest version.
constexpr std::string_view kNow =
    "FROM entity e JOIN version v ON v.sequence = (SELECT max(sequence) FROM version WHERE entity = e.id) "
    "WHERE e.removed = 0 ";

constexpr std::string_view kOfKey = "e.kind = ?1 AND e.project = ?2 AND e.name = ?3 ";

RecordPtr first(Rows rows) { return rows.next() ? read_record(rows) : nullptr; }

}  // namespace

class SqliteLog::Reader {
 public:
  explicit Reader(const SqliteLog& log) : log_{log} {
    {
      const std::lock_guard lock{log_.readers_mutex_};
      if (log_.closed_) throw Error{Code::Unavailable, "the store is closed"};
      if (!log_.readers_.empty()) {
        database_ = std::move(log_.readers_.back());
        log_.readers_.pop_back();
        return;
      }
    }
    database_ = std::make_unique<Database>(log_.path_, log_.vfs_, Database::Access::Read);
  }
  ~Reader() {
    const std::lock_guard lock{log_.readers_mutex_};
    if (!log_.closed_) log_.readers_.push_back(std::move(database_));
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  Database* operator->() const { return database_.get(); }
  Database& operator*() const { return *database_; }

 private:
  const SqliteLog& log_;
  std::unique_ptr<Database> database_;
};

std::int64_t SqliteLog::meta(Database& database, std::string_view name) const {
  return database.number("SELECT value FROM meta WHERE name = ?1", name).value_or(0);
}

void SqliteLog::check_kept(Database& database, StoreRevision revision) const {
  const auto compacted = meta(database, "compacted");
  if (revision < compacted)
    throw WatchLost{fmt::format("revision {} is no longer kept; history begins at {}", revision, compacted)};
}

StoreRevision SqliteLog::compacted() const {
  const Reader reader{*this};
  return meta(*reader, "compacted");
}

std::vector<RecordPtr> SqliteLog::load(const IsCold& is_cold) const {
  const Reader reader{*this};
  std::vector<RecordPtr> records;
  // Kinds one by one: the index is skipped over those that are many and cold.
  std::string kind;
  for (;;) {
    {
      auto next =
          reader->rows("SELECT kind FROM entity WHERE removed = 0 AND kind > ?1 ORDER BY kind LIMIT 1", kind);
      if (!next.next()) return records;
      std::string found{next.text(0)};
      kind = std::move(found);
    }
    if (is_cold(kind)) continue;
    static const std::string sql = select(std::string{kNow} + "AND e.kind = ?1 ORDER BY e.project, e.name");
    auto rows = reader->rows(sql, kind);
    while (rows.next()) records.push_back(read_record(rows));
  }
}

RecordPtr SqliteLog::find(const Key& key) const {
  const Reader reader{*this};
  static const std::string sql = select(fmt::format("{} AND {}", kNow, kOfKey));
  return first(reader->rows(sql, key.kind, key.project, key.name));
}

RecordPtr SqliteLog::find_by_uid(std::string_view uid) const {
  const Reader reader{*this};
  static const std::string sql = select(fmt::format("{} AND e.uid = ?1", kNow));
  return first(reader->rows(sql, uid));
}

std::vector<Key> SqliteLog::owned_by(std::string_view uid) const {
  const Reader reader{*this};
  std::vector<Key> keys;
  auto rows = reader->rows(
      "SELECT kind, project, name FROM entity WHERE removed = 0 AND owner = ?1 AND owner <> ''", uid);
  while (rows.next()) keys.push_back(read_key(rows));
  return keys;
}

Log::Orphans SqliteLog::orphans(std::string_view after, std::size_t limit) const {
  const Reader reader{*this};
  Orphans found;
  auto rows = reader->rows(
      "SELECT owner, EXISTS (SELECT 1 FROM entity o WHERE o.uid = each.owner AND o.removed = 0) FROM "
      "(SELECT DISTINCT owner FROM entity WHERE removed = 0 AND owner <> '' AND owner > ?1 ORDER BY owner "
      "LIMIT ?2) "
      "AS each",
      after, static_cast<std::int64_t>(limit));
  std::size_t seen = 0;
  while (rows.next()) {
    found.next = rows.text(0);
    if (!rows.integer(1)) found.owners.push_back(found.next);
    ++seen;
  }
  if (seen < limit) found.next.clear();
  return found;
}

std::vector<RecordPtr> SqliteLog::query(const Query& query) const {
  const Reader reader{*this};
  const Filter& filter = query.filter;
  const Sequence before = query.before > 0 ? sequence(query.before) : std::numeric_limits<Sequence>::max();
  std::string label;
  std::string sql;
  if (!filter.labels.empty() && !filter.kind.empty()) {
    const auto& [key, value] = *filter.labels.begin();
    label = label_text(key, value);
    sql = select(
        "FROM label l CROSS JOIN entity e ON e.id = l.entity CROSS JOIN version v ON v.sequence = (SELECT "
        "max(sequence) FROM version WHERE entity = e.id) WHERE l.entity < ?1 AND l.kind = ?2 AND l.label = "
        "?5 ");
  } else {
    sql = select(std::string{kNow} + "AND e.id < ?1 ");
    // What one entity owns is less than what there is of a kind: its index is left out then.
    if (!filter.kind.empty()) sql += filter.owner.empty() ? "AND e.kind = ?2 " : "AND +e.kind = ?2 ";
  }
  if (!filter.project.empty()) sql += filter.owner.empty() ? "AND e.project = ?3 " : "AND +e.project = ?3 ";
  if (!filter.owner.empty()) sql += "AND e.owner = ?4 AND e.owner <> '' ";
  sql += label.empty() ? "ORDER BY e.id DESC" : "ORDER BY l.entity DESC";

  std::vector<RecordPtr> found;
  if (query.limit == 0) return found;
  Rows rows = label.empty() ? reader->rows(sql, before, filter.kind, filter.project, filter.owner)
                            : reader->rows(sql, before, filter.kind, filter.project, filter.owner, label);
  while (rows.next()) {
    // Entities of one transaction stay on one page.
    if (found.size() >= query.limit && revision_of(rows.integer(5)) != found.back()->created_revision) break;
    auto record = read_record(rows);
    if (matches(filter, *record)) found.push_back(std::move(record));
  }
  return found;
}

RecordPtr SqliteLog::find_at(const Key& key, StoreRevision revision) const {
  const Reader reader{*this};
  const ReadTransaction together{*reader};
  check_kept(*reader, revision);
  static const std::string sql =
      select(fmt::format("FROM entity e JOIN version v ON v.sequence = (SELECT max(sequence) FROM version "
                         "WHERE entity = e.id AND "
                         "sequence <= ?4) WHERE {} AND e.id <= ?4 AND (e.removed = 0 OR e.removed > ?4)",
                         kOfKey));
  return first(reader->rows(sql, key.kind, key.project, key.name, end_of(revision)));
}

std::vector<RecordPtr> SqliteLog::list_at(const Filter& filter, StoreRevision revision) const {
  const Reader reader{*this};
  const ReadTransaction together{*reader};
  check_kept(*reader, revision);
  auto sql = select(
      "FROM entity e JOIN version v ON v.sequence = (SELECT max(sequence) FROM version WHERE entity = e.id "
      "AND "
      "sequence <= ?1) WHERE e.id <= ?1 AND (e.removed = 0 OR e.removed > ?1) ");
  if (!filter.kind.empty()) sql += "AND e.kind = ?2 ";
  if (!filter.project.empty()) sql += "AND e.project = ?3 ";
  if (!filter.owner.empty()) sql += "AND e.owner = ?4 ";
  sql += "ORDER BY e.kind, e.project, e.name";
  std::vector<RecordPtr> found;
  auto rows = reader->rows(sql, end_of(revision), filter.kind, filter.project, filter.owner);
  while (rows.next())
    if (auto record = read_record(rows); matches(filter, *record)) found.push_back(std::move(record));
  return found;
}

std::vector<Change> SqliteLog::history(const Key& key, std::size_t limit) const {
  const Reader reader{*this};
  const ReadTransaction together{*reader};
  std::vector<std::int64_t> entities;  // that have had this key, newest first
  {
    auto rows =
        reader->rows("SELECT id FROM entity WHERE kind = ?1 AND project = ?2 AND name = ?3 ORDER BY id DESC",
                     key.kind, key.project, key.name);
    while (rows.next()) entities.push_back(rows.integer(0));
  }
  static const std::string sql = select(
      "FROM version v JOIN entity e ON e.id = v.entity WHERE v.entity = ?1 ORDER BY v.sequence DESC LIMIT "
      "?2");
  std::vector<Change> found;
  for (const auto id : entities) {
    auto rows = reader->rows(sql, id, static_cast<std::int64_t>(limit - found.size()));
    while (rows.next()) found.push_back(read_change(rows));
    if (found.size() >= limit) break;
  }
  return found;
}

// Times never decrease along the sequence: halving finds the last one.
StoreRevision SqliteLog::revision_at(TimePoint time) const {
  const Reader reader{*this};
  const ReadTransaction together{*reader};
  StoreRevision last = millis(time) >= meta(*reader, "compacted_time") ? meta(*reader, "compacted") : 0;
  Sequence low = 0;
  Sequence high = reader->number("SELECT max(sequence) FROM version").value_or(0);
  while (low <= high) {
    const Sequence middle = low + (high - low) / 2;
    auto rows = reader->rows(
        "SELECT sequence, time FROM version WHERE sequence >= ?1 ORDER BY sequence LIMIT 1", middle);
    if (!rows.next() || rows.integer(1) > millis(time)) {
      high = middle - 1;
    } else {
      last = std::max(last, revision_of(rows.integer(0)));
      low = rows.integer(0) + 1;
    }
  }
  return last;
}

Log::Page SqliteLog::changes(Sequence after, Sequence end, const Filter& filter, std::size_t limit) const {
  const Reader reader{*this};
  const ReadTransaction together{*reader};
  check_kept(*reader, revision_of(after));
  static const std::string sql = select(
      "FROM version v CROSS JOIN entity e ON e.id = v.entity WHERE v.sequence > ?1 AND v.sequence <= ?2 "
      "ORDER BY v.sequence");
  static const std::string earlier = select(
      "FROM version v JOIN entity e ON e.id = v.entity WHERE v.sequence = (SELECT max(b.sequence) FROM "
      "version b, "
      "version n WHERE n.sequence = ?1 AND b.entity = n.entity AND b.sequence < ?1)");
  Page page{.changes = {}, .next = end};
  std::size_t seen = 0;
  StoreRevision revision = revision_of(after);
  auto rows = reader->rows(sql, after, end);
  while (rows.next()) {
    const Sequence sequence = read_sequence(rows);
    const bool enough = seen >= kSearchAtOnce || page.changes.size() >= limit;
    if (enough && revision_of(sequence) != revision) {
      page.next = end_of(revision);
      break;
    }
    ++seen;
    revision = revision_of(sequence);
    if (!filter.kind.empty() && filter.kind != rows.text(0)) continue;
    if (!filter.project.empty() && filter.project != rows.text(1)) continue;
    const auto change = read_change(rows);
    RecordPtr before;
    if (!filter.labels.empty() && change.type == Change::Type::Put &&
        matches_but_labels(filter, *change.record) && !matches(filter, *change.record))
      before = first(reader->rows(earlier, sequence));
    if (auto found = seen_through(filter, change, before)) page.changes.push_back(std::move(*found));
  }
  return page;
}

}  // namespace tow::store::sqlite
