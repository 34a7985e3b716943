-- SPDX-License-Identifier: Apache-2.0
-- A data directory of the first layout, as the sqlite3 command dumps it. Frozen: later versions must open it.
BEGIN TRANSACTION;
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO meta VALUES('compacted',3);
INSERT INTO meta VALUES('compacted_time',1767225720000);
INSERT INTO meta VALUES('last_revision',8);
INSERT INTO meta VALUES('last_time',1767226020000);
CREATE TABLE entity (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL, project TEXT NOT NULL, name TEXT NOT NULL,
    uid TEXT NOT NULL, owner TEXT NOT NULL,
    created INTEGER NOT NULL,            -- milliseconds since 1970, as all times here
    removed INTEGER NOT NULL DEFAULT 0   -- the sequence of its removal
  );
INSERT INTO entity VALUES(1048576,'Project','','shop','01kdtzvw00000000000project','',1767225600000,0);
INSERT INTO entity VALUES(1048577,'Deployment','shop','web.production','01kdtzvw0000000000000000web','01kdtzvw00000000000project',1767225600000,0);
INSERT INTO entity VALUES(2097152,'Event','shop','e1','01kdtzvw000000000000000000e','',1767225660000,0);
INSERT INTO entity VALUES(2097153,'Route','shop','old','01kdtzvw00000000000000route','',1767225660000,5242880);
INSERT INTO entity VALUES(6291456,'Route','shop','old','01kdtzvw0000000000000route2','',1767225900000,0);
INSERT INTO entity VALUES(7340032,'Volume','shop','data','01kdtzvw0000000000000volume','01kdtzvw00000000000project',1767225960000,0);
CREATE TABLE label (                   -- of what exists
    kind TEXT NOT NULL, label TEXT NOT NULL, entity INTEGER NOT NULL,
    PRIMARY KEY (kind, label, entity)
  ) WITHOUT ROWID;
INSERT INTO label VALUES('Deployment','tier=front',1048577);
INSERT INTO label VALUES('Event','about=web',2097152);
INSERT INTO label VALUES('Project','team=checkout',1048576);
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
INSERT INTO version VALUES(1048576,1048576,0,1767225600000,1,1767225600000,1,NULL,1,'{"team":"checkout"}',NULL,NULL,'{"members":["ada"]}','{}');
INSERT INTO version VALUES(2097152,2097152,0,1767225660000,2,1767225660000,1,NULL,1,'{"about":"web"}',NULL,NULL,'{"who":"ada","what":"push"}','{}');
INSERT INTO version VALUES(2097153,2097153,0,1767225660000,2,1767225660000,1,NULL,1,NULL,NULL,NULL,'{}','{}');
INSERT INTO version VALUES(3145728,1048577,0,1767225720000,3,1767225720000,1,NULL,3,'{"odd":"\"=\\ü","tier":"web"}','{"note":"two\nlines"}','["engine","route"]','{"release":"r1"}','{"ready":true}');
INSERT INTO version VALUES(4194304,1048577,0,1767225780000,4,1767225780000,2,NULL,3,'{"tier":"front"}',NULL,'["engine","route"]','{"release":"r2"}','{"ready":true}');
INSERT INTO version VALUES(5242880,2097153,1,1767225840000,2,1767225660000,1,NULL,1,NULL,NULL,NULL,'{}','{}');
INSERT INTO version VALUES(6291456,6291456,0,1767225900000,6,1767225900000,1,NULL,1,NULL,NULL,NULL,'{}','{}');
INSERT INTO version VALUES(7340032,7340032,0,1767225960000,7,1767225960000,1,NULL,1,NULL,NULL,'["engine"]','{}','{}');
INSERT INTO version VALUES(8388608,7340032,0,1767226020000,8,1767226020000,1,1767226020000,1,NULL,NULL,'["engine"]','{}','{}');
CREATE UNIQUE INDEX entity_key ON entity (kind, project, name, removed);
CREATE INDEX entity_uid ON entity (uid);
CREATE INDEX entity_owner ON entity (owner) WHERE removed = 0 AND owner <> '';
CREATE INDEX entity_kind ON entity (kind, id) WHERE removed = 0;
CREATE INDEX entity_project ON entity (kind, project, id) WHERE removed = 0;
CREATE INDEX entity_removed ON entity (removed) WHERE removed > 0;
CREATE INDEX version_entity ON version (entity);
PRAGMA application_id=1414485840;
PRAGMA user_version=1;
COMMIT;
