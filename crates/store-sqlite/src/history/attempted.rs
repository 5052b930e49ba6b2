//! Messages that went to an endpoint, or are owed to it.
//!
//! Two indexes hold their ids in order, that of attempts and that of `owed`; SQLite merges them as
//! it goes.

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use watchfire_domain::id::{Ksuid, MessageId};
use watchfire_domain::time::Timestamp;
use watchfire_store::selection::{About, status_of_settlement};
use watchfire_store::{
    AppKey, AttemptFilter, AttemptedMessage, DeliveryStatus, EndpointKey, Range, Seq,
};

use super::deliveries::owed_to;
use super::messages::{Content, by_id, id_value, scanned};
use crate::configuration::{belongs, page};
use crate::fault::FaultResult;
use crate::row::Columns;

pub(super) fn list(
    connection: &Connection,
    (app, endpoint): (AppKey, EndpointKey),
    filter: &AttemptFilter,
    range: &Range<MessageId>,
) -> FaultResult<Vec<AttemptedMessage>> {
    if !belongs(connection, app, endpoint)? {
        return Ok(Vec::new());
    }
    let about = About::from(filter);
    let content = Content::left_out_if(filter.without_content);
    let (sql, values) = ids_query(endpoint, filter.status, range);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut messages = Vec::new();
    while messages.len() < range.limit
        && let Some(row) = rows.next()?
    {
        let id = MessageId::from_ksuid(Ksuid::from_bytes(row.get(0)?));
        let Some(stored) = by_id(connection, app, id, content)? else {
            continue;
        };
        let (status, next_attempt_at) = standing(connection, endpoint, id, stored.seq)?;
        let wanted = filter.status.is_none_or(|wanted| wanted == status);
        if wanted && about.wants(&stored) {
            messages.push(AttemptedMessage {
                stored,
                status,
                next_attempt_at,
            });
        }
    }
    Ok(messages)
}

/// The messages' ids. Only the indexes that can hold the wanted status are walked.
pub(crate) fn ids_query(
    endpoint: EndpointKey,
    status: Option<DeliveryStatus>,
    range: &Range<MessageId>,
) -> (String, Vec<Value>) {
    let values = vec![Value::Integer(endpoint.0)];
    let page = page("message", &scanned(range), values, id_value);
    let bounds = &page.bounds;
    let attempts = format!(
        "SELECT message FROM attempt INDEXED BY attempt_of_endpoint_by_message \
         WHERE endpoint = ?1{bounds}"
    );
    let noted = format!(
        "SELECT message FROM attempt INDEXED BY noted_attempt_of_endpoint_by_message \
         WHERE endpoint = ?1 AND outcome > 0{bounds}"
    );
    let owed =
        format!("SELECT message FROM owed INDEXED BY owed_of_endpoint WHERE endpoint = ?1{bounds}");
    let source = match status {
        None => format!("{attempts} UNION {owed}"),
        Some(DeliveryStatus::Delivered) => distinct(&attempts),
        Some(DeliveryStatus::Failed | DeliveryStatus::Cancelled) => distinct(&noted),
        Some(DeliveryStatus::Pending | DeliveryStatus::Sending) => owed,
    };
    (source + &page.order, page.values)
}

fn distinct(select: &str) -> String {
    select.replacen("SELECT", "SELECT DISTINCT", 1)
}

fn standing(
    connection: &Connection,
    endpoint: EndpointKey,
    id: MessageId,
    seq: Seq,
) -> FaultResult<(DeliveryStatus, Option<Timestamp>)> {
    if let Some(view) = owed_to(connection, endpoint, seq)? {
        return Ok((view.status, view.owed.and_then(|owed| owed.due_at)));
    }
    let settled = last_settlement(connection, endpoint, id, seq)?;
    Ok((settled.unwrap_or(DeliveryStatus::Sending), None))
}

/// How the endpoint's last final attempt for the message ended.
fn last_settlement(
    connection: &Connection,
    endpoint: EndpointKey,
    id: MessageId,
    seq: Seq,
) -> FaultResult<Option<DeliveryStatus>> {
    let sql = "SELECT seq, settlement FROM attempt INDEXED BY attempt_of_endpoint_by_message \
         WHERE endpoint = ?1 AND message = ?2 AND seq = ?3 AND settlement IS NOT NULL \
         ORDER BY id DESC LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![endpoint.0, id.ksuid().as_bytes(), seq.0])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let settlement = Columns::at(row, "attempt", 1).code("settlement")?;
    Ok(Some(status_of_settlement(settlement)))
}
