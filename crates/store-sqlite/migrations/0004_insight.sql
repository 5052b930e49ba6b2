-- What happened by the minute (minutes since 1970), to be summed up by the hour. An owner is `a:` and
-- an application's key, or `o:` and an organization. The minute comes first, so that all that is
-- counted at a time stands together; lag00 to lag18 are the buckets of `domain::lag`.
CREATE TABLE activity_minute (
  minute INTEGER NOT NULL,
  owner TEXT NOT NULL,
  accepted INTEGER NOT NULL,
  delivered INTEGER NOT NULL,
  exhausted INTEGER NOT NULL,
  skipped INTEGER NOT NULL,
  cancelled INTEGER NOT NULL,
  attempts_failed INTEGER NOT NULL,
  lag00 INTEGER NOT NULL, lag01 INTEGER NOT NULL, lag02 INTEGER NOT NULL, lag03 INTEGER NOT NULL,
  lag04 INTEGER NOT NULL, lag05 INTEGER NOT NULL, lag06 INTEGER NOT NULL, lag07 INTEGER NOT NULL,
  lag08 INTEGER NOT NULL, lag09 INTEGER NOT NULL, lag10 INTEGER NOT NULL, lag11 INTEGER NOT NULL,
  lag12 INTEGER NOT NULL, lag13 INTEGER NOT NULL, lag14 INTEGER NOT NULL, lag15 INTEGER NOT NULL,
  lag16 INTEGER NOT NULL, lag17 INTEGER NOT NULL, lag18 INTEGER NOT NULL,
  PRIMARY KEY (minute, owner)
) STRICT, WITHOUT ROWID;

-- The same by the hour, without the minutes that still stand above.
CREATE TABLE activity_hour (
  hour INTEGER NOT NULL,
  owner TEXT NOT NULL,
  accepted INTEGER NOT NULL,
  delivered INTEGER NOT NULL,
  exhausted INTEGER NOT NULL,
  skipped INTEGER NOT NULL,
  cancelled INTEGER NOT NULL,
  attempts_failed INTEGER NOT NULL,
  lag00 INTEGER NOT NULL, lag01 INTEGER NOT NULL, lag02 INTEGER NOT NULL, lag03 INTEGER NOT NULL,
  lag04 INTEGER NOT NULL, lag05 INTEGER NOT NULL, lag06 INTEGER NOT NULL, lag07 INTEGER NOT NULL,
  lag08 INTEGER NOT NULL, lag09 INTEGER NOT NULL, lag10 INTEGER NOT NULL, lag11 INTEGER NOT NULL,
  lag12 INTEGER NOT NULL, lag13 INTEGER NOT NULL, lag14 INTEGER NOT NULL, lag15 INTEGER NOT NULL,
  lag16 INTEGER NOT NULL, lag17 INTEGER NOT NULL, lag18 INTEGER NOT NULL,
  PRIMARY KEY (owner, hour)
) STRICT, WITHOUT ROWID;
CREATE INDEX activity_hour_age ON activity_hour (hour);

-- Endpoints that owe something.
CREATE INDEX endpoint_owing ON endpoint_owed (endpoint) WHERE owed > 0;

-- All about one record, in order.
CREATE INDEX message_of_record ON message (app, record_key, seq) WHERE record_key IS NOT NULL;

-- Who changed what.
CREATE TABLE audit (
  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 20),
  org TEXT NOT NULL,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  application BLOB CHECK (application IS NULL OR length(application) = 20),
  object TEXT NOT NULL,
  before TEXT,
  after TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_of_org ON audit (org, id);
CREATE INDEX audit_of_application ON audit (application, id) WHERE application IS NOT NULL;
CREATE INDEX audit_of_object ON audit (org, object, id);
CREATE INDEX audit_age ON audit (at);
