//! Messages of an application.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};
use watchfire_domain::id::{EventType, MessageId};
use watchfire_domain::limit;
use watchfire_domain::message::Details;
use watchfire_store::{AppKey, AttemptFilter, MessageFilter, MessageRef, Range, StoredMessage};

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
        if about.matches(row, MESSAGE_EVENT_TYPE, MESSAGE_DETAILS)? {
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

/// What a list asks of a message.
pub(crate) struct About<'f> {
    event_types: &'f [EventType],
    channel: Option<&'f str>,
    tag: Option<&'f str>,
}

impl<'f> From<&'f MessageFilter> for About<'f> {
    fn from(filter: &'f MessageFilter) -> Self {
        Self {
            event_types: &filter.event_types,
            channel: filter.channel.as_deref(),
            tag: filter.tag.as_deref(),
        }
    }
}

impl<'f> From<&'f AttemptFilter> for About<'f> {
    fn from(filter: &'f AttemptFilter) -> Self {
        Self {
            event_types: &filter.event_types,
            channel: filter.channel.as_deref(),
            tag: filter.tag.as_deref(),
        }
    }
}

impl About<'_> {
    /// Looks at two columns of a row, given by their places, before the rest of it is read.
    pub(super) fn matches(
        &self,
        row: &Row<'_>,
        event_type: usize,
        details: usize,
    ) -> FaultResult<bool> {
        if !self.event_types.is_empty() {
            let name = row.get_ref(event_type)?;
            let name = name.as_str().unwrap_or_default();
            if !self
                .event_types
                .iter()
                .any(|wanted| wanted.as_str() == name)
            {
                return Ok(false);
            }
        }
        if self.channel.is_none() && self.tag.is_none() {
            return Ok(true);
        }
        let details: Option<Details> = Columns::at(row, "message", details).json_if("details")?;
        let details = details.unwrap_or_default();
        Ok(holds(&details.channels, self.channel) && holds(&details.tags, self.tag))
    }

    /// The same for a message that was read.
    pub(crate) fn matches_message(&self, stored: &StoredMessage) -> bool {
        let message = &*stored.message;
        (self.event_types.is_empty() || self.event_types.contains(&message.event_type))
            && holds(&message.details.channels, self.channel)
            && holds(&message.details.tags, self.tag)
    }
}

fn holds(names: &[String], wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| names.iter().any(|name| name == wanted))
}
