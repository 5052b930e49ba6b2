-- How requests to an endpoint are made: what shapes them besides the message, the time and secrets.
CREATE TABLE recipe (
  endpoint INTEGER NOT NULL,
  number INTEGER NOT NULL CHECK (number > 0),
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  text TEXT NOT NULL,
  -- The store was told last that requests are made by it.
  used_at INTEGER NOT NULL,
  -- When retention looks whether an attempt of its time is left.
  look_at INTEGER NOT NULL,
  PRIMARY KEY (endpoint, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX recipe_digest ON recipe (endpoint, digest);
CREATE INDEX recipe_look ON recipe (look_at);

-- By which recipe a request was made, and the signature it carried. Older attempts have neither.
ALTER TABLE attempt ADD COLUMN recipe INTEGER CHECK (recipe > 0);
ALTER TABLE attempt ADD COLUMN signature TEXT CHECK ((signature IS NULL) = (recipe IS NULL));
