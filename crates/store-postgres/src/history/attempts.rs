//! Attempts of an endpoint or of a message.

use std::collections::{BTreeSet, HashMap};

use watchfire_domain::attempt::Attempt;
use watchfire_domain::id::AttemptId;
use watchfire_store::encoding::{NextCells, OutcomeCells};
use watchfire_store::selection::{About, AttemptFacts, only_noted};
use watchfire_store::{
    AppKey, AttemptFilter, EndpointKey, Range, Seq, StoredAttempt, StoredMessage,
};

use super::walk::Walk;
use crate::attempt::{self, COLUMNS, COLUMNS_WITHOUT_RESPONSE};
use crate::configuration::{Page, ids_of};
use crate::fault::FaultResult;
use crate::message::{Content, at_places, bytes_of};
use crate::parameter::params;
use crate::row::Columns;
use crate::session::Tx;

/// Whose attempts are listed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    Endpoint(EndpointKey),
    Message(Seq),
}

/// An attempt as it lies in its table.
struct Found {
    seq: Seq,
    endpoint: EndpointKey,
    attempt: Attempt,
}

pub(super) async fn find(
    tx: &Tx,
    app: AppKey,
    seq: Seq,
    id: AttemptId,
) -> FaultResult<Option<StoredAttempt>> {
    let sql = format!("SELECT seq, endpoint, {COLUMNS} FROM attempt WHERE seq = $1 AND id = $2");
    let parameters = params![seq.0, bytes_of(id.ksuid())];
    let rows = tx.query(&sql, parameters).await?;
    let found: FaultResult<Vec<Found>> = rows.iter().map(read).collect();
    let filter = AttemptFilter::default();
    Ok(complete(tx, app, found?, &filter).await?.pop())
}

pub(super) async fn list(
    tx: &Tx,
    (app, of): (AppKey, Of),
    filter: &AttemptFilter,
    range: &Range<AttemptId>,
) -> FaultResult<Vec<StoredAttempt>> {
    let mut walk = Walk::new(range);
    let mut attempts = Vec::new();
    while let Some(stretch) = walk.next(attempts.len()) {
        let found = stretch_of(tx, of, filter, &stretch).await?;
        let last = found.last().map(|found| found.attempt.id);
        let more = walk.looked(found.len(), last);
        let wanted = found.into_iter().filter(|found| facts(found).meet(filter));
        attempts.extend(complete(tx, app, wanted.collect(), filter).await?);
        if !more {
            break;
        }
    }
    attempts.truncate(range.limit);
    Ok(attempts)
}

async fn stretch_of(
    tx: &Tx,
    of: Of,
    filter: &AttemptFilter,
    range: &Range<AttemptId>,
) -> FaultResult<Vec<Found>> {
    let columns = match Content::left_out_if(filter.without_content) {
        Content::Kept => COLUMNS,
        Content::LeftOut => COLUMNS_WITHOUT_RESPONSE,
    };
    let (column, owner, noted) = match of {
        Of::Endpoint(endpoint) if only_noted(filter) => {
            ("endpoint", endpoint.0, " AND outcome > 0")
        }
        Of::Endpoint(endpoint) => ("endpoint", endpoint.0, ""),
        Of::Message(seq) => ("seq", seq.0, ""),
    };
    let page = Page::of(range, |id| bytes_of(id.ksuid()));
    let sql = format!(
        "SELECT seq, endpoint, {columns} FROM attempt WHERE {column} = $1{noted}{}",
        page.sql("id", 1)
    );
    let rows = tx.query(&sql, &page.parameters(params![owner])).await?;
    rows.iter().map(read).collect()
}

fn read(row: &tokio_postgres::Row) -> FaultResult<Found> {
    let mut columns = Columns::of(row, "attempt");
    Ok(Found {
        seq: Seq(columns.get("seq")?),
        endpoint: EndpointKey(columns.get("endpoint")?),
        attempt: attempt::read(&mut columns)?,
    })
}

fn facts(found: &Found) -> AttemptFacts {
    let outcome = OutcomeCells::from(&found.attempt.outcome);
    AttemptFacts {
        endpoint: found.endpoint,
        outcome: outcome.outcome,
        status: outcome.status,
        settlement: NextCells::from(found.attempt.next).settlement,
    }
}

/// Adds what stands with the messages and the endpoints, and leaves out what is not the
/// application's or not asked for.
async fn complete(
    tx: &Tx,
    app: AppKey,
    found: Vec<Found>,
    filter: &AttemptFilter,
) -> FaultResult<Vec<StoredAttempt>> {
    if found.is_empty() {
        return Ok(Vec::new());
    }
    let about = About::from(filter);
    let seqs: BTreeSet<Seq> = found.iter().map(|found| found.seq).collect();
    let seqs: Vec<Seq> = seqs.into_iter().collect();
    let messages: HashMap<Seq, StoredMessage> = at_places(tx, &seqs, Content::LeftOut).await?;
    let keys: BTreeSet<EndpointKey> = found.iter().map(|found| found.endpoint).collect();
    let keys: Vec<EndpointKey> = keys.into_iter().collect();
    let endpoints = ids_of(tx, app, &keys).await?;
    let complete = found.into_iter().filter_map(|found| {
        let stored = messages.get(&found.seq)?;
        if stored.app != app || !about.wants(stored) {
            return None;
        }
        Some(StoredAttempt {
            seq: found.seq,
            message_id: stored.message.id,
            event_type: stored.message.event_type.clone(),
            endpoint: found.endpoint,
            endpoint_id: *endpoints.get(&found.endpoint)?,
            attempt: found.attempt,
        })
    });
    Ok(complete.collect())
}
