//! Attempts of an endpoint or of a message.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};
use watchfire_domain::id::AttemptId;
use watchfire_store::selection::{About, AttemptFacts, only_noted};
use watchfire_store::{AppKey, AttemptFilter, EndpointKey, Range, Seq, StoredAttempt};

use super::messages::{Content, is_wanted, scanned};
use crate::attempt::{self, COLUMNS, COLUMNS_WITHOUT_RESPONSE};
use crate::configuration::page;
use crate::fault::FaultResult;

/// What the joins add to an attempt. `CROSS JOIN` keeps their order: the attempt's index decides.
pub(super) const TABLES: &str = "CROSS JOIN message m ON m.seq = a.seq \
     CROSS JOIN endpoint e ON e.key = a.endpoint";

pub(super) fn find(
    connection: &Connection,
    app: AppKey,
    seq: Seq,
    id: AttemptId,
) -> FaultResult<Option<StoredAttempt>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM attempt a {TABLES} WHERE a.seq = ?1 AND a.id = ?2 AND m.app = ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![seq.0, id.ksuid().as_bytes(), app.0])?;
    rows.next()?.map(attempt::read).transpose()
}

pub(super) fn of_endpoint(
    connection: &Connection,
    (app, endpoint): (AppKey, EndpointKey),
    filter: &AttemptFilter,
    range: &Range<AttemptId>,
) -> FaultResult<Vec<StoredAttempt>> {
    if filter.endpoint.is_some_and(|wanted| wanted != endpoint) {
        return Ok(Vec::new());
    }
    let query = of_endpoint_query((app, endpoint), filter, range);
    list(connection, query, filter, range.limit)
}

pub(crate) fn of_endpoint_query(
    (app, endpoint): (AppKey, EndpointKey),
    filter: &AttemptFilter,
    range: &Range<AttemptId>,
) -> (String, Vec<Value>) {
    let values = vec![Value::Integer(endpoint.0), Value::Integer(app.0)];
    let page = page("a.id", &scanned(range), values, id_value);
    let (index, condition) = if only_noted(filter) {
        ("noted_attempt_of_endpoint", " AND a.outcome > 0")
    } else {
        ("attempt_of_endpoint", "")
    };
    let sql = format!(
        "SELECT {}, m.details FROM attempt a INDEXED BY {index} {TABLES} \
         WHERE a.endpoint = ?1 AND m.app = ?2{condition}{}",
        columns(filter),
        page.sql()
    );
    (sql, page.values)
}

pub(super) fn of_message(
    connection: &Connection,
    (app, seq): (AppKey, Seq),
    filter: &AttemptFilter,
    range: &Range<AttemptId>,
) -> FaultResult<Vec<StoredAttempt>> {
    let query = of_message_query((app, seq), filter, range);
    list(connection, query, filter, range.limit)
}

pub(crate) fn of_message_query(
    (app, seq): (AppKey, Seq),
    filter: &AttemptFilter,
    range: &Range<AttemptId>,
) -> (String, Vec<Value>) {
    let values = vec![Value::Integer(seq.0), Value::Integer(app.0)];
    let page = page("a.id", &scanned(range), values, id_value);
    let sql = format!(
        "SELECT {}, m.details FROM attempt a {TABLES} WHERE a.seq = ?1 AND m.app = ?2{}",
        columns(filter),
        page.sql()
    );
    (sql, page.values)
}

fn id_value(id: &AttemptId) -> Value {
    Value::Blob(id.ksuid().as_bytes().to_vec())
}

fn columns(filter: &AttemptFilter) -> &'static str {
    match Content::left_out_if(filter.without_content) {
        Content::Kept => COLUMNS,
        Content::LeftOut => COLUMNS_WITHOUT_RESPONSE,
    }
}

/// Places in [`COLUMNS`] and behind it.
const EVENT_TYPE: usize = 2;
const ENDPOINT: usize = 3;
const OUTCOME: usize = 11;
const STATUS: usize = 12;
const SETTLEMENT: usize = 15;
const DETAILS: usize = 23;

fn list(
    connection: &Connection,
    (sql, values): (String, Vec<Value>),
    filter: &AttemptFilter,
    limit: usize,
) -> FaultResult<Vec<StoredAttempt>> {
    let about = About::from(filter);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut attempts = Vec::new();
    while attempts.len() < limit
        && let Some(row) = rows.next()?
    {
        if facts(row)?.meet(filter) && is_wanted(&about, row, (EVENT_TYPE, DETAILS))? {
            attempts.push(attempt::read(row)?);
        }
    }
    Ok(attempts)
}

fn facts(row: &Row<'_>) -> FaultResult<AttemptFacts> {
    Ok(AttemptFacts {
        endpoint: EndpointKey(row.get(ENDPOINT)?),
        outcome: row.get(OUTCOME)?,
        status: row.get(STATUS)?,
        settlement: row.get(SETTLEMENT)?,
    })
}
