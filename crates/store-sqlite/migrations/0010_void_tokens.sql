-- Sets of signed tokens that are not valid any more.
CREATE TABLE token_void (
  org TEXT NOT NULL,
  -- `all`, `one/` and a hash, an application's id, or that, `/` and the name of a session.
  name TEXT NOT NULL,
  -- Tokens that were made later stay valid.
  issued_until INTEGER NOT NULL,
  void_from INTEGER NOT NULL,
  -- No token of the set would be valid from then on in any case.
  forget_at INTEGER,
  PRIMARY KEY (org, name, issued_until, void_from)
) STRICT, WITHOUT ROWID;
CREATE INDEX token_void_forgotten ON token_void (forget_at) WHERE forget_at IS NOT NULL;

-- The log of changes learns of them: kind 4. A check can't be changed in place, and numbers must
-- go on where they were.
CREATE TABLE change_log_next (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  kind INTEGER NOT NULL CHECK (kind BETWEEN 0 AND 4),
  app INTEGER,
  endpoint INTEGER,
  api_key BLOB CHECK (length(api_key) = 20),
  CHECK ((app IS NOT NULL) = (kind <= 2)),
  CHECK ((endpoint IS NOT NULL) = (kind = 2)),
  CHECK ((api_key IS NOT NULL) = (kind = 3))
) STRICT;
INSERT INTO change_log_next SELECT number, kind, app, endpoint, api_key FROM change_log;
DELETE FROM sqlite_sequence WHERE name = 'change_log_next';
INSERT INTO sqlite_sequence (name, seq)
  SELECT 'change_log_next', seq FROM sqlite_sequence WHERE name = 'change_log';
DROP TABLE change_log;
ALTER TABLE change_log_next RENAME TO change_log;
