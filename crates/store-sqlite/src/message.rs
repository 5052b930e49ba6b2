//! Rows of `message`.

use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use watchfire_domain::id::{Ksuid, MessageId, Uid};
use watchfire_domain::message::{Details, Message};
use watchfire_domain::time::Timestamp;
use watchfire_store::{AppKey, NewMessage, Seq, StoredMessage};

use crate::fault::FaultResult;
use crate::row::Columns;
use crate::writer::Tx;
use watchfire_store::encoding::Code;
use watchfire_store::encoding::{decode_keys, encode_keys};

/// The columns of a [`StoredMessage`], for a `message` that goes by the name `m`.
pub(crate) const COLUMNS: &str = "m.seq, m.app, m.id, m.accepted_at, m.event_type, m.event_id, \
     m.record_key, m.urgency, m.matched, m.details, m.payload";
/// The same without the payload, whose pages are then not read.
pub(crate) const COLUMNS_WITHOUT_PAYLOAD: &str = "m.seq, m.app, m.id, m.accepted_at, m.event_type, \
     m.event_id, m.record_key, m.urgency, m.matched, m.details, NULL";

const INSERT: &str = "INSERT INTO message (seq, app, id, node, accepted_at, event_type, event_id, \
     record_key, urgency, expire_payload_at, matched, details, payload) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
     ON CONFLICT (app, event_id) WHERE event_id IS NOT NULL DO NOTHING";

/// What an insert found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    Stored,
    EventIdTaken,
}

pub(crate) fn insert(tx: &Tx<'_>, seq: Seq, node: i64, new: &NewMessage) -> FaultResult<Inserted> {
    let message = &*new.message;
    let details = details_text(&message.details)?;
    let expires_at = message
        .payload
        .as_ref()
        .and(message.details.payload_expires_at);
    let changed = tx.execute(
        INSERT,
        params![
            seq.0,
            new.app.0,
            message.id.ksuid().as_bytes(),
            node,
            message.accepted_at.unix_micros(),
            message.event_type.as_str(),
            message.event_id.as_ref().map(Uid::as_str),
            message.record_key,
            message.urgency.code(),
            expires_at.map(Timestamp::unix_micros),
            encode_keys(&new.matched),
            details,
            message.payload.as_deref(),
        ],
    )?;
    Ok(match changed {
        0 => Inserted::EventIdTaken,
        _ => Inserted::Stored,
    })
}

/// Few messages have any.
pub(crate) fn details_text(details: &Details) -> FaultResult<Option<String>> {
    if details.is_empty() {
        return Ok(None);
    }
    let text = serde_json::to_string(details)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    Ok(Some(text))
}

/// Reads [`COLUMNS`].
pub(crate) fn read(row: &Row<'_>) -> FaultResult<StoredMessage> {
    let mut columns = Columns::of(row, "message");
    let seq = Seq(columns.get("seq")?);
    let app = AppKey(columns.get("app")?);
    let id = MessageId::from_ksuid(columns.ksuid("id")?);
    let accepted_at = columns.timestamp("accepted_at")?;
    let event_type = columns.parsed("event_type")?;
    let event_id = columns.parsed_if("event_id")?;
    let record_key = columns.get("record_key")?;
    let urgency = columns.code("urgency")?;
    let matched = columns.decoded("matched", decode_keys)?;
    let details = columns.json_if("details")?.unwrap_or_default();
    let payload: Option<Vec<u8>> = columns.get("payload")?;
    let message = Message {
        id,
        accepted_at,
        event_type,
        event_id,
        record_key,
        urgency,
        payload: payload.map(Bytes::from),
        details,
    };
    Ok(StoredMessage {
        seq,
        app,
        message: Arc::new(message),
        matched,
    })
}

/// The message at a place.
pub(crate) fn at(connection: &Connection, seq: Seq) -> FaultResult<Option<StoredMessage>> {
    let sql = format!("SELECT {COLUMNS} FROM message m WHERE m.seq = ?1");
    first(connection, &sql, params![seq.0])
}

/// The first message a query yields.
pub(crate) fn first(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> FaultResult<Option<StoredMessage>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// The id of the message at a place, if it is the application's.
pub(crate) fn id_at(
    connection: &Connection,
    app: AppKey,
    seq: Seq,
) -> FaultResult<Option<MessageId>> {
    let sql = "SELECT id FROM message WHERE seq = ?1 AND app = ?2";
    let id = connection
        .prepare_cached(sql)?
        .query_row(params![seq.0, app.0], |row| row.get(0))
        .optional()?;
    Ok(id.map(|bytes| MessageId::from_ksuid(Ksuid::from_bytes(bytes))))
}

/// The id of the application's message with this `event_id`.
pub(crate) fn id_of_event(
    connection: &Connection,
    app: AppKey,
    event_id: &str,
) -> FaultResult<Option<MessageId>> {
    let sql = "SELECT id FROM message WHERE app = ?1 AND event_id = ?2";
    let id = connection
        .prepare_cached(sql)?
        .query_row(params![app.0, event_id], |row| row.get(0))
        .optional()?;
    Ok(id.map(|bytes| MessageId::from_ksuid(Ksuid::from_bytes(bytes))))
}
