//! All about one record: its messages in order, and what of it is owed.

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};
use watchfire_domain::id::{Ksuid, MessageId};
use watchfire_domain::limit;
use watchfire_store::{AppKey, EndpointKey, Range, RecordHead, Seq, StoredMessage};

use crate::configuration::{belongs, page};
use crate::fault::FaultResult;
use crate::history::owed_to;
use crate::message::{self, COLUMNS_WITHOUT_PAYLOAD};

pub(super) fn messages(
    connection: &Connection,
    app: AppKey,
    record_key: &str,
    range: &Range<Seq>,
) -> FaultResult<Vec<StoredMessage>> {
    let values = vec![Value::Integer(app.0), Value::Text(record_key.to_owned())];
    let page = page("m.seq", range, values, |seq: &Seq| Value::Integer(seq.0));
    let sql = format!(
        "SELECT {COLUMNS_WITHOUT_PAYLOAD} FROM message m INDEXED BY message_of_record \
         WHERE m.app = ?1 AND m.record_key = ?2{}",
        page.sql()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(page.values))?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        messages.push(message::read(row)?);
    }
    Ok(messages)
}

pub(super) fn heads(
    connection: &Connection,
    app: AppKey,
    record: i64,
    mut endpoints: Vec<EndpointKey>,
) -> FaultResult<Vec<RecordHead>> {
    endpoints.sort_unstable();
    endpoints.dedup();
    let sql = "SELECT seq, message FROM owed INDEXED BY owed_record \
         WHERE endpoint = ?1 AND record = ?2 AND record IS NOT NULL ORDER BY seq LIMIT ?3";
    let most = i64::try_from(limit::RECORD_WAITING_MAX + 1).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql)?;
    let mut heads = Vec::new();
    for endpoint in endpoints {
        if !belongs(connection, app, endpoint)? {
            continue;
        }
        let mut rows = statement.query(params![endpoint.0, record, most])?;
        let Some(row) = rows.next()? else { continue };
        let seq = Seq(row.get(0)?);
        let message = MessageId::from_ksuid(Ksuid::from_bytes(row.get(1)?));
        let mut waiting = 0;
        while rows.next()?.is_some() {
            waiting += 1;
        }
        if let Some(view) = owed_to(connection, endpoint, seq)? {
            heads.push(RecordHead {
                seq,
                message,
                view,
                waiting,
            });
        }
    }
    Ok(heads)
}
