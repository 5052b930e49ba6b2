//! Which deliveries a task is about.
//!
//! Each kind walks one index in the order of message ids, from the task's place to the end of its
//! span, and looks at a bounded number of rows a time.

use std::collections::HashMap;

use watchfire_domain::id::{Ksuid, MessageId};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::selection::{About, TaskStanding, is_for_task};
use watchfire_store::{
    Candidate, Candidates, DeliveryStatus, EndpointKey, MessageFilter, Order, Range, Seq, Task,
    TaskKind,
};

use crate::configuration::Page;
use crate::fault::FaultResult;
use crate::history::{last_settlements, owed_to};
use crate::message::{Content, at_places, bytes_of};
use crate::parameter::params;
use crate::row::{self, Columns};
use crate::session::Tx;

pub(super) async fn of(tx: &Tx, task: &Task, limit: usize) -> FaultResult<Candidates> {
    let filter = MessageFilter {
        event_types: task.arguments.event_types.clone(),
        channel: task.arguments.channel.clone(),
        tag: task.arguments.tag.clone(),
        without_payload: true,
    };
    let about = About::from(&filter);
    let Some(places) = places(tx, task).await? else {
        return Ok(Candidates::default());
    };
    let mut more = places.len() == limit::TASK_STEP_SCAN_ROWS_MAX;
    let seqs: Vec<Seq> = places.iter().map(|(_, seq)| *seq).collect();
    let standings = match task.endpoint() {
        Some(endpoint) => standings(tx, endpoint, &seqs).await?,
        None => seqs.iter().map(|seq| (*seq, TaskStanding::Never)).collect(),
    };
    let wanted = seqs
        .into_iter()
        .filter(|seq| standings[seq].is_wanted(task));
    let mut stored = at_places(tx, &wanted.collect::<Vec<_>>(), Content::LeftOut).await?;
    let mut candidates = Candidates::default();
    let mut last = None;
    for (id, seq) in places {
        if candidates.found.len() == limit {
            more = true;
            break;
        }
        last = Some(id);
        candidates.looked += 1;
        // Only what is wanted was read.
        let Some(stored) = stored.remove(&seq) else {
            continue;
        };
        if !about.wants(&stored) || !is_for_task(task, &stored.matched) {
            continue;
        }
        match standings[&seq] {
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
async fn places(tx: &Tx, task: &Task) -> FaultResult<Option<Vec<(MessageId, Seq)>>> {
    let endpoint = task.endpoint().map(|endpoint| endpoint.0);
    let (select, column, owner) = match task.kind {
        TaskKind::Recover => (
            "SELECT DISTINCT ON (message) message, seq FROM attempt \
             WHERE endpoint = $1 AND outcome > 0",
            "message",
            endpoint,
        ),
        TaskKind::BulkReplay => (
            "SELECT DISTINCT ON (message) message, seq FROM attempt WHERE endpoint = $1",
            "message",
            endpoint,
        ),
        TaskKind::CancelMessages => (
            "SELECT message, seq FROM owed WHERE endpoint = $1",
            "message",
            endpoint,
        ),
        TaskKind::ReplayMissing | TaskKind::PurgeContent => (
            "SELECT id, seq FROM message WHERE app = $1",
            "id",
            task.app().map(|app| app.0),
        ),
        TaskKind::Usage | TaskKind::Subscriptions => return Ok(None),
    };
    let page = Page::of(&stretch(task), |id| bytes_of(*id));
    let sql = format!("{select}{}", page.sql(column, 1));
    let rows = tx.query(&sql, &page.parameters(params![owner])).await?;
    let places = rows.iter().map(|row| {
        let mut columns = Columns::of(row, "message");
        let id = MessageId::from_ksuid(columns.ksuid("id")?);
        Ok((id, Seq(columns.get("seq")?)))
    });
    places.collect::<FaultResult<_>>().map(Some)
}

/// What is left of the task's span. Its first id is no message's own: all of it but the time is
/// zero.
fn stretch(task: &Task) -> Range<Ksuid> {
    let begin = Ksuid::first_at(task.arguments.since);
    let cursor = task.progress.cursor;
    Range {
        after: Some(cursor.map_or(begin, |cursor| cursor.max(begin))),
        before: Some(Ksuid::first_at(task.arguments.until)),
        order: Order::Ascending,
        limit: limit::TASK_STEP_SCAN_ROWS_MAX,
    }
}

/// Where the deliveries of some messages to an endpoint stand.
pub(super) async fn standings(
    tx: &Tx,
    endpoint: EndpointKey,
    seqs: &[Seq],
) -> FaultResult<HashMap<Seq, TaskStanding>> {
    let owed = owed_to(tx, endpoint, seqs).await?;
    let settled = last_settlements(tx, endpoint, seqs).await?;
    let standing = |seq: &Seq| match (owed.get(seq), settled.get(seq)) {
        (Some(view), _) => match view.owed {
            Some(owed) if view.status == DeliveryStatus::Pending => TaskStanding::Owed(owed),
            Some(_) | None => TaskStanding::Leased,
        },
        (None, Some((settlement, answer))) => TaskStanding::settled(*settlement, *answer),
        (None, None) => TaskStanding::Never,
    };
    Ok(seqs.iter().map(|seq| (*seq, standing(seq))).collect())
}

pub(super) async fn count_due(
    tx: &Tx,
    endpoint: EndpointKey,
    now: Timestamp,
    at_most: usize,
) -> FaultResult<usize> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM owed \
         WHERE endpoint = $1 AND urgency = 0 AND lease_token IS NULL AND due_at <= $2 \
         AND due_at IS NOT NULL LIMIT $3) o";
    let parameters = params![endpoint.0, now.unix_micros(), row::at_most(at_most)];
    let row = tx.first(sql, parameters).await?;
    row.map_or(Ok(0), |row| Columns::of(&row, "owed").number("count"))
}
