//! Rows of `message`.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio_postgres::Row;
use watchfire_domain::id::{Ksuid, MessageId, Uid};
use watchfire_domain::limit;
use watchfire_domain::message::{Details, Message};
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::{decode_keys, encode_keys};
use watchfire_store::{AppKey, NewMessage, Seq, StoredMessage};

use crate::fault::FaultResult;
use crate::parameter::params;
use crate::row::{Columns, small_code};
use crate::session::Tx;

/// The columns of a [`StoredMessage`] but for its payload.
pub(crate) const COLUMNS: &str = "seq, app, id, accepted_at, event_type, event_id, record_key, \
     urgency, matched, details";

/// Whether payloads and answers are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Kept,
    LeftOut,
}

impl Content {
    pub(crate) fn left_out_if(without: bool) -> Self {
        if without { Self::LeftOut } else { Self::Kept }
    }
}

/// Messages to store with their places, column by column.
#[derive(Default)]
pub(crate) struct NewRows<'n> {
    seqs: Vec<i64>,
    apps: Vec<i64>,
    ids: Vec<Vec<u8>>,
    accepted: Vec<i64>,
    event_types: Vec<&'n str>,
    event_ids: Vec<Option<&'n str>>,
    record_keys: Vec<Option<&'n [u8]>>,
    urgencies: Vec<i16>,
    expiries: Vec<Option<i64>>,
    matched: Vec<Vec<u8>>,
    details: Vec<Option<String>>,
    payloads: Vec<Option<&'n [u8]>>,
    payload_bytes: usize,
}

impl<'n> NewRows<'n> {
    pub(crate) fn push(&mut self, seq: Seq, new: &'n NewMessage) -> FaultResult<()> {
        let message = &*new.message;
        let payload = message.payload.as_deref();
        let expires_at = payload.and(message.details.payload_expires_at);
        self.seqs.push(seq.0);
        self.apps.push(new.app.0);
        self.ids.push(message.id.ksuid().as_bytes().to_vec());
        self.accepted.push(message.accepted_at.unix_micros());
        self.event_types.push(message.event_type.as_str());
        self.event_ids
            .push(message.event_id.as_ref().map(Uid::as_str));
        self.record_keys
            .push(message.record_key.as_deref().map(str::as_bytes));
        self.urgencies.push(small_code(message.urgency));
        self.expiries.push(expires_at.map(Timestamp::unix_micros));
        self.matched.push(encode_keys(&new.matched));
        self.details.push(details_text(&message.details)?);
        self.payloads.push(payload);
        self.payload_bytes += payload.map_or(0, <[u8]>::len);
        Ok(())
    }

    /// Whether a statement holds no more.
    pub(crate) fn is_full(&self) -> bool {
        self.payload_bytes >= limit::DATABASE_STATEMENT_BYTES_MAX
    }

    pub(crate) async fn insert(self, tx: &Tx, node: i64) -> FaultResult<()> {
        if self.seqs.is_empty() {
            return Ok(());
        }
        let sql = "INSERT INTO message (seq, app, id, node, accepted_at, event_type, event_id, \
             record_key, urgency, expire_payload_at, matched, details, payload) \
             SELECT seq, app, id, $13, accepted_at, event_type, event_id, record_key, urgency, \
             expire_payload_at, matched, details, payload \
             FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) \
             AS new (seq, app, id, accepted_at, event_type, event_id, record_key, urgency, \
             expire_payload_at, matched, details, payload)";
        let parameters = params![
            self.seqs,
            self.apps,
            self.ids,
            self.accepted,
            self.event_types,
            self.event_ids,
            self.record_keys,
            self.urgencies,
            self.expiries,
            self.matched,
            self.details,
            self.payloads,
            node,
        ];
        tx.execute(sql, parameters).await?;
        Ok(())
    }
}

/// Few messages have any.
pub(crate) fn details_text(details: &Details) -> FaultResult<Option<String>> {
    if details.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::to_string(details)?))
}

