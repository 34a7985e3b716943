// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite/schema.hpp"

#include "base/error.hpp"

namespace tow::store::sqlite {
namespace {

constexpr int kApplication = 0x544f5750;  // "TOWP"

// A sequence is a revision and the number of a change in it (store/log.hpp). An entity's id is the sequence
// of its creation, so ids run in the order of creation. What exists is the newest version of an entity that
// is not removed: an update writes one row at the end of `version` and one entry of its index, nothing else.
constexpr const char* kTables = R"(
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;

  CREATE TABLE entity (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL, project TEXT NOT NULL, name TEXT NOT NULL,
    uid TEXT NOT NULL, owner TEXT NOT NULL,
    created INTEGER NOT NULL,            -- milliseconds since 1970, as all times here
    removed INTEGER NOT NULL DEFAULT 0   -- the sequence of its removal
  );
  CREATE UNIQUE INDEX entity_key ON entity (kind, project, name, removed);
  CREATE INDEX entity_uid ON entity (uid);
  CREATE INDEX entity_owner ON entity (owner) WHERE removed = 0 AND owner <> '';
  CREATE INDEX entity_kind ON entity (kind, id) WHERE removed = 0;
  CREATE INDEX entity_project ON entity (kind, project, id) WHERE removed = 0;
  CREATE INDEX entity_removed ON entity (removed) WHERE removed > 0;

  CREATE TABLE label (                   -- of what exists
    kind TEXT NOT NULL, label TEXT NOT NULL, entity INTEGER NOT NULL,
    PRIMARY KEY (kind, label, entity)
  ) WITHOUT ROWID;

  CREATE TABLE version (
    sequence INTEGER PRIMARY KEY,
    entity INTEGER NOT NULL,
    removed INTEGER NOT NULL,            -- 1: the entity was removed; the rest is how it was last
    time INTEGER NOT NULL,               -- of the commit; never decreases
    revision INTEGER NOT NULL,           -- of the record: its last change
    updated INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    deleted INTEGER,
    schema INTEGER NOT NULL,
    labels TEXT, annotations TEXT, finalizers TEXT,  -- JSON; null when empty
    spec TEXT NOT NULL, status TEXT NOT NULL
  );
  CREATE INDEX version_entity ON version (entity);  -- and, as every index, by sequence within that
)";

int pragma(Database& database, std::string_view name) {
  return static_cast<int>(database.number(name).value_or(0));
}

void begin_wal(Database& database) {
  auto mode = database.rows("PRAGMA journal_mode=WAL");
  if (mode.next() && mode.text(0) == "wal") return;
  throw fail(Code::FailedPrecondition,
             "the data directory's file system cannot share memory between processes (SQLite's WAL): give a "
             "directory on a local disk");
}

}  // namespace

void prepare_schema(Database& database) {
  const int application = pragma(database, "PRAGMA application_id");
  const int layout = pragma(database, "PRAGMA user_version");
  const bool empty = database.number("SELECT count(*) FROM sqlite_schema") == 0;
  if (empty && application == 0) {
    begin_wal(database);
    database.transaction([&] {
      database.script(kTables);
      database.script(
          fmt::format("PRAGMA application_id={}; PRAGMA user_version={};", kApplication, kLayout).c_str());
    });
    return;
  }
  if (application != kApplication)
    throw fail(Code::FailedPrecondition, "store.db belongs to another program (application id {:#x})",
               application);
  if (layout > kLayout) {
    throw fail(
        Code::FailedPrecondition,
        "store.db was written by a newer Towpath (layout {}; this one knows {}): install that version, "
        "or restore a backup made before the upgrade",
        layout, kLayout);
  }
  begin_wal(database);
}

}  // namespace tow::store::sqlite
