-- An application's own callers list its background tasks.
CREATE INDEX task_of_application ON task (app, id);