/// Reads [`COLUMNS`]; the payload is missing.
pub(crate) fn read(row: &Row) -> FaultResult<StoredMessage> {
    let mut columns = Columns::of(row, "message");
    let seq = Seq(columns.get("seq")?);
    let app = AppKey(columns.get("app")?);
    let id = MessageId::from_ksuid(columns.ksuid("id")?);
    let accepted_at = columns.timestamp("accepted_at")?;
    let event_type = columns.parsed("event_type")?;
    let event_id = columns.parsed_if("event_id")?;
    let record_key = columns.free_text_if("record_key")?;
    let urgency = columns.code("urgency")?;
    let matched = columns.decoded("matched", decode_keys)?;
    let details = columns.json_if("details")?.unwrap_or_default();
    let message = Message {
        id,
        accepted_at,
        event_type,
        event_id,
        record_key,
        urgency,
        payload: None,
        details,
    };
    Ok(StoredMessage {
        seq,
        app,
        message: Arc::new(message),
        matched,
    })
}

/// The messages at some places.
pub(crate) async fn at_places(
    tx: &Tx,
    seqs: &[Seq],
    content: Content,
) -> FaultResult<HashMap<Seq, StoredMessage>> {
    let sql = format!("SELECT {COLUMNS} FROM message WHERE seq = ANY($1)");
    let rows = tx.query(&sql, params![numbers(seqs)]).await?;
    let stored: FaultResult<Vec<_>> = rows.iter().map(read).collect();
    let mut stored = stored?;
    fill(tx, &mut stored, content).await?;
    Ok(stored
        .into_iter()
        .map(|stored| (stored.seq, stored))
        .collect())
}

/// Reads the payloads of messages that were just read, if they are wanted.
pub(crate) async fn fill(
    tx: &Tx,
    messages: &mut [StoredMessage],
    content: Content,
) -> FaultResult<()> {
    if content == Content::LeftOut || messages.is_empty() {
        return Ok(());
    }
    let seqs: Vec<i64> = messages.iter().map(|stored| stored.seq.0).collect();
    let sql = "SELECT seq, payload FROM message WHERE seq = ANY($1) AND payload IS NOT NULL";
    let rows = tx.query(sql, params![seqs]).await?;
    let mut payloads = HashMap::with_capacity(rows.len());
    for row in &rows {
        let mut columns = Columns::of(row, "message");
        let seq = Seq(columns.get("seq")?);
        let payload: Vec<u8> = columns.get("payload")?;
        payloads.insert(seq, Bytes::from(payload));
    }
    for stored in messages {
        Arc::make_mut(&mut stored.message).payload = payloads.remove(&stored.seq);
    }
    Ok(())
}

/// Places as a parameter holds them.
pub(crate) fn numbers(seqs: &[Seq]) -> Vec<i64> {
    seqs.iter().map(|seq| seq.0).collect()
}

/// Whether rows may go while the ids are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// They may: what refers to them goes with them.
    Loose,
    /// They may not before the transaction has ended.
    Fast,
}

/// The ids of messages by application and place.
pub(crate) async fn ids_at(
    tx: &Tx,
    seqs: Vec<i64>,
    hold: Hold,
) -> FaultResult<HashMap<(AppKey, Seq), MessageId>> {
    if seqs.is_empty() {
        return Ok(HashMap::new());
    }
    let lock = match hold {
        Hold::Loose => "",
        Hold::Fast => " ORDER BY seq FOR KEY SHARE",
    };
    let sql = format!("SELECT seq, app, id FROM message WHERE seq = ANY($1){lock}");
    let rows = tx.query(&sql, params![seqs]).await?;
    let mut ids = HashMap::with_capacity(rows.len());
    for row in &rows {
        let mut columns = Columns::of(row, "message");
        let seq = Seq(columns.get("seq")?);
        let app = AppKey(columns.get("app")?);
        ids.insert((app, seq), MessageId::from_ksuid(columns.ksuid("id")?));
    }
    Ok(ids)
}

/// An id as its column holds it.
pub(crate) fn bytes_of(id: Ksuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}
