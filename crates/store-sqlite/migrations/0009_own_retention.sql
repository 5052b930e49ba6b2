-- How far retention has walked the messages of an application whose organization has times of its
-- own: ids, behind which nothing is left to do.
CREATE TABLE retention_walk (
  app INTEGER NOT NULL PRIMARY KEY REFERENCES application (key) ON DELETE CASCADE,
  payloads_to BLOB NOT NULL CHECK (length(payloads_to) = 20),
  messages_to BLOB NOT NULL CHECK (length(messages_to) = 20)
) STRICT;
