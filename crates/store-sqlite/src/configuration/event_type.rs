//! Rows of `event_type`.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use watchfire_domain::id::{EventType, OrganizationId};
use watchfire_store::{Conflict, EventTypeRecord, Range};

use super::{json_text, page};
use crate::fault::{FaultResult, Refusal};
use crate::row::Columns;
use crate::writer::Tx;

const COLUMNS: &str = "name, created_at, updated_at, archived, settings";

/// Which event types a list holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Live,
    All,
}

impl Which {
    pub(super) fn archived_too(archived_too: bool) -> Self {
        if archived_too { Self::All } else { Self::Live }
    }
}

pub(super) fn create(
    tx: &Tx<'_>,
    org: &OrganizationId,
    event_type: &EventTypeRecord,
) -> Result<(), Refusal> {
    let sql = "SELECT archived FROM event_type WHERE org = ?1 AND name = ?2";
    let archived: Option<bool> = tx
        .prepare(sql)?
        .query_row(params![org.as_str(), event_type.name.as_str()], |row| {
            row.get(0)
        })
        .optional()?;
    match archived {
        Some(false) => Err(Conflict::EventTypeExists.into()),
        Some(true) | None => put(tx, org, event_type),
    }
}

pub(super) fn put(
    tx: &Tx<'_>,
    org: &OrganizationId,
    event_type: &EventTypeRecord,
) -> Result<(), Refusal> {
    let sql = "INSERT INTO event_type (org, name, created_at, updated_at, archived, settings) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (org, name) DO UPDATE SET created_at = excluded.created_at, \
         updated_at = excluded.updated_at, archived = excluded.archived, \
         settings = excluded.settings";
    tx.execute(
        sql,
        params![
            org.as_str(),
            event_type.name.as_str(),
            event_type.created_at.unix_micros(),
            event_type.updated_at.unix_micros(),
            event_type.archived,
            json_text(&event_type.settings)?,
        ],
    )?;
    Ok(())
}

pub(super) fn delete(tx: &Tx<'_>, org: &OrganizationId, name: &EventType) -> Result<(), Refusal> {
    let sql = "DELETE FROM event_type WHERE org = ?1 AND name = ?2";
    match tx.execute(sql, params![org.as_str(), name.as_str()])? {
        0 => Err(Conflict::Missing.into()),
        _ => Ok(()),
    }
}

pub(super) fn find(
    connection: &Connection,
    org: &OrganizationId,
    name: &EventType,
) -> FaultResult<Option<EventTypeRecord>> {
    let sql = format!("SELECT {COLUMNS} FROM event_type WHERE org = ?1 AND name = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![org.as_str(), name.as_str()])?;
    rows.next()?.map(read).transpose()
}

pub(super) fn list(
    connection: &Connection,
    org: &OrganizationId,
    which: Which,
    range: &Range<EventType>,
) -> FaultResult<Vec<EventTypeRecord>> {
    let values = vec![Value::Text(org.as_str().to_owned())];
    let page = page("name", range, values, |name| {
        Value::Text(name.as_str().to_owned())
    });
    let live = match which {
        Which::Live => " AND archived = 0",
        Which::All => "",
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM event_type WHERE org = ?1{live}{}",
        page.sql()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(page.values))?;
    let mut event_types = Vec::new();
    while let Some(row) = rows.next()? {
        event_types.push(read(row)?);
    }
    Ok(event_types)
}

fn read(row: &Row<'_>) -> FaultResult<EventTypeRecord> {
    let mut columns = Columns::of(row, "event_type");
    Ok(EventTypeRecord {
        name: columns.parsed("name")?,
        created_at: columns.timestamp("created_at")?,
        updated_at: columns.timestamp("updated_at")?,
        archived: columns.get("archived")?,
        settings: columns.json("settings")?,
    })
}
