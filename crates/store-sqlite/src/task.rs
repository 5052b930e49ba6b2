//! Background tasks: their rows, and the steps that do their work.

mod candidates;
mod step;

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, Params, Row, params, params_from_iter};
use watchfire_domain::id::{Ksuid, OrganizationId, TaskId};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::{Code, StateCells, SubjectCells, count_cell};
use watchfire_store::{
    Advanced, Candidates, Conflict, EndpointKey, Life, Range, Steering, StoreResult, Subject, Task,
    TaskFilter, TaskProgress, TaskState, TaskStep, Tasks,
};

use crate::configuration::{json_text, page};
use crate::fault::{Fault, FaultResult, Refusal};
use crate::open::Sqlite;
use crate::row::Columns;
use crate::writer::{Rows, Tx};

#[async_trait]
impl Tasks for Sqlite {
    async fn task(&self, org: &OrganizationId, id: TaskId) -> StoreResult<Option<Task>> {
        let org = org.clone();
        self.readers
            .run(move |connection| find(connection, &org, id))
            .await
    }

    async fn tasks(
        &self,
        org: &OrganizationId,
        filter: TaskFilter,
        range: Range<TaskId>,
    ) -> StoreResult<Vec<Task>> {
        let org = org.clone();
        self.readers
            .run(move |connection| list(connection, &org, filter, &range))
            .await
    }

    async fn running_tasks(&self, after: Option<TaskId>, limit: usize) -> StoreResult<Vec<Task>> {
        self.readers
            .run(move |connection| running(connection, after, limit))
            .await
    }

    async fn candidates(&self, task: &Task, limit: usize) -> StoreResult<Candidates> {
        let task = task.clone();
        self.readers
            .run(move |connection| candidates::of(connection, &task, limit))
            .await
    }

    async fn count_due(
        &self,
        endpoint: EndpointKey,
        now: Timestamp,
        at_most: usize,
    ) -> StoreResult<usize> {
        self.readers
            .run(move |connection| candidates::count_due(connection, endpoint, now, at_most))
            .await
    }

    async fn advance_task(
        &self,
        life: &Life,
        now: Timestamp,
        step: TaskStep,
    ) -> StoreResult<Advanced> {
        let life = life.clone();
        let rows = Rows(step.writes.len() + 2);
        let work = move |tx: &mut Tx<'_>| step::carry_out(tx, &life, now, &step);
        Ok(self.writer.run::<_, Fault, _>(rows, work).await?)
    }

    async fn task_report(&self, org: &OrganizationId, id: TaskId) -> StoreResult<Vec<String>> {
        let org = org.clone();
        self.readers
            .run(move |connection| report(connection, &org, id))
            .await
    }

    async fn steer_task(
        &self,
        org: &OrganizationId,
        id: TaskId,
        steering: Steering,
        now: Timestamp,
    ) -> StoreResult<Option<Task>> {
        let org = org.clone();
        let work = move |tx: &mut Tx<'_>| steer(tx, &org, id, (steering, now));
        Ok(self.writer.run::<_, Fault, _>(Rows(1), work).await?)
    }
}

const COLUMNS: &str = "id, org, app, endpoint, kind, arguments, cursor, looked, done, state, \
     failure, paused_us, created_at, updated_at";

pub(crate) fn create(tx: &Tx<'_>, task: &Task) -> Result<(), Refusal> {
    if !is_live(tx, task.subject)? {
        return Err(Conflict::Missing.into());
    }
    if is_full(tx, task)? {
        return Err(Conflict::TaskLimit.into());
    }
    insert(tx, task)
}

/// Whether what the task is about is there.
fn is_live(tx: &Tx<'_>, subject: Subject) -> FaultResult<bool> {
    let live = match subject {
        Subject::Endpoint { app, endpoint } => tx
            .prepare(
                "SELECT EXISTS (SELECT 1 FROM endpoint \
                 WHERE key = ?1 AND app = ?2 AND deleted_at IS NULL)",
            )?
            .query_row(params![endpoint.0, app.0], |row| row.get(0))?,
        Subject::Application(app) => tx
            .prepare(
                "SELECT EXISTS (SELECT 1 FROM application WHERE key = ?1 AND deleted_at IS NULL)",
            )?
            .query_row(params![app.0], |row| row.get(0))?,
        Subject::Organization => true,
    };
    Ok(live)
}

/// Counts up to the limit, on the index: an application's, or those of no application.
fn is_full(tx: &Tx<'_>, task: &Task) -> FaultResult<bool> {
    let most = i64::try_from(limit::TASKS_PER_APPLICATION_MAX).unwrap_or(i64::MAX);
    let count: i64 = if let Some(app) = task.app() {
        let sql =
            "SELECT count(*) FROM (SELECT 1 FROM task WHERE app = ?1 AND state IN (0, 4) LIMIT ?2)";
        tx.prepare(sql)?
            .query_row(params![app.0, most], |row| row.get(0))?
    } else {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM task \
             WHERE org = ?1 AND app IS NULL AND state IN (0, 4) LIMIT ?2)";
        tx.prepare(sql)?
            .query_row(params![task.org.as_str(), most], |row| row.get(0))?
    };
    Ok(count >= most)
}

fn insert(tx: &Tx<'_>, task: &Task) -> Result<(), Refusal> {
    let sql = format!(
        "INSERT INTO task ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, \
         ?14)"
    );
    let StateCells { state, failure } = task.state.into();
    let SubjectCells { app, endpoint } = task.subject.into();
    tx.execute(
        &sql,
        params![
            task.id.ksuid().as_bytes(),
            task.org.as_str(),
            app,
            endpoint,
            task.kind.code(),
            json_text(&task.arguments)?,
            task.progress.cursor.map(|id| *id.as_bytes()),
            count_cell(task.progress.looked),
            count_cell(task.progress.done),
            state,
            failure,
            pause_cell(task),
            task.created_at.unix_micros(),
            task.updated_at.unix_micros(),
        ],
    )?;
    Ok(())
}

