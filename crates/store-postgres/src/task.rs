//! Background tasks: their rows, and the steps that do their work.

mod candidates;
mod step;

use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::Row;
use watchfire_domain::id::{OrganizationId, TaskId};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::{Code as _, StateCells, SubjectCells, count_cell};
use watchfire_store::{
    Advanced, Candidates, Conflict, EndpointKey, Life, Range, Steering, StoreResult, Subject, Task,
    TaskFilter, TaskProgress, TaskState, TaskStep, Tasks,
};

use crate::configuration::{Page, json_text};
use crate::fault::{FaultResult, Refusal};
use crate::message::bytes_of;
use crate::open::Postgres;
use crate::parameter::{Parameter, params};
use crate::row::{Columns, at_most, small, small_code};
use crate::session::{Mode, Tx, in_transaction};

#[async_trait]
impl Tasks for Postgres {
    async fn task(&self, org: &OrganizationId, id: TaskId) -> StoreResult<Option<Task>> {
        let work = in_transaction!(self.people, Mode::Read, tx => find(&tx, org, id));
        Ok(work.await?)
    }

    async fn tasks(
        &self,
        org: &OrganizationId,
        filter: TaskFilter,
        range: Range<TaskId>,
    ) -> StoreResult<Vec<Task>> {
        let work = in_transaction!(self.people, Mode::Read, tx => list(&tx, org, filter, &range));
        Ok(work.await?)
    }

    async fn running_tasks(&self, after: Option<TaskId>, limit: usize) -> StoreResult<Vec<Task>> {
        let work = in_transaction!(self.ledger, Mode::Read, tx => running(&tx, after, limit));
        Ok(work.await?)
    }

    async fn candidates(&self, task: &Task, limit: usize) -> StoreResult<Candidates> {
        let work = in_transaction!(self.ledger, Mode::Read, tx => candidates::of(&tx, task, limit));
        Ok(work.await?)
    }

    async fn count_due(
        &self,
        endpoint: EndpointKey,
        now: Timestamp,
        at_most: usize,
    ) -> StoreResult<usize> {
        let work = in_transaction!(
            self.ledger, Mode::Read, tx => candidates::count_due(&tx, endpoint, now, at_most)
        );
        Ok(work.await?)
    }

    async fn advance_task(
        &self,
        life: &Life,
        now: Timestamp,
        step: TaskStep,
    ) -> StoreResult<Advanced> {
        let work = in_transaction!(
            self.ledger, Mode::Write, tx => step::carry_out(&tx, life, now, &step)
        );
        Ok(work.await?)
    }

    async fn task_report(&self, org: &OrganizationId, id: TaskId) -> StoreResult<Vec<String>> {
        let work = in_transaction!(self.people, Mode::Read, tx => report(&tx, org, id));
        Ok(work.await?)
    }

    async fn steer_task(
        &self,
        org: &OrganizationId,
        id: TaskId,
        steering: Steering,
        now: Timestamp,
    ) -> StoreResult<Option<Task>> {
        let work = in_transaction!(
            self.people, Mode::Write, tx => steer(&tx, org, id, (steering, now))
        );
        Ok(work.await?)
    }
}

const COLUMNS: &str = "id, org, app, endpoint, kind, arguments, cursor, looked, done, state, \
     failure, paused_us, created_at, updated_at";

pub(crate) async fn create(tx: &Tx, task: &Task) -> Result<(), Refusal> {
    if !hold(tx, task).await? {
        return Err(Conflict::Missing.into());
    }
    if is_full(tx, task).await? {
        return Err(Conflict::TaskLimit.into());
    }
    Ok(insert(tx, task).await?)
}

/// Locks whose tasks are about to be counted. Whether what the task is about is there.
async fn hold(tx: &Tx, task: &Task) -> FaultResult<bool> {
    if let Some(app) = task.app() {
        let sql = "SELECT 1 FROM application WHERE key = $1 FOR NO KEY UPDATE";
        tx.query(sql, params![app.0]).await?;
    } else {
        let sql = "SELECT pg_advisory_xact_lock(hashtext('task'), hashtext($1))";
        tx.query(sql, params![task.org.as_str()]).await?;
    }
    match task.subject {
        Subject::Endpoint { app, endpoint } => {
            let sql = "SELECT 1 FROM endpoint WHERE key = $1 AND app = $2 AND deleted_at IS NULL";
            tx.exists(sql, params![endpoint.0, app.0]).await
        }
        Subject::Application(app) => {
            let sql = "SELECT 1 FROM application WHERE key = $1 AND deleted_at IS NULL";
            tx.exists(sql, params![app.0]).await
        }
        Subject::Organization => Ok(true),
    }
}

/// Counts up to the limit, on the index: an application's, or those of no application.
async fn is_full(tx: &Tx, task: &Task) -> FaultResult<bool> {
    let most = at_most(limit::TASKS_PER_APPLICATION_MAX);
    let row = if let Some(app) = task.app() {
        let sql = "SELECT count(*) FROM \
             (SELECT 1 FROM task WHERE app = $1 AND state IN (0, 4) LIMIT $2) t";
        tx.first(sql, params![app.0, most]).await?
    } else {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM task \
             WHERE org = $1 AND app IS NULL AND state IN (0, 4) LIMIT $2) t";
        tx.first(sql, params![task.org.as_str(), most]).await?
    };
    let count: i64 = row.map_or(Ok(0), |row| Columns::of(&row, "task").get("count"))?;
    Ok(count >= most)
}

