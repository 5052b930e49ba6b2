-- A move from another store that is under way: how far each table has come, and what was written. No
-- server uses the database before it is done.
CREATE TABLE transfer (
  part text COLLATE "C" PRIMARY KEY,
  -- What tells the source, as it was when the move began.
  source text NOT NULL,
  -- The key of the last row that was written.
  last bytea,
  rows bigint NOT NULL CHECK (rows >= 0),
  sum bytea NOT NULL CHECK (length(sum) = 16)
);

-- Counts that were moved belong to no writer of today.
ALTER TABLE activity_minute ALTER COLUMN part SET DEFAULT 0;
