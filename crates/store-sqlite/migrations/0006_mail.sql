-- Notices that are yet to be told by e-mail, counted per endpoint and kind. A row without a count
-- rests until due_at: no other mail of the kind goes out before.
CREATE TABLE mail (
  endpoint INTEGER NOT NULL,
  kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 9),
  id BLOB NOT NULL CHECK (length(id) = 20),
  org TEXT NOT NULL,
  application BLOB NOT NULL CHECK (length(application) = 20),
  endpoint_id BLOB NOT NULL CHECK (length(endpoint_id) = 20),
  count INTEGER NOT NULL CHECK (count >= 0),
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  data TEXT NOT NULL,
  -- When it is mailed, or claimed again: a claim moves it to the end of its lease.
  due_at INTEGER NOT NULL,
  token INTEGER NOT NULL DEFAULT 0,
  tries INTEGER NOT NULL DEFAULT 0 CHECK (tries >= 0),
  -- Who is yet to be told of the first so many, where others were.
  left_to TEXT,
  left_count INTEGER CHECK (left_count > 0),
  PRIMARY KEY (endpoint, kind),
  CHECK ((left_to IS NULL) = (left_count IS NULL)),
  CHECK (left_count IS NULL OR left_count <= count)
) STRICT, WITHOUT ROWID;
CREATE INDEX mail_due ON mail (due_at) WHERE count > 0;
CREATE INDEX mail_rest ON mail (due_at) WHERE count = 0;