fn read_state(columns: &mut Columns<'_>) -> FaultResult<TaskState> {
    let cells = StateCells {
        state: columns.get("state")?,
        failure: columns.get("failure")?,
    };
    TaskState::try_from(cells).map_err(|error| columns.unreadable("state", error))
}

fn read_subject(columns: &mut Columns<'_>) -> FaultResult<Subject> {
    let cells = SubjectCells {
        app: columns.get("app")?,
        endpoint: columns.get("endpoint")?,
    };
    Subject::try_from(cells).map_err(|error| columns.unreadable("endpoint", error))
}

fn read(row: &Row<'_>) -> FaultResult<Task> {
    let mut columns = Columns::of(row, "task");
    Ok(Task {
        id: TaskId::from_ksuid(columns.ksuid("id")?),
        org: columns.parsed("org")?,
        subject: read_subject(&mut columns)?,
        kind: columns.code("kind")?,
        arguments: columns.json("arguments")?,
        progress: TaskProgress {
            cursor: columns
                .get::<Option<[u8; 20]>>("cursor")?
                .map(Ksuid::from_bytes),
            looked: read_count(&mut columns, "looked")?,
            done: read_count(&mut columns, "done")?,
        },
        state: read_state(&mut columns)?,
        paused_for: Duration::from_micros(read_count(&mut columns, "paused_us")?),
        created_at: columns.timestamp("created_at")?,
        updated_at: columns.timestamp("updated_at")?,
    })
}

fn read_count(columns: &mut Columns<'_>, column: &'static str) -> FaultResult<u64> {
    let count: i64 = columns.get(column)?;
    u64::try_from(count).map_err(|error| columns.unreadable(column, error))
}

fn find(connection: &Connection, org: &OrganizationId, id: TaskId) -> FaultResult<Option<Task>> {
    let sql = format!("SELECT {COLUMNS} FROM task WHERE id = ?1 AND org = ?2");
    let mut found = read_all(
        connection,
        &sql,
        params![id.ksuid().as_bytes(), org.as_str()],
    )?;
    Ok(found.pop())
}

fn list(
    connection: &Connection,
    org: &OrganizationId,
    filter: TaskFilter,
    range: &Range<TaskId>,
) -> FaultResult<Vec<Task>> {
    let values = vec![
        Value::Text(org.as_str().to_owned()),
        cell(filter.kind.map(Code::code)),
        cell(filter.state.map(|state| StateCells::from(state).state)),
        cell(filter.app.map(|app| app.0)),
        cell(filter.without.map(Code::code)),
    ];
    // Each on its own index, in the order of the list.
    let owner = match filter.app {
        Some(_) => "app = ?4 AND +org = ?1",
        None => "org = ?1 AND ?4 IS NULL",
    };
    let page = page("id", range, values, |id: &TaskId| {
        Value::Blob(id.ksuid().as_bytes().to_vec())
    });
    let sql = format!(
        "SELECT {COLUMNS} FROM task WHERE {owner} AND kind = ifnull(?2, kind) \
         AND state = ifnull(?3, state) AND kind IS NOT ?5{}",
        page.sql()
    );
    read_all(connection, &sql, params_from_iter(page.values))
}

fn cell(code: Option<i64>) -> Value {
    code.map_or(Value::Null, Value::Integer)
}

fn running(connection: &Connection, after: Option<TaskId>, limit: usize) -> FaultResult<Vec<Task>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM task INDEXED BY task_running \
         WHERE state = 0 AND id > ?1 ORDER BY id LIMIT ?2"
    );
    let after = after.map_or(Ksuid::MIN, TaskId::ksuid);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    read_all(connection, &sql, params![after.as_bytes(), limit])
}

fn read_all(connection: &Connection, sql: &str, params: impl Params) -> FaultResult<Vec<Task>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut tasks = Vec::new();
    while let Some(row) = rows.next()? {
        tasks.push(read(row)?);
    }
    Ok(tasks)
}

fn report(connection: &Connection, org: &OrganizationId, id: TaskId) -> FaultResult<Vec<String>> {
    let sql = "SELECT r.text FROM task t JOIN task_report r ON r.task = t.id \
         WHERE t.id = ?1 AND t.org = ?2 ORDER BY r.part";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![id.ksuid().as_bytes(), org.as_str()])?;
    let mut parts = Vec::new();
    while let Some(row) = rows.next()? {
        parts.push(row.get(0)?);
    }
    Ok(parts)
}

fn steer(
    tx: &Tx<'_>,
    org: &OrganizationId,
    id: TaskId,
    (steering, now): (Steering, Timestamp),
) -> FaultResult<Option<Task>> {
    let found = find(tx.connection(), org, id)?;
    let Some(steered) = found.as_ref().and_then(|task| task.steered(steering, now)) else {
        return Ok(found);
    };
    let sql = "UPDATE task SET state = ?2, paused_us = ?3, updated_at = ?4 WHERE id = ?1";
    tx.execute(
        sql,
        params![
            id.ksuid().as_bytes(),
            StateCells::from(steered.state).state,
            pause_cell(&steered),
            now.unix_micros()
        ],
    )?;
    Ok(Some(steered))
}

fn pause_cell(task: &Task) -> i64 {
    i64::try_from(task.paused_for.as_micros()).unwrap_or(i64::MAX)
}
