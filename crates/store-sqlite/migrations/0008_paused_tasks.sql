-- A person may pause a background task and resume it. The states a task may be in are checked by
-- its table, so that is made anew.
CREATE TABLE task_new (
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
  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 4),
  -- Why it failed.
  failure INTEGER,
  -- How long it was paused, without a pause that lasts.
  paused_us INTEGER NOT NULL DEFAULT 0 CHECK (paused_us >= 0),
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  CHECK ((failure IS NOT NULL) = (state = 2))
) STRICT, WITHOUT ROWID;
INSERT INTO task_new (id, org, app, endpoint, kind, arguments, cursor, looked, done, state, failure,
  created_at, updated_at)
  SELECT id, org, app, endpoint, kind, arguments, cursor, looked, done, state, failure, created_at,
    updated_at FROM task;
DROP TABLE task;
ALTER TABLE task_new RENAME TO task;
CREATE INDEX task_of_org ON task (org, id);
CREATE INDEX task_of_application ON task (app, id);
CREATE INDEX task_running ON task (id) WHERE state = 0;
-- Running or paused: what counts toward an application's limit.
CREATE INDEX task_open_of_application ON task (app) WHERE state IN (0, 4);
-- A task that rests so long that its messages have gone goes with them.
CREATE INDEX task_resting ON task (updated_at) WHERE state <> 0;
