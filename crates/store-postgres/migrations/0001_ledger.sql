-- Instants are microseconds since 1970 (UTC); ids are the 20 bytes behind the base62 digits;
-- enumerations are the numbers of the store crate's `encoding` and never change their meaning.
-- Text that a stranger wrote and that may hold a zero byte is bytea: text can't hold it.

-- Lives of server processes, living and dying. Every message of a life with seq at or below its
-- checkpoint is settled or owed. Keys are never reused: message.node outlives the row.
--
-- Whoever writes in a life's name locks its row weakly (FOR KEY SHARE), an append also against other
-- appends (FOR NO KEY UPDATE), so that the places of a life rise in the order of its commits;
-- whoever fences it off locks it strongly (FOR UPDATE), and so waits for writes that are under way.
CREATE SEQUENCE node_epoch AS bigint;
CREATE TABLE node (
  key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text COLLATE "C" NOT NULL,
  -- Drawn from one sequence for all, and drawn anew by whoever fences this life off.
  epoch bigint NOT NULL UNIQUE CHECK (epoch > 0),
  checkpoint bigint NOT NULL CHECK (checkpoint >= 0),
  -- The epoch of the life that takes over what this one left; set while it is dying.
  undertaker bigint,
  version text NOT NULL,
  -- By this server's clock, which alone judges leases.
  joined_at bigint NOT NULL,
  beaten_at bigint NOT NULL,
  lease_until bigint NOT NULL,
  -- How far the node's own clock was ahead of it.
  clock_ahead bigint NOT NULL,
  in_flight bigint NOT NULL,
  queued bigint NOT NULL,
  lag bigint NOT NULL
) WITH (fillfactor = 50);
CREATE UNIQUE INDEX node_living ON node (name) WHERE undertaker IS NULL;

-- Which life makes the deliveries of which endpoints: those whose key modulo 256 is the shard.
CREATE TABLE shard (
  shard smallint PRIMARY KEY CHECK (shard BETWEEN 0 AND 255),
  -- NULL is free.
  node bigint
) WITH (fillfactor = 50);
INSERT INTO shard (shard) SELECT generate_series(0, 255);

