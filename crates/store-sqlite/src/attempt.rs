//! Rows of `attempt`.

use bytes::Bytes;
use rusqlite::{Row, params};
use watchfire_domain::attempt::{AfterAttempt, Attempt, Response};
use watchfire_domain::id::{AttemptId, EndpointId, MessageId};
use watchfire_domain::outcome::Outcome;
use watchfire_store::encoding::{
    Code as _, NextCells, OutcomeCells, decode_timing, encode_timing, sent_of,
};
use watchfire_store::{AttemptRecord, EndpointKey, Seq, StoredAttempt};

use crate::fault::FaultResult;
use crate::row::Columns;
use crate::writer::Tx;

/// Repeating it changes nothing. `VALUES`, because SQLite keeps a journal for the statement that
/// could be undone in the middle, as `INSERT … SELECT` could.
const INSERT: &str = "INSERT INTO attempt (seq, id, endpoint, message, attempted_at, number, \
     trigger, outcome, status, detail, retry_after_ns, settlement, next_due_at, url, address, \
     timing, response_headers, response_truncated, response_body, recipe, signature) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, \
     ?19, ?20, ?21) \
     ON CONFLICT (seq, id) DO NOTHING";

/// What an insert found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    Stored,
    /// The caller repeats itself.
    Repeated,
}

/// Stores an attempt for a delivery of `message`.
pub(crate) fn insert(
    tx: &Tx<'_>,
    record: &AttemptRecord,
    message: MessageId,
) -> FaultResult<Inserted> {
    let attempt = &record.attempt;
    let outcome = OutcomeCells::from(&attempt.outcome);
    let next = NextCells::from(attempt.next);
    let response = attempt.response.as_ref();
    let changed = tx.execute(
        INSERT,
        params![
            record.delivery.seq.0,
            attempt.id.ksuid().as_bytes(),
            record.delivery.endpoint.0,
            message.ksuid().as_bytes(),
            attempt.attempted_at.unix_micros(),
            attempt.number,
            attempt.trigger.code(),
            outcome.outcome,
            outcome.status,
            outcome.detail,
            outcome.retry_after_ns,
            next.settlement,
            next.next_due_at,
            attempt.url,
            attempt.address.map(|address| address.to_string()),
            encode_timing(&attempt.timing),
            response.map(headers_text).transpose()?,
            response.map(|response| response.truncated),
            response.map(|response| &*response.body),
            attempt.sent.as_ref().map(|sent| sent.recipe.0),
            attempt.sent.as_ref().map(|sent| &sent.signature),
        ],
    )?;
    Ok(match changed {
        0 => Inserted::Repeated,
        _ => Inserted::Stored,
    })
}

fn headers_text(response: &Response) -> FaultResult<String> {
    serde_json::to_string(&response.headers)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()).into())
}

/// The columns of a [`StoredAttempt`], for an `attempt` that goes by the name `a`, its message `m`
/// and its endpoint `e`.
pub(crate) const COLUMNS: &str = "a.seq, a.message, m.event_type, a.endpoint, e.id, a.id, \
     a.attempted_at, a.number, a.trigger, a.url, a.address, a.outcome, a.status, a.detail, \
     a.retry_after_ns, a.settlement, a.next_due_at, a.timing, a.response_headers, \
     a.response_truncated, a.response_body, a.recipe, a.signature";
/// The same without what was sent and what the receiver answered, whose pages are then not read.
pub(crate) const COLUMNS_WITHOUT_RESPONSE: &str = "a.seq, a.message, m.event_type, a.endpoint, \
     e.id, a.id, a.attempted_at, a.number, a.trigger, a.url, a.address, a.outcome, a.status, \
     a.detail, a.retry_after_ns, a.settlement, a.next_due_at, a.timing, NULL, NULL, NULL, NULL, \
     NULL";

/// Reads [`COLUMNS`].
pub(crate) fn read(row: &Row<'_>) -> FaultResult<StoredAttempt> {
    let mut columns = Columns::of(row, "attempt");
    Ok(StoredAttempt {
        seq: Seq(columns.get("seq")?),
        message_id: MessageId::from_ksuid(columns.ksuid("message")?),
        event_type: columns.parsed("event_type")?,
        endpoint: EndpointKey(columns.get("endpoint")?),
        endpoint_id: EndpointId::from_ksuid(columns.ksuid("endpoint_id")?),
        attempt: read_attempt(&mut columns)?,
    })
}

fn read_attempt(columns: &mut Columns<'_>) -> FaultResult<Attempt> {
    Ok(Attempt {
        id: AttemptId::from_ksuid(columns.ksuid("id")?),
        attempted_at: columns.timestamp("attempted_at")?,
        number: columns.get("number")?,
        trigger: columns.code("trigger")?,
        url: columns.get("url")?,
        address: read_address(columns)?,
        outcome: read_outcome(columns)?,
        next: read_next(columns)?,
        timing: columns.decoded("timing", decode_timing)?,
        response: read_response(columns)?,
        sent: sent_of(columns.get("recipe")?, columns.get("signature")?),
    })
}

fn read_address(columns: &mut Columns<'_>) -> FaultResult<Option<std::net::SocketAddr>> {
    let text: Option<String> = columns.get("address")?;
    let address = text.map(|text| text.parse()).transpose();
    address.map_err(|error| columns.unreadable("address", error))
}

fn read_outcome(columns: &mut Columns<'_>) -> FaultResult<Outcome> {
    let cells = OutcomeCells {
        outcome: columns.get("outcome")?,
        status: columns.get("status")?,
        detail: columns.get("detail")?,
        retry_after_ns: columns.get("retry_after_ns")?,
    };
    Outcome::try_from(cells).map_err(|error| columns.unreadable("outcome", error))
}

fn read_next(columns: &mut Columns<'_>) -> FaultResult<AfterAttempt> {
    let cells = NextCells {
        settlement: columns.get("settlement")?,
        next_due_at: columns.get("next_due_at")?,
    };
    AfterAttempt::try_from(cells).map_err(|error| columns.unreadable("settlement", error))
}

fn read_response(columns: &mut Columns<'_>) -> FaultResult<Option<Response>> {
    let headers = columns.json_if("response_headers")?;
    let truncated: Option<bool> = columns.get("response_truncated")?;
    let body: Option<Vec<u8>> = columns.get("response_body")?;
    Ok(headers.map(|headers| Response {
        headers,
        body: Bytes::from(body.unwrap_or_default()),
        truncated: truncated.unwrap_or(false),
    }))
}
