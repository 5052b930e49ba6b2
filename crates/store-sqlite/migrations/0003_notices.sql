-- Operational webhooks that are yet to be accepted as messages of their own.
CREATE TABLE untold (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  id BLOB NOT NULL CHECK (length(id) = 20),
  org TEXT NOT NULL,
  at INTEGER NOT NULL,
  kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 9),
  data TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX untold_id ON untold (id);

-- The inbox: one unread line for all notices of a kind about an endpoint.
CREATE TABLE notice (
  key INTEGER PRIMARY KEY,
  id BLOB NOT NULL CHECK (length(id) = 20),
  org TEXT NOT NULL,
  kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 9),
  application BLOB NOT NULL CHECK (length(application) = 20),
  endpoint INTEGER NOT NULL,
  endpoint_id BLOB NOT NULL CHECK (length(endpoint_id) = 20),
  count INTEGER NOT NULL CHECK (count > 0),
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  data TEXT NOT NULL,
  read_at INTEGER
) STRICT;
CREATE UNIQUE INDEX notice_id ON notice (org, id);
CREATE INDEX notice_unread ON notice (org, id) WHERE read_at IS NULL;
CREATE UNIQUE INDEX notice_open ON notice (endpoint, kind) WHERE read_at IS NULL;
CREATE INDEX notice_age ON notice (last_at);