-- Endpoints for which somebody who does not hold their shard has made something due.
CREATE TABLE arrival (
  endpoint bigint PRIMARY KEY,
  shard smallint NOT NULL,
  app bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX arrival_of_shard ON arrival (shard);

-- What other processes must forget. Numbers are drawn under a lock that is held until the commit, so
-- they appear in their order.
CREATE TABLE change_log (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind smallint NOT NULL CHECK (kind BETWEEN 0 AND 3),
  app bigint,
  endpoint bigint,
  api_key bytea CHECK (length(api_key) = 20),
  CHECK ((app IS NOT NULL) = (kind <= 2)),
  CHECK ((endpoint IS NOT NULL) = (kind = 2)),
  CHECK ((api_key IS NOT NULL) = (kind = 3))
);

-- Where walks of retention go on.
CREATE TABLE counter (
  name text COLLATE "C" PRIMARY KEY,
  value bigint NOT NULL
) WITH (fillfactor = 50);

-- Keys are never reused: rows of a deleted owner may outlive it for a while.
CREATE TABLE application (
  key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  org text COLLATE "C" NOT NULL,
  id bytea NOT NULL CHECK (length(id) = 20),
  uid text COLLATE "C",
  revision bigint NOT NULL DEFAULT 1,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  settings text NOT NULL,
  deleted_at bigint
);
CREATE UNIQUE INDEX application_id ON application (id) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX application_of_org ON application (org, id) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX application_uid ON application (org, uid)
  WHERE uid IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX application_deleted ON application (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE endpoint (
  key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  app bigint NOT NULL REFERENCES application (key),
  id bytea NOT NULL CHECK (length(id) = 20),
  uid text COLLATE "C",
  revision bigint NOT NULL DEFAULT 1,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  settings text NOT NULL,
  sealed bytea NOT NULL,
  health text NOT NULL,
  -- Its health is not `active`, so time may change it.
  unwell boolean NOT NULL,
  -- How often a person has set the health.
  health_revision bigint NOT NULL DEFAULT 0,
  deleted_at bigint
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX endpoint_id ON endpoint (app, id) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX endpoint_uid ON endpoint (app, uid)
  WHERE uid IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX endpoint_unwell ON endpoint (key) WHERE unwell AND deleted_at IS NULL;
-- All of an application, deleted ones too: the foreign key and retention look here.
CREATE INDEX endpoint_of_application ON endpoint (app);
CREATE INDEX endpoint_deleted ON endpoint (deleted_at) WHERE deleted_at IS NOT NULL;

CREATE TABLE event_type (
  org text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  archived boolean NOT NULL,
  settings text NOT NULL,
  PRIMARY KEY (org, name)
);
CREATE UNIQUE INDEX event_type_live ON event_type (org, name) WHERE NOT archived;

-- The days that have partitions of message and attempt (days since 1970).
CREATE TABLE day (
  day bigint PRIMARY KEY CHECK (day >= 0)
);

-- One row a message, whatever the number of endpoints it matched.
--
-- A place (seq) is the day of acceptance in its upper bits and a rising number in its lower 44.
-- Both tables are partitioned by it: an attempt lies in the partition of its message's day, and
-- retention drops the two together.
CREATE SEQUENCE message_place AS bigint MAXVALUE 17592186044415;
CREATE TABLE message (
  seq bigint NOT NULL,
  app bigint NOT NULL,
  id bytea NOT NULL CHECK (length(id) = 20),
  node bigint NOT NULL,
  accepted_at bigint NOT NULL,
  event_type text COLLATE "C" NOT NULL,
  event_id text COLLATE "C",
  record_key bytea,
  urgency smallint NOT NULL CHECK (urgency IN (0, 1)),
  -- Set while the payload is to be removed earlier than retention says.
  expire_payload_at bigint,
  -- Endpoint keys, ascending, as differences in LEB128.
  matched bytea NOT NULL,
  details text,
  payload bytea,
  PRIMARY KEY (seq)
) PARTITION BY RANGE (seq);
CREATE INDEX message_id ON message (app, id);
CREATE INDEX message_of_node ON message (node, seq);
-- All about one record, in order.
CREATE INDEX message_of_record ON message (app, record_key, seq) WHERE record_key IS NOT NULL;
CREATE INDEX message_expiry ON message (expire_payload_at) WHERE expire_payload_at IS NOT NULL;

-- Event ids are unique per application over all days, so they stand in a table of their own. A row
-- whose message went with its partition gives way.
CREATE TABLE event_id (
  app bigint NOT NULL,
  event_id text COLLATE "C" NOT NULL,
  seq bigint NOT NULL,
  message bytea NOT NULL CHECK (length(message) = 20),
  PRIMARY KEY (app, event_id)
);
CREATE INDEX event_id_place ON event_id (seq);

-- One row a request, or a skip. Final if it has a settlement.
CREATE TABLE attempt (
  seq bigint NOT NULL,
  id bytea NOT NULL CHECK (length(id) = 20),
  endpoint bigint NOT NULL,
  -- The message's id, so that an endpoint's messages can be listed in their order.
  message bytea NOT NULL,
  attempted_at bigint NOT NULL,
  number bigint NOT NULL CHECK (number >= 0),
  trigger smallint NOT NULL CHECK (trigger BETWEEN 0 AND 2),
  -- 0 is the ordinary case, accepted with 2xx; everything else is in the noted_* indexes.
  outcome smallint NOT NULL CHECK (outcome BETWEEN 0 AND 8),
  status integer,
  -- The phase, cause, verdict or reason of an outcome that has one.
  detail smallint,
  retry_after_ns bigint CHECK (retry_after_ns IS NULL OR outcome = 2),
  settlement smallint CHECK (settlement BETWEEN 0 AND 3),
  next_due_at bigint,
  url text NOT NULL,
  address text,
  -- A bit for each part that happened, then nanoseconds in LEB128.
  timing bytea NOT NULL,
  response_headers text,
  response_truncated boolean,
  response_body bytea,
  PRIMARY KEY (seq, id),
  CHECK ((settlement IS NULL) <> (next_due_at IS NULL)),
  CHECK ((status IS NOT NULL) = (outcome <= 2)),
  CHECK ((detail IS NOT NULL) = (outcome BETWEEN 3 AND 5 OR outcome = 8)),
  CHECK ((response_headers IS NULL) = (response_truncated IS NULL)),
  CHECK ((response_headers IS NULL) = (response_body IS NULL))
) PARTITION BY RANGE (seq);
CREATE INDEX attempt_of_endpoint ON attempt (endpoint, id);
CREATE INDEX attempt_of_endpoint_by_message ON attempt (endpoint, message);
CREATE INDEX noted_attempt_of_endpoint ON attempt (endpoint, id) WHERE outcome > 0;
CREATE INDEX noted_attempt_of_endpoint_by_message ON attempt (endpoint, message)
  WHERE outcome > 0;

-- Deliveries that are not settled and not running, and those that are leased. Whoever writes rows
-- of an endpoint holds the lock on its row of endpoint_owed.
CREATE SEQUENCE owed_token AS bigint;
CREATE TABLE owed (
  seq bigint NOT NULL,
  endpoint bigint NOT NULL,
  message bytea NOT NULL,
  -- NULL waits for its turn: an earlier delivery of its record is not settled.
  due_at bigint,
  reason smallint NOT NULL CHECK (reason BETWEEN 0 AND 5),
  trigger smallint NOT NULL CHECK (trigger BETWEEN 0 AND 2),
  attempts bigint NOT NULL CHECK (attempts >= 0),
  stale boolean NOT NULL,
  -- One attempt, whatever the retry schedule.
  once boolean NOT NULL,
  urgency smallint NOT NULL CHECK (urgency IN (0, 1)),
  record bigint,
  lease_node bigint,
  lease_until bigint,
  lease_token bigint,
  -- A person asked for it while it was leased: it becomes due again then.
  again_at bigint,
  PRIMARY KEY (seq, endpoint),
  CHECK (due_at IS NOT NULL OR reason = 1),
  CHECK ((lease_token IS NULL) = (lease_node IS NULL)),
  CHECK ((lease_token IS NULL) = (lease_until IS NULL)),
  CHECK (lease_token IS NULL OR due_at IS NOT NULL),
  CHECK (again_at IS NULL OR lease_token IS NOT NULL)
) WITH (
  fillfactor = 70,
  -- A row lives for seconds: what is dead must go soon, or every claim walks over it.
  autovacuum_vacuum_scale_factor = 0.02,
  autovacuum_vacuum_threshold = 500,
  autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX owed_due ON owed (endpoint, urgency, due_at, seq)
  WHERE lease_token IS NULL AND due_at IS NOT NULL;
CREATE INDEX owed_record ON owed (endpoint, record, seq) WHERE record IS NOT NULL;
CREATE INDEX owed_lease ON owed (endpoint, lease_until) WHERE lease_token IS NOT NULL;
CREATE INDEX owed_of_endpoint ON owed (endpoint, message);

-- How many rows of owed an endpoint has, so that nobody counts them; and the lock on those rows.
CREATE TABLE endpoint_owed (
  endpoint bigint PRIMARY KEY,
  owed bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_cost_delay = 0);

-- Settled deliveries by the hour (hours since 1970).
CREATE TABLE endpoint_hour (
  endpoint bigint NOT NULL,
  hour bigint NOT NULL,
  delivered bigint NOT NULL,
  failed bigint NOT NULL,
  cancelled bigint NOT NULL,
  PRIMARY KEY (endpoint, hour)
) WITH (fillfactor = 50, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX endpoint_hour_age ON endpoint_hour (hour);

-- What happened by the minute (minutes since 1970), to be summed up by the hour. An owner is `a:` and
-- an application's key, or `o:` and an organization. Each writer has parts of its own, so that none
-- waits for another's commit; lag00 to lag18 are the buckets of `domain::lag`.
CREATE TABLE activity_minute (
  minute bigint NOT NULL,
  owner text COLLATE "C" NOT NULL,
  part bigint NOT NULL,
  accepted bigint NOT NULL,
  delivered bigint NOT NULL,
  exhausted bigint NOT NULL,
  skipped bigint NOT NULL,
  cancelled bigint NOT NULL,
  attempts_failed bigint NOT NULL,
  lag00 bigint NOT NULL, lag01 bigint NOT NULL, lag02 bigint NOT NULL, lag03 bigint NOT NULL,
  lag04 bigint NOT NULL, lag05 bigint NOT NULL, lag06 bigint NOT NULL, lag07 bigint NOT NULL,
  lag08 bigint NOT NULL, lag09 bigint NOT NULL, lag10 bigint NOT NULL, lag11 bigint NOT NULL,
  lag12 bigint NOT NULL, lag13 bigint NOT NULL, lag14 bigint NOT NULL, lag15 bigint NOT NULL,
  lag16 bigint NOT NULL, lag17 bigint NOT NULL, lag18 bigint NOT NULL,
  PRIMARY KEY (owner, minute, part)
) WITH (fillfactor = 50, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX activity_minute_age ON activity_minute (minute);

-- The same by the hour, without the minutes that still stand above.
CREATE TABLE activity_hour (
  hour bigint NOT NULL,
  owner text COLLATE "C" NOT NULL,
  accepted bigint NOT NULL,
  delivered bigint NOT NULL,
  exhausted bigint NOT NULL,
  skipped bigint NOT NULL,
  cancelled bigint NOT NULL,
  attempts_failed bigint NOT NULL,
  lag00 bigint NOT NULL, lag01 bigint NOT NULL, lag02 bigint NOT NULL, lag03 bigint NOT NULL,
  lag04 bigint NOT NULL, lag05 bigint NOT NULL, lag06 bigint NOT NULL, lag07 bigint NOT NULL,
  lag08 bigint NOT NULL, lag09 bigint NOT NULL, lag10 bigint NOT NULL, lag11 bigint NOT NULL,
  lag12 bigint NOT NULL, lag13 bigint NOT NULL, lag14 bigint NOT NULL, lag15 bigint NOT NULL,
  lag16 bigint NOT NULL, lag17 bigint NOT NULL, lag18 bigint NOT NULL,
  PRIMARY KEY (owner, hour)
) WITH (fillfactor = 80);
CREATE INDEX activity_hour_age ON activity_hour (hour);

-- Who changed what.
CREATE TABLE audit (
  id bytea PRIMARY KEY CHECK (length(id) = 20),
  org text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  actor text NOT NULL,
  action text COLLATE "C" NOT NULL,
  application bytea CHECK (length(application) = 20),
  object text COLLATE "C" NOT NULL,
  before text,
  after text
);
CREATE INDEX audit_of_org ON audit (org, id);
CREATE INDEX audit_of_application ON audit (application, id) WHERE application IS NOT NULL;
CREATE INDEX audit_of_object ON audit (org, object, id);
CREATE INDEX audit_age ON audit (at);

-- Answers to requests with an idempotency key.
CREATE TABLE idempotency (
  key bytea PRIMARY KEY CHECK (length(key) = 32),
  request bytea NOT NULL CHECK (length(request) = 32),
  answer bytea NOT NULL,
  expires_at bigint NOT NULL
);
CREATE INDEX idempotency_age ON idempotency (expires_at);

-- Background tasks. What one is to do never changes; how far it has come does, in the transaction
-- that does it.
CREATE TABLE task (
  id bytea PRIMARY KEY CHECK (length(id) = 20),
  org text COLLATE "C" NOT NULL,
  app bigint NOT NULL,
  endpoint bigint NOT NULL,
  kind smallint NOT NULL CHECK (kind BETWEEN 0 AND 3),
  arguments text NOT NULL,
  -- The last message that was looked at.
  cursor bytea CHECK (length(cursor) = 20),
  looked bigint NOT NULL CHECK (looked >= 0),
  done bigint NOT NULL CHECK (done BETWEEN 0 AND looked),
  state smallint NOT NULL CHECK (state BETWEEN 0 AND 3),
  -- Why it failed.
  failure smallint,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  CHECK ((failure IS NOT NULL) = (state = 2))
) WITH (fillfactor = 70);
CREATE INDEX task_of_org ON task (org, id);
CREATE INDEX task_running ON task (id) WHERE state = 0;
CREATE INDEX task_of_application ON task (app, id);
CREATE INDEX task_running_of_application ON task (app) WHERE state = 0;
CREATE INDEX task_ended ON task (updated_at) WHERE state <> 0;

-- API keys by their hash. A revoked key has no row.
CREATE TABLE api_key (
  id bytea PRIMARY KEY CHECK (length(id) = 20),
  org text COLLATE "C" NOT NULL,
  -- NULL reaches all of the organization.
  app bigint REFERENCES application (key),
  name bytea NOT NULL,
  -- Names, separated by spaces.
  scopes text NOT NULL CHECK (length(scopes) > 0),
  created_at bigint NOT NULL,
  expires_at bigint CHECK (expires_at > created_at),
  hash bytea NOT NULL CHECK (length(hash) = 32),
  last_used_at bigint
) WITH (fillfactor = 80);
CREATE INDEX api_key_of_org ON api_key (org, id);
CREATE INDEX api_key_of_application ON api_key (app) WHERE app IS NOT NULL;
CREATE INDEX api_key_of_org_itself ON api_key (org) WHERE app IS NULL;

-- Operational webhooks that are yet to be accepted as messages of their own.
CREATE TABLE untold (
  key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id bytea NOT NULL UNIQUE CHECK (length(id) = 20),
  org text COLLATE "C" NOT NULL,
  at bigint NOT NULL,
  kind smallint NOT NULL CHECK (kind BETWEEN 0 AND 9),
  data text NOT NULL
);

-- The inbox: one unread line for all notices of a kind about an endpoint.
CREATE TABLE notice (
  key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id bytea NOT NULL CHECK (length(id) = 20),
  org text COLLATE "C" NOT NULL,
  kind smallint NOT NULL CHECK (kind BETWEEN 0 AND 9),
  application bytea NOT NULL CHECK (length(application) = 20),
  endpoint bigint NOT NULL,
  endpoint_id bytea NOT NULL CHECK (length(endpoint_id) = 20),
  count bigint NOT NULL CHECK (count > 0),
  first_at bigint NOT NULL,
  last_at bigint NOT NULL,
  data text NOT NULL,
  read_at bigint
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX notice_id ON notice (org, id);
CREATE INDEX notice_unread ON notice (org, id) WHERE read_at IS NULL;
CREATE UNIQUE INDEX notice_open ON notice (endpoint, kind) WHERE read_at IS NULL;
CREATE INDEX notice_age ON notice (last_at);

-- Notices that are yet to be told by e-mail, counted per endpoint and kind. A row without a count
-- rests until due_at: no other mail of the kind goes out before.
CREATE TABLE mail (
  endpoint bigint NOT NULL,
  kind smallint NOT NULL CHECK (kind BETWEEN 0 AND 9),
  id bytea NOT NULL CHECK (length(id) = 20),
  org text COLLATE "C" NOT NULL,
  application bytea NOT NULL CHECK (length(application) = 20),
  endpoint_id bytea NOT NULL CHECK (length(endpoint_id) = 20),
  count bigint NOT NULL CHECK (count >= 0),
  first_at bigint NOT NULL,
  last_at bigint NOT NULL,
  data text NOT NULL,
  -- When it is mailed, or claimed again: a claim moves it to the end of its lease.
  due_at bigint NOT NULL,
  token bigint NOT NULL DEFAULT 0,
  tries bigint NOT NULL DEFAULT 0 CHECK (tries >= 0),
  -- Who is yet to be told of the first so many, where others were.
  left_to text,
  left_count bigint CHECK (left_count > 0),
  PRIMARY KEY (endpoint, kind),
  CHECK ((left_to IS NULL) = (left_count IS NULL)),
  CHECK (left_count IS NULL OR left_count <= count)
) WITH (fillfactor = 70);
CREATE INDEX mail_due ON mail (due_at) WHERE count > 0;
CREATE INDEX mail_rest ON mail (due_at) WHERE count = 0;
