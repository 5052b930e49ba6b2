-- A person may pause a background task and resume it.
ALTER TABLE task
  DROP CONSTRAINT task_state_check,
  ADD CONSTRAINT task_state_check CHECK (state BETWEEN 0 AND 4),
  -- How long it was paused, without a pause that lasts.
  ADD COLUMN paused_us bigint NOT NULL DEFAULT 0 CHECK (paused_us >= 0);
-- Running or paused: what counts toward an application's limit.
CREATE INDEX task_open_of_application ON task (app) WHERE state IN (0, 4);
DROP INDEX task_running_of_application;
-- A task that rests so long that its messages have gone goes with them.
ALTER INDEX task_ended RENAME TO task_resting;