async fn insert(tx: &Tx, task: &Task) -> FaultResult<()> {
    let sql = format!(
        "INSERT INTO task ({COLUMNS}) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
    );
    let StateCells { state, failure } = task.state.into();
    let SubjectCells { app, endpoint } = task.subject.into();
    let parameters = params![
        bytes_of(task.id.ksuid()),
        task.org.as_str(),
        app,
        endpoint,
        small_code(task.kind),
        json_text(&task.arguments)?,
        task.progress.cursor.map(bytes_of),
        count_cell(task.progress.looked),
        count_cell(task.progress.done),
        small(state),
        failure.map(small),
        pause_cell(task),
        task.created_at.unix_micros(),
        task.updated_at.unix_micros(),
    ];
    tx.execute(&sql, parameters).await?;
    Ok(())
}

fn read_subject(columns: &mut Columns<'_>) -> FaultResult<Subject> {
    let cells = SubjectCells {
        app: columns.get("app")?,
        endpoint: columns.get("endpoint")?,
    };
    Subject::try_from(cells).map_err(|error| columns.unreadable("endpoint", error))
}

fn read(row: &Row) -> FaultResult<Task> {
    let mut columns = Columns::of(row, "task");
    Ok(Task {
        id: TaskId::from_ksuid(columns.ksuid("id")?),
        org: columns.parsed("org")?,
        subject: read_subject(&mut columns)?,
        kind: columns.code("kind")?,
        arguments: columns.json("arguments")?,
        progress: TaskProgress {
            cursor: columns.ksuid_if("cursor")?,
            looked: columns.number("looked")?,
            done: columns.number("done")?,
        },
        state: read_state(&mut columns)?,
        paused_for: Duration::from_micros(columns.number("paused_us")?),
        created_at: columns.timestamp("created_at")?,
        updated_at: columns.timestamp("updated_at")?,
    })
}

fn read_state(columns: &mut Columns<'_>) -> FaultResult<TaskState> {
    let cells = StateCells {
        state: columns.small("state")?,
        failure: columns.small_if("failure")?,
    };
    TaskState::try_from(cells).map_err(|error| columns.unreadable("state", error))
}

async fn find(tx: &Tx, org: &OrganizationId, id: TaskId) -> FaultResult<Option<Task>> {
    let sql = format!("SELECT {COLUMNS} FROM task WHERE id = $1 AND org = $2");
    let id = bytes_of(id.ksuid());
    let row = tx.first(&sql, params![id, org.as_str()]).await?;
    row.as_ref().map(read).transpose()
}

async fn list(
    tx: &Tx,
    org: &OrganizationId,
    filter: TaskFilter,
    range: &Range<TaskId>,
) -> FaultResult<Vec<Task>> {
    let page = Page::of(range, |id| bytes_of(id.ksuid()));
    let kind = filter.kind.map(|kind| small(kind.code()));
    let state = filter
        .state
        .map(|state| small(StateCells::from(state).state));
    let sql = format!(
        "SELECT {COLUMNS} FROM task WHERE org = $1 AND ($2 IS NULL OR kind = $2) \
         AND ($3 IS NULL OR state = $3) AND ($4 IS NULL OR app = $4) \
         AND kind IS DISTINCT FROM $5{}",
        page.sql("id", 5)
    );
    let app = filter.app.map(|app| app.0);
    let without = filter.without.map(|kind| small(kind.code()));
    let filters = params![org.as_str(), kind, state, app, without];
    read_all(tx, &sql, &page.parameters(filters)).await
}

async fn running(tx: &Tx, after: Option<TaskId>, limit: usize) -> FaultResult<Vec<Task>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM task \
         WHERE state = 0 AND ($1 IS NULL OR id > $1) ORDER BY id LIMIT $2"
    );
    let after = after.map(|id| bytes_of(id.ksuid()));
    read_all(tx, &sql, params![after, at_most(limit)]).await
}

async fn read_all(tx: &Tx, sql: &str, parameters: &[&dyn Parameter]) -> FaultResult<Vec<Task>> {
    tx.query(sql, parameters).await?.iter().map(read).collect()
}

async fn report(tx: &Tx, org: &OrganizationId, id: TaskId) -> FaultResult<Vec<String>> {
    let sql = "SELECT r.text FROM task t JOIN task_report r ON r.task = t.id \
         WHERE t.id = $1 AND t.org = $2 ORDER BY r.part";
    let id = bytes_of(id.ksuid());
    let rows = tx.query(sql, params![id, org.as_str()]).await?;
    let parts = rows
        .iter()
        .map(|row| Columns::of(row, "task_report").get("text"));
    parts.collect()
}

/// The task is locked, so that a step that is carried out meanwhile comes before or not at all.
async fn steer(
    tx: &Tx,
    org: &OrganizationId,
    id: TaskId,
    (steering, now): (Steering, Timestamp),
) -> FaultResult<Option<Task>> {
    let sql = "SELECT 1 FROM task WHERE id = $1 AND org = $2 FOR NO KEY UPDATE";
    tx.exists(sql, params![bytes_of(id.ksuid()), org.as_str()])
        .await?;
    let found = find(tx, org, id).await?;
    let Some(steered) = found.as_ref().and_then(|task| task.steered(steering, now)) else {
        return Ok(found);
    };
    let sql = "UPDATE task SET state = $2, paused_us = $3, updated_at = $4 WHERE id = $1";
    let parameters = params![
        bytes_of(id.ksuid()),
        small(StateCells::from(steered.state).state),
        pause_cell(&steered),
        now.unix_micros(),
    ];
    tx.execute(sql, parameters).await?;
    Ok(Some(steered))
}

fn pause_cell(task: &Task) -> i64 {
    i64::try_from(task.paused_for.as_micros()).unwrap_or(i64::MAX)
}
