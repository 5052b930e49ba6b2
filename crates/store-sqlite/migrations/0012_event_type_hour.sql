-- Accepted messages of each event type by the hour (hours since 1970).
CREATE TABLE event_type_hour (
  app INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  event_type TEXT NOT NULL,
  accepted INTEGER NOT NULL,
  PRIMARY KEY (app, hour, event_type)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_type_hour_age ON event_type_hour (hour);
