//! Rows of `event_type`.

use tokio_postgres::Row;
use watchfire_domain::id::{EventType, OrganizationId};
use watchfire_store::{Conflict, EventTypeRecord, Range};

use super::{Page, json_text};
use crate::fault::{Fault, FaultResult, Refusal};
use crate::parameter::params;
use crate::row::Columns;
use crate::session::Tx;

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

/// What gives way to a new event type of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replaces {
    Archived,
    Any,
}

pub(super) async fn create(
    tx: &Tx,
    org: &OrganizationId,
    event_type: &EventTypeRecord,
) -> Result<(), Refusal> {
    match write(tx, org, event_type, Replaces::Archived).await? {
        0 => Err(Conflict::EventTypeExists.into()),
        _ => Ok(()),
    }
}

pub(super) async fn put(
    tx: &Tx,
    org: &OrganizationId,
    event_type: &EventTypeRecord,
) -> Result<(), Refusal> {
    match write(tx, org, event_type, Replaces::Any).await? {
        0 => Err(Fault::Overtaken.into()),
        _ => Ok(()),
    }
}

async fn write(
    tx: &Tx,
    org: &OrganizationId,
    event_type: &EventTypeRecord,
    replaces: Replaces,
) -> FaultResult<usize> {
    let sql = "INSERT INTO event_type AS e (org, name, created_at, updated_at, archived, settings) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (org, name) DO UPDATE SET created_at = excluded.created_at, \
         updated_at = excluded.updated_at, archived = excluded.archived, \
         settings = excluded.settings WHERE e.archived OR $7";
    let parameters = params![
        org.as_str(),
        event_type.name.as_str(),
        event_type.created_at.unix_micros(),
        event_type.updated_at.unix_micros(),
        event_type.archived,
        json_text(&event_type.settings)?,
        replaces == Replaces::Any,
    ];
    tx.execute(sql, parameters).await
}

pub(super) async fn delete(tx: &Tx, org: &OrganizationId, name: &EventType) -> Result<(), Refusal> {
    let sql = "DELETE FROM event_type WHERE org = $1 AND name = $2";
    let parameters = params![org.as_str(), name.as_str()];
    match tx.execute(sql, parameters).await? {
        0 => Err(Conflict::Missing.into()),
        _ => Ok(()),
    }
}

pub(super) async fn find(
    tx: &Tx,
    org: &OrganizationId,
    name: &EventType,
) -> FaultResult<Option<EventTypeRecord>> {
    let sql = format!("SELECT {COLUMNS} FROM event_type WHERE org = $1 AND name = $2");
    let row = tx.first(&sql, params![org.as_str(), name.as_str()]).await?;
    row.as_ref().map(read).transpose()
}

pub(super) async fn list(
    tx: &Tx,
    org: &OrganizationId,
    which: Which,
    range: &Range<EventType>,
) -> FaultResult<Vec<EventTypeRecord>> {
    let page = Page::of(range, |name| name.as_str().to_owned());
    let live = match which {
        Which::Live => " AND NOT archived",
        Which::All => "",
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM event_type WHERE org = $1{live}{}",
        page.sql("name", 1)
    );
    let rows = tx
        .query(&sql, &page.parameters(params![org.as_str()]))
        .await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> FaultResult<EventTypeRecord> {
    let mut columns = Columns::of(row, "event_type");
    Ok(EventTypeRecord {
        name: columns.parsed("name")?,
        created_at: columns.timestamp("created_at")?,
        updated_at: columns.timestamp("updated_at")?,
        archived: columns.get("archived")?,
        settings: columns.json("settings")?,
    })
}
