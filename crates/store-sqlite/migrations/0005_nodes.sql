-- Lives of server processes, living and dying. Every message of a life with seq at or below its
-- checkpoint is settled or owed. Keys are never reused: message.node outlives the row.
CREATE TABLE life (
  key INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  -- Drawn from one counter for all, and drawn anew by whoever fences this life off.
  epoch INTEGER NOT NULL UNIQUE CHECK (epoch > 0),
  checkpoint INTEGER NOT NULL CHECK (checkpoint >= 0),
  -- The epoch of the life that takes over what this one left; set while it is dying.
  undertaker INTEGER,
  version TEXT NOT NULL,
  joined_at INTEGER NOT NULL,
  beaten_at INTEGER NOT NULL,
  lease_until INTEGER NOT NULL,
  clock_ahead INTEGER NOT NULL,
  in_flight INTEGER NOT NULL,
  queued INTEGER NOT NULL,
  lag INTEGER NOT NULL
) STRICT;
-- Their numbers were each node's own; keys are as good a start, and no writer of then is left.
INSERT INTO life
  SELECT key, name, key, checkpoint, NULL, '', 0, 0, ifnull(lease_until, 0), 0, 0, 0, 0 FROM node;
INSERT INTO counter SELECT 'epoch', max(key) FROM node HAVING count(*) > 0;
INSERT INTO counter SELECT 'seq', max(checkpoint) FROM node HAVING count(*) > 0;
DROP TABLE node;
ALTER TABLE life RENAME TO node;
CREATE UNIQUE INDEX node_living ON node (name) WHERE undertaker IS NULL;

-- Which life makes the deliveries of which endpoints: those whose key modulo 256 is the shard.
CREATE TABLE shard (
  shard INTEGER PRIMARY KEY CHECK (shard BETWEEN 0 AND 255),
  -- NULL is free.
  node INTEGER
) STRICT;
INSERT INTO shard (shard)
  WITH RECURSIVE number (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM number WHERE n < 255)
  SELECT n FROM number;
CREATE INDEX shard_of_node ON shard (node);

-- Endpoints for which somebody who does not hold their shard has made something due.
CREATE TABLE arrival (
  endpoint INTEGER PRIMARY KEY,
  shard INTEGER NOT NULL,
  app INTEGER NOT NULL
) STRICT;
CREATE INDEX arrival_of_shard ON arrival (shard);

-- What other processes must forget.
CREATE TABLE change_log (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 3),
  app INTEGER,
  endpoint INTEGER,
  api_key BLOB CHECK (length(api_key) = 20),
  CHECK ((app IS NOT NULL) = (kind <= 2)),
  CHECK ((endpoint IS NOT NULL) = (kind = 2)),
  CHECK ((api_key IS NOT NULL) = (kind = 3))
) STRICT;

-- How often a person has set the health.
ALTER TABLE endpoint ADD COLUMN health_revision INTEGER NOT NULL DEFAULT 0;
