-- A task may be about all of an application (no endpoint), or all applications of an organization (no
-- application), and report what it found.
ALTER TABLE task
  ALTER COLUMN app DROP NOT NULL,
  ALTER COLUMN endpoint DROP NOT NULL,
  DROP CONSTRAINT task_kind_check,
  ADD CONSTRAINT task_kind_check CHECK (kind BETWEEN 0 AND 6),
  ADD CONSTRAINT task_subject_check
    CHECK ((app IS NOT NULL) = (kind <= 4) AND (endpoint IS NOT NULL) = (kind <= 3));
CREATE INDEX task_open_of_org ON task (org) WHERE app IS NULL AND state IN (0, 4);

-- What a task has found out, a row for each step that found something.
CREATE TABLE task_report (
  task bytea NOT NULL REFERENCES task (id) ON DELETE CASCADE,
  part bigint NOT NULL CHECK (part >= 0),
  text text NOT NULL,
  PRIMARY KEY (task, part)
);
