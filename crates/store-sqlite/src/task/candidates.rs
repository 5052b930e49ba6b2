//! Which deliveries a task is about.
//!
//! Each kind walks one index in the order of message ids, from the task's place to the end of its
//! span, and looks at a bounded number of rows a time.

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use watchfire_domain::id::{Ksuid, MessageId};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::selection::{About, TaskStanding, is_for_task};
use watchfire_store::{
    Candidate, Candidates, DeliveryStatus, EndpointKey, MessageFilter, Range, Seq, Task, TaskKind,
};

use crate::configuration::page;
use crate::fault::FaultResult;
use crate::history::owed_to;
use crate::message;
use crate::row::Columns;

pub(super) fn of(connection: &Connection, task: &Task, limit: usize) -> FaultResult<Candidates> {
    let filter = MessageFilter {
        event_types: task.arguments.event_types.clone(),
        channel: task.arguments.channel.clone(),
        tag: task.arguments.tag.clone(),
        without_payload: true,
    };
    let about = About::from(&filter);
    let Some(places) = places(connection, task)? else {
        return Ok(Candidates::default());
    };
    let mut more = places.len() == limit::TASK_STEP_SCAN_ROWS_MAX;
    let mut candidates = Candidates::default();
    let mut last = None;
    for (id, seq) in places {
        if candidates.found.len() == limit {
            more = true;
            break;
        }
        last = Some(id);
        candidates.looked += 1;
        let standing = match task.endpoint() {
            Some(endpoint) => standing_of(connection, endpoint, id, seq)?,
            None => TaskStanding::Never,
        };
        if !standing.is_wanted(task) {
            continue;
        }
        let Some(stored) = stored_at(connection, seq)? else {
            continue;
        };
        if !about.wants(&stored) || !is_for_task(task, &stored.matched) {
            continue;
        }
        match standing {
            TaskStanding::Leased => candidates.leased += 1,
            TaskStanding::Owed(owed) => candidates.found.push(Candidate {
                stored,
                owed: Some(owed),
            }),
            TaskStanding::Settled { .. } | TaskStanding::Never => {
                candidates.found.push(Candidate { stored, owed: None });
            }
        }
    }
    candidates.next = if more { last } else { None };
    Ok(candidates)
}

/// The next messages on the index that holds those of the task's kind; `None` if it is not about
/// messages.
fn places(connection: &Connection, task: &Task) -> FaultResult<Option<Vec<(MessageId, Seq)>>> {
    let Some((sql, values)) = places_query(task) else {
        return Ok(None);
    };
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut places = Vec::new();
    while let Some(row) = rows.next()? {
        let id = MessageId::from_ksuid(Ksuid::from_bytes(row.get(0)?));
        places.push((id, Seq(row.get(1)?)));
    }
    Ok(Some(places))
}

pub(super) fn places_query(task: &Task) -> Option<(String, Vec<Value>)> {
    let endpoint = || task.endpoint().map(|endpoint| endpoint.0);
    let (select, column, owner) = match task.kind {
        TaskKind::Recover => (
            "SELECT DISTINCT message, seq FROM attempt \
             INDEXED BY noted_attempt_of_endpoint_by_message WHERE endpoint = ?1 AND outcome > 0",
            "message",
            endpoint()?,
        ),
        TaskKind::BulkReplay => (
            "SELECT DISTINCT message, seq FROM attempt \
             INDEXED BY attempt_of_endpoint_by_message WHERE endpoint = ?1",
            "message",
            endpoint()?,
        ),
        TaskKind::CancelMessages => (
            "SELECT message, seq FROM owed INDEXED BY owed_of_endpoint WHERE endpoint = ?1",
            "message",
            endpoint()?,
        ),
        TaskKind::ReplayMissing | TaskKind::PurgeContent => (
            "SELECT id, seq FROM message INDEXED BY message_id WHERE app = ?1",
            "id",
            task.app()?.0,
        ),
        TaskKind::Usage | TaskKind::Subscriptions => return None,
    };
    let page = page(column, &stretch(task), vec![Value::Integer(owner)], |id| {
        Value::Blob(id.as_bytes().to_vec())
    });
    Some((format!("{select}{}", page.sql()), page.values))
}

/// What is left of the task's span. Its first id is no message's own: all of it but the time is
/// zero.
fn stretch(task: &Task) -> Range<Ksuid> {
    let begin = Ksuid::first_at(task.arguments.since);
    let cursor = task.progress.cursor;
    Range {
        after: Some(cursor.map_or(begin, |cursor| cursor.max(begin))),
        before: Some(Ksuid::first_at(task.arguments.until)),
        order: watchfire_store::Order::Ascending,
        limit: limit::TASK_STEP_SCAN_ROWS_MAX,
    }
}

/// Where a delivery stands, as far as a task needs to know.
pub(super) fn standing_of(
    connection: &Connection,
    endpoint: EndpointKey,
    id: MessageId,
    seq: Seq,
) -> FaultResult<TaskStanding> {
    if let Some(view) = owed_to(connection, endpoint, seq)? {
        return Ok(match view.owed {
            Some(owed) if view.status == DeliveryStatus::Pending => TaskStanding::Owed(owed),
            Some(_) | None => TaskStanding::Leased,
        });
    }
    let sql = "SELECT seq, settlement, status FROM attempt \
         INDEXED BY attempt_of_endpoint_by_message \
         WHERE endpoint = ?1 AND message = ?2 AND seq = ?3 AND settlement IS NOT NULL \
         ORDER BY id DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![endpoint.0, id.ksuid().as_bytes(), seq.0])?;
    let Some(row) = rows.next()? else {
        return Ok(TaskStanding::Never);
    };
    let mut columns = Columns::at(row, "attempt", 1);
    Ok(TaskStanding::settled(
        columns.code("settlement")?,
        columns.get("status")?,
    ))
}

fn stored_at(
    connection: &Connection,
    seq: Seq,
) -> FaultResult<Option<watchfire_store::StoredMessage>> {
    let columns = message::COLUMNS_WITHOUT_PAYLOAD;
    let sql = format!("SELECT {columns} FROM message m WHERE m.seq = ?1");
    message::first(connection, &sql, params![seq.0])
}

pub(super) fn count_due(
    connection: &Connection,
    endpoint: EndpointKey,
    now: Timestamp,
    at_most: usize,
) -> FaultResult<usize> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM owed \
         WHERE endpoint = ?1 AND urgency = 0 AND lease_token IS NULL AND due_at <= ?2 \
         AND due_at IS NOT NULL LIMIT ?3)";
    let most = i64::try_from(at_most).unwrap_or(i64::MAX);
    let count: i64 = connection
        .prepare_cached(sql)?
        .query_row(params![endpoint.0, now.unix_micros(), most], |row| {
            row.get(0)
        })?;
    Ok(usize::try_from(count).unwrap_or(0))
}
