-- A task may be about all of an application, or all applications of an organization, and report what
-- it found. What a task is about is checked by its table, so that is made anew.
CREATE TABLE task_next (
  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 20),
  org TEXT NOT NULL,
  -- NULL is all applications of the organization.
  app INTEGER,
  -- NULL is all of the application.
  endpoint INTEGER,
  kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 6),
  arguments TEXT NOT NULL,
  -- The id of the last message or application that was looked at.
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
  CHECK ((failure IS NOT NULL) = (state = 2)),
  CHECK ((app IS NOT NULL) = (kind <= 4)),
  CHECK ((endpoint IS NOT NULL) = (kind <= 3))
) STRICT, WITHOUT ROWID;
INSERT INTO task_next SELECT id, org, app, endpoint, kind, arguments, cursor, looked, done, state,
  failure, paused_us, created_at, updated_at FROM task;
DROP TABLE task;
ALTER TABLE task_next RENAME TO task;
CREATE INDEX task_of_org ON task (org, id);
CREATE INDEX task_of_application ON task (app, id);
CREATE INDEX task_running ON task (id) WHERE state = 0;
-- Running or paused: what counts toward a limit.
CREATE INDEX task_open_of_application ON task (app) WHERE state IN (0, 4);
CREATE INDEX task_open_of_org ON task (org) WHERE app IS NULL AND state IN (0, 4);
-- A task that rests so long that its messages have gone goes with them.
CREATE INDEX task_resting ON task (updated_at) WHERE state <> 0;

-- What a task has found out, a row for each step that found something.
CREATE TABLE task_report (
  task BLOB NOT NULL REFERENCES task (id) ON DELETE CASCADE,
  part INTEGER NOT NULL CHECK (part >= 0),
  text TEXT NOT NULL,
  PRIMARY KEY (task, part)
) STRICT, WITHOUT ROWID;
