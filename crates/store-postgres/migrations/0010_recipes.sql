-- How requests to an endpoint are made: what shapes them besides the message, the time and secrets.
CREATE TABLE recipe (
  endpoint bigint NOT NULL,
  number bigint NOT NULL CHECK (number > 0),
  digest bytea NOT NULL CHECK (length(digest) = 32),
  text text NOT NULL,
  -- The store was told last that requests are made by it.
  used_at bigint NOT NULL,
  -- When retention looks whether an attempt of its time is left.
  look_at bigint NOT NULL,
  PRIMARY KEY (endpoint, number)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX recipe_digest ON recipe (endpoint, digest);
CREATE INDEX recipe_look ON recipe (look_at);

-- By which recipe a request was made, and the signature it carried. Older attempts have neither, nor
-- have those of servers that do not know of recipes; so nothing that is there needs to be looked at.
ALTER TABLE attempt
  ADD COLUMN recipe bigint,
  ADD COLUMN signature text,
  ADD CONSTRAINT attempt_sent_check
    CHECK (recipe > 0 AND (signature IS NULL) = (recipe IS NULL)) NOT VALID;
