//! Rows of `audit`.

use async_trait::async_trait;
use tokio_postgres::Row;
use watchfire_domain::id::{ApplicationId, AuditId, OrganizationId};
use watchfire_store::{Audit, AuditEntry, AuditFilter, Range, StoreResult};

use crate::configuration::{Page, json_text};
use crate::fault::FaultResult;
use crate::message::bytes_of;
use crate::open::Postgres;
use crate::parameter::params;
use crate::row::Columns;
use crate::session::{Mode, Tx, in_transaction};

#[async_trait]
impl Audit for Postgres {
    async fn audit(
        &self,
        org: &OrganizationId,
        filter: &AuditFilter,
        range: Range<AuditId>,
    ) -> StoreResult<Vec<AuditEntry>> {
        let work = in_transaction!(self.people, Mode::Read, tx => list(&tx, org, filter, &range));
        Ok(work.await?)
    }
}

pub(crate) async fn write(tx: &Tx, entry: &AuditEntry) -> FaultResult<()> {
    let sql = "INSERT INTO audit (id, org, at, actor, action, application, object, before, after) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let parameters = params![
        bytes_of(entry.id.ksuid()),
        entry.org.as_str(),
        entry.at.unix_micros(),
        json_text(&entry.author)?,
        entry.action.name(),
        entry.application.map(|id| bytes_of(id.ksuid())),
        entry.object,
        entry.before,
        entry.after,
    ];
    tx.execute(sql, parameters).await?;
    Ok(())
}

async fn list(
    tx: &Tx,
    org: &OrganizationId,
    filter: &AuditFilter,
    range: &Range<AuditId>,
) -> FaultResult<Vec<AuditEntry>> {
    // No object is called so, and a text with a zero byte can't be asked for.
    if filter
        .object
        .as_ref()
        .is_some_and(|name| name.contains('\0'))
    {
        return Ok(Vec::new());
    }
    let application = filter.application.map(|id| bytes_of(id.ksuid()));
    let page = Page::of(range, |id| bytes_of(id.ksuid()));
    let sql = format!(
        "SELECT id, org, at, actor, action, application, object, before, after FROM audit \
         WHERE org = $1 AND ($2 IS NULL OR object = $2) AND ($3 IS NULL OR application = $3){}",
        page.sql("id", 3)
    );
    let parameters = params![org.as_str(), filter.object, application];
    let rows = tx.query(&sql, &page.parameters(parameters)).await?;
    rows.iter().map(read).collect()
}

fn read(row: &Row) -> FaultResult<AuditEntry> {
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
