//! The last attempt of an endpoint, or of one delivery, without the answer.

use rusqlite::{Connection, Params, params};
use watchfire_domain::attempt::Attempt;
use watchfire_domain::id::MessageId;
use watchfire_store::{EndpointKey, Seq};

use super::attempts::TABLES;
use crate::attempt::{self, COLUMNS_WITHOUT_RESPONSE};
use crate::fault::FaultResult;

pub(crate) fn of_endpoint(
    connection: &Connection,
    endpoint: EndpointKey,
) -> FaultResult<Option<Attempt>> {
    let sql = format!(
        "SELECT {COLUMNS_WITHOUT_RESPONSE} FROM attempt a INDEXED BY attempt_of_endpoint {TABLES} \
         WHERE a.endpoint = ?1 ORDER BY a.id DESC LIMIT 1"
    );
    first(connection, &sql, [endpoint.0])
}

pub(crate) fn of_delivery(
    connection: &Connection,
    endpoint: EndpointKey,
    (message, seq): (MessageId, Seq),
) -> FaultResult<Option<Attempt>> {
    let sql = format!(
        "SELECT {COLUMNS_WITHOUT_RESPONSE} FROM attempt a \
         INDEXED BY attempt_of_endpoint_by_message {TABLES} \
         WHERE a.endpoint = ?1 AND a.message = ?2 AND a.seq = ?3 ORDER BY a.id DESC LIMIT 1"
    );
    let id = message.ksuid();
    first(connection, &sql, params![endpoint.0, id.as_bytes(), seq.0])
}

fn first(connection: &Connection, sql: &str, params: impl Params) -> FaultResult<Option<Attempt>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let stored = rows.next()?.map(attempt::read).transpose()?;
    Ok(stored.map(|stored| stored.attempt))
}
