//! Messages that went to an endpoint, or are owed to it.
//!
//! Two indexes hold their ids in order, that of attempts and that of `owed`; a stretch takes the
//! first ids of each, which hold the first ids of both.

use watchfire_domain::id::MessageId;
use watchfire_domain::time::Timestamp;
use watchfire_store::selection::{About, status_of_settlement};
use watchfire_store::{
    AppKey, AttemptFilter, AttemptedMessage, DeliveryStatus, EndpointKey, Order, Range, Seq,
};

use super::deliveries::{last_settlements, owed_to};
use super::walk::Walk;
use crate::configuration::{Page, belongs};
use crate::fault::FaultResult;
use crate::message::{self, Content, at_places, bytes_of};
use crate::parameter::params;
use crate::row::Columns;
use crate::session::Tx;

pub(super) async fn list(
    tx: &Tx,
    (app, endpoint): (AppKey, EndpointKey),
    filter: &AttemptFilter,
    range: &Range<MessageId>,
) -> FaultResult<Vec<AttemptedMessage>> {
    if !belongs(tx, app, endpoint).await? {
        return Ok(Vec::new());
    }
    let about = About::from(filter);
    let mut walk = Walk::new(range);
    let mut messages = Vec::new();
    while let Some(stretch) = walk.next(messages.len()) {
        let ids = ids_of(tx, endpoint, filter.status, &stretch).await?;
        let more = walk.looked(ids.len(), ids.last().map(|(id, _)| *id));
        let seqs: Vec<Seq> = ids.into_iter().map(|(_, seq)| seq).collect();
        let found = standing(tx, (app, endpoint), &seqs).await?;
        messages.extend(found.into_iter().filter(|found| {
            filter.status.is_none_or(|wanted| wanted == found.status) && about.wants(&found.stored)
        }));
        if !more {
            break;
        }
    }
    messages.truncate(range.limit);
    fill(
        tx,
        &mut messages,
        Content::left_out_if(filter.without_content),
    )
    .await?;
    Ok(messages)
}

async fn fill(tx: &Tx, messages: &mut [AttemptedMessage], content: Content) -> FaultResult<()> {
    let mut stored: Vec<_> = messages.iter().map(|found| found.stored.clone()).collect();
    message::fill(tx, &mut stored, content).await?;
    for (found, stored) in messages.iter_mut().zip(stored) {
        found.stored = stored;
    }
    Ok(())
}

/// The messages' ids. Only the indexes that can hold the wanted status are walked.
async fn ids_of(
    tx: &Tx,
    endpoint: EndpointKey,
    status: Option<DeliveryStatus>,
    range: &Range<MessageId>,
) -> FaultResult<Vec<(MessageId, Seq)>> {
    let page = Page::of(range, |id| bytes_of(id.ksuid()));
    let walk = page.sql("message", 1);
    let from = |table: &str, condition: &str| {
        format!(
            "SELECT DISTINCT ON (message) message, seq FROM {table} \
             WHERE endpoint = $1{condition}{walk}"
        )
    };
    let attempts = from("attempt", "");
    let noted = from("attempt", " AND outcome > 0");
    let owed = from("owed", "");
    let sql = match status {
        None => {
            let direction = match range.order {
                Order::Ascending => "ASC",
                Order::Descending => "DESC",
            };
            format!("({attempts}) UNION ({owed}) ORDER BY message {direction} LIMIT $4")
        }
        Some(DeliveryStatus::Delivered) => attempts,
        Some(DeliveryStatus::Failed | DeliveryStatus::Cancelled) => noted,
        Some(DeliveryStatus::Pending | DeliveryStatus::Sending) => owed,
    };
    let rows = tx
        .query(&sql, &page.parameters(params![endpoint.0]))
        .await?;
    let ids = rows.iter().map(|row| {
        let mut columns = Columns::of(row, "attempt");
        let id = MessageId::from_ksuid(columns.ksuid("message")?);
        Ok((id, Seq(columns.get("seq")?)))
    });
    ids.collect()
}

/// The application's messages at some places, in their order, and where their deliveries to the
/// endpoint stand.
async fn standing(
    tx: &Tx,
    (app, endpoint): (AppKey, EndpointKey),
    seqs: &[Seq],
) -> FaultResult<Vec<AttemptedMessage>> {
    let mut stored = at_places(tx, seqs, Content::LeftOut).await?;
    let owed = owed_to(tx, endpoint, seqs).await?;
    let settled = last_settlements(tx, endpoint, seqs).await?;
    let standing = |seq: &Seq| -> (DeliveryStatus, Option<Timestamp>) {
        if let Some(view) = owed.get(seq) {
            return (view.status, view.owed.and_then(|owed| owed.due_at));
        }
        let settlement = settled.get(seq).map(|(settlement, _)| *settlement);
        let status = settlement.map_or(DeliveryStatus::Sending, status_of_settlement);
        (status, None)
    };
    let found = seqs.iter().filter_map(|seq| {
        let stored = stored.remove(seq).filter(|stored| stored.app == app)?;
        let (status, next_attempt_at) = standing(seq);
        Some(AttemptedMessage {
            stored,
            status,
            next_attempt_at,
        })
    });
    Ok(found.collect())
}
