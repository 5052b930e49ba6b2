-- API keys by their hash. A revoked key has no row.
CREATE TABLE api_key (
  id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 20),
  org TEXT NOT NULL,
  -- NULL reaches all of the organization.
  app INTEGER REFERENCES application (key),
  name TEXT NOT NULL,
  -- Names, separated by spaces.
  scopes TEXT NOT NULL CHECK (length(scopes) > 0),
  created_at INTEGER NOT NULL,
  expires_at INTEGER CHECK (expires_at > created_at),
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  last_used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_key_of_org ON api_key (org, id);
CREATE INDEX api_key_of_application ON api_key (app) WHERE app IS NOT NULL;
CREATE INDEX api_key_of_org_itself ON api_key (org) WHERE app IS NULL;
