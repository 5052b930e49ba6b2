//! Rows of `audit`.

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};
use watchfire_domain::id::{ApplicationId, AuditId, OrganizationId};
use watchfire_store::{Audit, AuditEntry, AuditFilter, Range, StoreResult};

use crate::configuration::{json_text, page};
use crate::fault::FaultResult;
use crate::open::Sqlite;
use crate::row::Columns;
use crate::writer::Tx;

#[async_trait]
impl Audit for Sqlite {
    async fn audit(
        &self,
        org: &OrganizationId,
        filter: &AuditFilter,
        range: Range<AuditId>,
    ) -> StoreResult<Vec<AuditEntry>> {
        let (org, filter) = (org.clone(), filter.clone());
        self.readers
            .run(move |connection| list(connection, &org, &filter, &range))
            .await
    }
}

pub(crate) fn write(tx: &Tx<'_>, entry: &AuditEntry) -> FaultResult<()> {
    let sql = "INSERT INTO audit (id, org, at, actor, action, application, object, before, after) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    tx.execute(
        sql,
        params![
            entry.id.ksuid().as_bytes(),
            entry.org.as_str(),
            entry.at.unix_micros(),
            json_text(&entry.author)?,
            entry.action.name(),
            entry.application.map(|id| *id.ksuid().as_bytes()),
            entry.object,
            entry.before,
            entry.after,
        ],
    )?;
    Ok(())
}

fn list(
    connection: &Connection,
    org: &OrganizationId,
    filter: &AuditFilter,
    range: &Range<AuditId>,
) -> FaultResult<Vec<AuditEntry>> {
    let (sql, values) = list_query(org, filter, range);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(read(row)?);
    }
    Ok(entries)
}

/// One object has fewer lines than an application, and that fewer than an organization.
pub(crate) fn list_query(
    org: &OrganizationId,
    filter: &AuditFilter,
    range: &Range<AuditId>,
) -> (String, Vec<Value>) {
    let mut values = vec![Value::Text(org.as_str().to_owned())];
    let mut condition = |column: &str, value: Option<Value>| {
        let Some(value) = value else {
            return String::new();
        };
        values.push(value);
        format!(" AND {column} = ?{}", values.len())
    };
    let of_object = condition("object", filter.object.clone().map(Value::Text));
    let application = filter.application.map(|id| id.ksuid().as_bytes().to_vec());
    let of_application = condition("application", application.map(Value::Blob));
    let index = match (&filter.object, filter.application) {
        (Some(_), _) => "audit_of_object",
        (None, Some(_)) => "audit_of_application",
        (None, None) => "audit_of_org",
    };
    let page = page("id", range, values, |id: &AuditId| {
        Value::Blob(id.ksuid().as_bytes().to_vec())
    });
    let sql = format!(
        "SELECT id, org, at, actor, action, application, object, before, after \
         FROM audit INDEXED BY {index} WHERE org = ?1{of_object}{of_application}{}",
        page.sql()
    );
    (sql, page.values)
}

fn read(row: &Row<'_>) -> FaultResult<AuditEntry> {
    let mut columns = Columns::of(row, "audit");
    Ok(AuditEntry {
        id: AuditId::from_ksuid(columns.ksuid("id")?),
        org: columns.parsed("org")?,
        at: columns.timestamp("at")?,
        author: columns.json("actor")?,
        action: columns.parsed("action")?,
        application: columns
            .ksuid_if("application")?
            .map(ApplicationId::from_ksuid),
        object: columns.get("object")?,
        before: columns.get("before")?,
        after: columns.get("after")?,
    })
}
