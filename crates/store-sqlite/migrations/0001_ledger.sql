-- Instants are microseconds since 1970 (UTC); ids are the 20 bytes behind the base62 digits;
-- enumerations are the numbers listed in src/code.rs and never change their meaning.

-- Counters that must survive a restart.
CREATE TABLE counter (
  name TEXT NOT NULL PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Server processes. Every message of a node with seq at or below its checkpoint is settled or owed.
CREATE TABLE node (
  key INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  epoch INTEGER NOT NULL DEFAULT 0 CHECK (epoch >= 0),
  checkpoint INTEGER NOT NULL DEFAULT 0 CHECK (checkpoint >= 0),
  lease_until INTEGER
) STRICT;

-- Keys are never reused (AUTOINCREMENT): rows of a deleted owner may outlive it for a while.
CREATE TABLE application (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  org TEXT NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 20),
  uid TEXT,
  revision INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  settings TEXT NOT NULL,
  deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX application_id ON application (id) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX application_of_org ON application (org, id) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX application_uid ON application (org, uid)
  WHERE uid IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX application_deleted ON application (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE endpoint (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  app INTEGER NOT NULL REFERENCES application (key),
  id BLOB NOT NULL CHECK (length(id) = 20),
  uid TEXT,
  revision INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  settings TEXT NOT NULL,
  sealed BLOB NOT NULL,
  health TEXT NOT NULL,
  -- Its health is not `active`, so time may change it.
  unwell INTEGER NOT NULL CHECK (unwell IN (0, 1)),
  deleted_at INTEGER
) STRICT;
CREATE UNIQUE INDEX endpoint_id ON endpoint (app, id) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX endpoint_uid ON endpoint (app, uid)
  WHERE uid IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX endpoint_unwell ON endpoint (key) WHERE unwell = 1 AND deleted_at IS NULL;
-- All of an application, deleted ones too: the foreign key and retention look here.
CREATE INDEX endpoint_of_application ON endpoint (app);
CREATE INDEX endpoint_deleted ON endpoint (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE event_type (
  key INTEGER PRIMARY KEY,
  org TEXT NOT NULL,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  archived INTEGER NOT NULL CHECK (archived IN (0, 1)),
  settings TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX event_type_name ON event_type (org, name);
CREATE UNIQUE INDEX event_type_live ON event_type (org, name) WHERE archived = 0;

-- One row a message, whatever the number of endpoints it matched. seq is drawn by the writer and
-- rises; the payload stands last, so that lists need not walk through its overflow pages.
CREATE TABLE message (
  seq INTEGER PRIMARY KEY,
  app INTEGER NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 20),
  node INTEGER NOT NULL,
  accepted_at INTEGER NOT NULL,
  event_type TEXT NOT NULL,
  event_id TEXT,
  record_key TEXT,
  urgency INTEGER NOT NULL CHECK (urgency IN (0, 1)),
  -- Set while the payload is to be removed earlier than retention says.
  expire_payload_at INTEGER,
  -- Endpoint keys, ascending, as differences in LEB128.
  matched BLOB NOT NULL,
  details TEXT,
  payload BLOB
) STRICT;
CREATE UNIQUE INDEX message_id ON message (app, id);
CREATE UNIQUE INDEX message_event_id ON message (app, event_id) WHERE event_id IS NOT NULL;
CREATE INDEX message_expiry ON message (expire_payload_at) WHERE expire_payload_at IS NOT NULL;

-- One row a request, or a skip. Final if it has a settlement.
CREATE TABLE attempt (
  seq INTEGER NOT NULL,
  id BLOB NOT NULL CHECK (length(id) = 20),
  endpoint INTEGER NOT NULL,
  -- The message's id, so that an endpoint's messages can be listed in their order.
  message BLOB NOT NULL,
  attempted_at INTEGER NOT NULL,
  number INTEGER NOT NULL CHECK (number >= 0),
  trigger INTEGER NOT NULL CHECK (trigger BETWEEN 0 AND 2),
  -- 0 is the ordinary case, accepted with 2xx; everything else is in the noted_* indexes.
  outcome INTEGER NOT NULL CHECK (outcome BETWEEN 0 AND 8),
  status INTEGER,
  -- The phase, cause, verdict or reason of an outcome that has one.
  detail INTEGER,
  retry_after_ns INTEGER CHECK (retry_after_ns IS NULL OR outcome = 2),
  settlement INTEGER CHECK (settlement BETWEEN 0 AND 3),
  next_due_at INTEGER,
  url TEXT NOT NULL,
  address TEXT,
  -- A bit for each part that happened, then nanoseconds in LEB128.
  timing BLOB NOT NULL,
  response_headers TEXT,
  response_truncated INTEGER CHECK (response_truncated IN (0, 1)),
  response_body BLOB,
  PRIMARY KEY (seq, id),
  CHECK ((settlement IS NULL) <> (next_due_at IS NULL)),
  CHECK ((status IS NOT NULL) = (outcome <= 2)),
  -- Not `IN (…)`: SQLite would build a table of the list for every insert.
  CHECK ((detail IS NOT NULL) = (outcome BETWEEN 3 AND 5 OR outcome = 8)),
  CHECK ((response_headers IS NULL) = (response_truncated IS NULL)),
  CHECK ((response_headers IS NULL) = (response_body IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_of_endpoint ON attempt (endpoint, id);
CREATE INDEX attempt_of_endpoint_by_message ON attempt (endpoint, message);
CREATE INDEX noted_attempt_of_endpoint ON attempt (endpoint, id) WHERE outcome > 0;
CREATE INDEX noted_attempt_of_endpoint_by_message ON attempt (endpoint, message)
  WHERE outcome > 0;

-- Deliveries that are not settled and not running, and those that are leased.
CREATE TABLE owed (
  seq INTEGER NOT NULL,
  endpoint INTEGER NOT NULL,
  message BLOB NOT NULL,
  -- NULL waits for its turn: an earlier delivery of its record is not settled.
  due_at INTEGER,
  reason INTEGER NOT NULL CHECK (reason BETWEEN 0 AND 5),
  trigger INTEGER NOT NULL CHECK (trigger BETWEEN 0 AND 2),
  attempts INTEGER NOT NULL CHECK (attempts >= 0),
  stale INTEGER NOT NULL CHECK (stale IN (0, 1)),
  -- One attempt, whatever the retry schedule.
  once INTEGER NOT NULL DEFAULT 0 CHECK (once IN (0, 1)),
  urgency INTEGER NOT NULL CHECK (urgency IN (0, 1)),
  record INTEGER,
  lease_node INTEGER,
  lease_until INTEGER,
  lease_token INTEGER,
  -- A person asked for it while it was leased: it becomes due again then.
  again_at INTEGER,
  PRIMARY KEY (seq, endpoint),
  CHECK (due_at IS NOT NULL OR reason = 1),
  CHECK ((lease_token IS NULL) = (lease_node IS NULL)),
  CHECK ((lease_token IS NULL) = (lease_until IS NULL)),
  CHECK (lease_token IS NULL OR due_at IS NOT NULL),
  CHECK (again_at IS NULL OR lease_token IS NOT NULL)
) STRICT, WITHOUT ROWID;
CREATE INDEX owed_due ON owed (endpoint, urgency, due_at, seq)
  WHERE lease_token IS NULL AND due_at IS NOT NULL;
CREATE INDEX owed_record ON owed (endpoint, record, seq) WHERE record IS NOT NULL;
CREATE INDEX owed_lease ON owed (endpoint, lease_until) WHERE lease_token IS NOT NULL;
CREATE INDEX owed_of_endpoint ON owed (endpoint, message);

-- How many rows of owed an endpoint has, so that nobody counts them.
CREATE TABLE endpoint_owed (
  endpoint INTEGER PRIMARY KEY,
  owed INTEGER NOT NULL
) STRICT;

-- Settled deliveries by the hour (hours since 1970).
CREATE TABLE endpoint_hour (
  endpoint INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  delivered INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0,
  cancelled INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (endpoint, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX endpoint_hour_age ON endpoint_hour (hour);

-- Answers to requests with an idempotency key.
CREATE TABLE idempotency (
  key BLOB NOT NULL PRIMARY KEY CHECK (length(key) = 32),
  request BLOB NOT NULL CHECK (length(request) = 32),
  answer BLOB NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_age ON idempotency (expires_at);

-- Background tasks. What one is to do never changes; how far it has come does, in the transaction
-- that does it.
CREATE TABLE task (
  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 20),
  org TEXT NOT NULL,
  app INTEGER NOT NULL,
  endpoint INTEGER NOT NULL,
  kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 3),
  arguments TEXT NOT NULL,
  -- The last message that was looked at.
  cursor BLOB CHECK (cursor IS NULL OR length(cursor) = 20),
  looked INTEGER NOT NULL CHECK (looked >= 0),
  done INTEGER NOT NULL CHECK (done BETWEEN 0 AND looked),
  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 3),
  -- Why it failed.
  failure INTEGER,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  CHECK ((failure IS NOT NULL) = (state = 2))
) STRICT, WITHOUT ROWID;
CREATE INDEX task_of_org ON task (org, id);
CREATE INDEX task_running ON task (id) WHERE state = 0;
CREATE INDEX task_running_of_application ON task (app) WHERE state = 0;
CREATE INDEX task_ended ON task (updated_at) WHERE state <> 0;
