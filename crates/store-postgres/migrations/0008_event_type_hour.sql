-- Accepted messages of each event type by the hour (hours since 1970). Each writer has parts of its
-- own, so that none waits for another's commit.
CREATE TABLE event_type_hour (
  app bigint NOT NULL,
  hour bigint NOT NULL,
  event_type text COLLATE "C" NOT NULL,
  part bigint NOT NULL DEFAULT 0,
  accepted bigint NOT NULL,
  PRIMARY KEY (app, hour, event_type, part)
) WITH (fillfactor = 50, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX event_type_hour_age ON event_type_hour (hour);
