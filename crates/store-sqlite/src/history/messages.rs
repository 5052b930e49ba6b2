//! Messages of an application.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};
use watchfire_domain::id::MessageId;
use watchfire_domain::limit;
use watchfire_domain::message::Details;
use watchfire_store::selection::About;
use watchfire_store::{AppKey, MessageFilter, MessageRef, Range, Seq, StoredMessage};

use crate::configuration::page;
use crate::fault::FaultResult;
use crate::message::{self, COLUMNS, COLUMNS_WITHOUT_PAYLOAD};
use crate::row::Columns;

pub(super) fn find(
    connection: &Connection,
    app: AppKey,
    reference: &MessageRef,
) -> FaultResult<Option<StoredMessage>> {
    match reference {
        MessageRef::Id(id) => by_id(connection, app, *id, Content::Kept),
        MessageRef::EventId(event_id) => {
            let sql = format!(
                "SELECT {COLUMNS} FROM message m \
                 WHERE m.app = ?1 AND m.event_id = ?2 AND m.event_id IS NOT NULL"
            );
            message::first(connection, &sql, params![app.0, event_id.as_str()])
        }
    }
}

/// Whether payloads and answers are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Kept,
    LeftOut,
}

impl Content {
    pub(super) fn left_out_if(without: bool) -> Self {
        if without { Self::LeftOut } else { Self::Kept }
    }

    fn message_columns(self) -> &'static str {
        match self {
            Self::Kept => COLUMNS,
            Self::LeftOut => COLUMNS_WITHOUT_PAYLOAD,
        }
    }
}

pub(super) fn by_id(
    connection: &Connection,
    app: AppKey,
    id: MessageId,
    content: Content,
) -> FaultResult<Option<StoredMessage>> {
    let columns = content.message_columns();
    let sql = format!("SELECT {columns} FROM message m WHERE m.app = ?1 AND m.id = ?2");
    message::first(connection, &sql, params![app.0, id.ksuid().as_bytes()])
}

pub(super) fn at(
    connection: &Connection,
    app: AppKey,
    seqs: &[Seq],
) -> FaultResult<Vec<StoredMessage>> {
    let sql =
        format!("SELECT {COLUMNS_WITHOUT_PAYLOAD} FROM message m WHERE m.seq = ?2 AND m.app = ?1");
    let of = |seq: &Seq| message::first(connection, &sql, params![app.0, seq.0]).transpose();
    seqs.iter().filter_map(of).collect()
}

pub(super) fn list(
    connection: &Connection,
    app: AppKey,
    filter: &MessageFilter,
    range: &Range<MessageId>,
) -> FaultResult<Vec<StoredMessage>> {
    let (sql, values) = list_query(app, filter, range);
    let about = About::from(filter);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut messages = Vec::new();
    while messages.len() < range.limit
        && let Some(row) = rows.next()?
    {
        if is_wanted(&about, row, (MESSAGE_EVENT_TYPE, MESSAGE_DETAILS))? {
            messages.push(message::read(row)?);
        }
    }
    Ok(messages)
}

/// Places in [`COLUMNS`].
const MESSAGE_EVENT_TYPE: usize = 4;
const MESSAGE_DETAILS: usize = 9;

pub(crate) fn list_query(
    app: AppKey,
    filter: &MessageFilter,
    range: &Range<MessageId>,
) -> (String, Vec<Value>) {
    let columns = Content::left_out_if(filter.without_payload).message_columns();
    let scan = scanned(range);
    let values = vec![Value::Integer(app.0)];
    let page = page("m.id", &scan, values, id_value);
    let sql = format!(
        "SELECT {columns} FROM message m WHERE m.app = ?1{}",
        page.sql()
    );
    (sql, page.values)
}

pub(super) fn id_value(id: &MessageId) -> Value {
    Value::Blob(id.ksuid().as_bytes().to_vec())
}

/// The same stretch with the bound on what is looked at. Whoever reads it stops at the page's end.
pub(super) fn scanned<C: Clone>(range: &Range<C>) -> Range<C> {
    Range {
        limit: limit::LIST_SCAN_ROWS_MAX.max(range.limit),
        ..range.clone()
    }
}

/// Looks at two columns of a row, given by their places, before the rest of it is read.
pub(super) fn is_wanted(
    about: &About<'_>,
    row: &Row<'_>,
    (event_type, details): (usize, usize),
) -> FaultResult<bool> {
    let name = row.get_ref(event_type)?;
    if !about.wants_type(name.as_str().unwrap_or_default()) {
        return Ok(false);
    }
    if !about.asks_for_details() {
        return Ok(true);
    }
    let details: Option<Details> = Columns::at(row, "message", details).json_if("details")?;
    Ok(about.wants_details(&details.unwrap_or_default()))
}
