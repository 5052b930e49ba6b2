-- How far retention has walked the messages of an application whose organization has times of its
-- own: ids, behind which nothing is left to do.
CREATE TABLE retention_walk (
  app bigint PRIMARY KEY REFERENCES application (key) ON DELETE CASCADE,
  payloads_to bytea NOT NULL CHECK (length(payloads_to) = 20),
  messages_to bytea NOT NULL CHECK (length(messages_to) = 20)
) WITH (fillfactor = 50);
