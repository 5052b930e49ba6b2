//! Notices: the operational webhooks that wait, and the inbox.

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, Params, Row, params, params_from_iter};
use watchfire_domain::id::{ApplicationId, EndpointId, NoticeId, OrganizationId};
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    InboxLine, InboxPlace, NewNotice, Notices, Range, Reading, StoreResult, Untold,
};

use crate::configuration::page;
use crate::fault::{Fault, FaultResult};
use crate::mail;
use crate::open::Sqlite;
use crate::row::Columns;
use crate::writer::{Rows, Tx};
use watchfire_store::encoding::Code as _;

const LINE: &str = "id, org, kind, application, endpoint_id, count, first_at, last_at, data, \
     read_at";

#[async_trait]
impl Notices for Sqlite {
    async fn untold(&self, limit: usize) -> StoreResult<Vec<Untold>> {
        self.readers
            .run(move |connection| untold(connection, limit))
            .await
    }

    async fn told(&self, ids: Vec<NoticeId>) -> StoreResult<()> {
        let rows = Rows(ids.len());
        let work = move |tx: &mut Tx<'_>| {
            ids.iter().try_for_each(|id| {
                tx.execute("DELETE FROM untold WHERE id = ?1", [id.ksuid().as_bytes()])?;
                Ok(())
            })
        };
        Ok(self.writer.run::<_, Fault, _>(rows, work).await?)
    }

    async fn inbox(
        &self,
        org: &OrganizationId,
        reading: Reading,
        range: Range<NoticeId>,
    ) -> StoreResult<Vec<InboxLine>> {
        let org = org.clone();
        self.readers
            .run(move |connection| inbox(connection, &org, reading, &range))
            .await
    }

    async fn mark_read(
        &self,
        org: &OrganizationId,
        id: NoticeId,
        now: Timestamp,
    ) -> StoreResult<Option<InboxLine>> {
        let org = org.clone();
        let work = move |tx: &mut Tx<'_>| mark_read(tx, &org, id, now);
        Ok(self.writer.run::<_, Fault, _>(Rows(1), work).await?)
    }
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Writes a notice: as an operational webhook to tell, into its line of the inbox, and as one to
/// mail.
pub(crate) fn write(tx: &Tx<'_>, notice: &NewNotice) -> FaultResult<()> {
    if notice.webhook {
        let sql = "INSERT INTO untold (id, org, at, kind, data) VALUES (?1, ?2, ?3, ?4, ?5)";
        tx.prepare(sql)?.execute(params![
            notice.id.ksuid().as_bytes(),
            notice.org.as_str(),
            notice.at.unix_micros(),
            notice.kind.code(),
            notice.data,
        ])?;
    }
    let Some(place) = &notice.inbox else {
        return Ok(());
    };
    write_line(tx, notice, place)?;
    match place.mail_at {
        Some(mail_at) => mail::count(tx, notice, place, mail_at),
        None => Ok(()),
    }
}

/// Counts for the open line, or begins one.
fn write_line(tx: &Tx<'_>, notice: &NewNotice, place: &InboxPlace) -> FaultResult<()> {
    let sql = "INSERT INTO notice (id, org, kind, application, endpoint, endpoint_id, count, \
         first_at, last_at, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7, ?8) \
         ON CONFLICT (endpoint, kind) WHERE read_at IS NULL DO UPDATE SET count = count + 1, \
         last_at = max(last_at, excluded.last_at), data = excluded.data";
    tx.prepare(sql)?.execute(params![
        notice.id.ksuid().as_bytes(),
        notice.org.as_str(),
        notice.kind.code(),
        place.application.ksuid().as_bytes(),
        place.endpoint.0,
        place.endpoint_id.ksuid().as_bytes(),
        notice.at.unix_micros(),
        notice.data,
    ])?;
    Ok(())
}

fn untold(connection: &Connection, limit: usize) -> FaultResult<Vec<Untold>> {
    let sql = "SELECT id, org, at, kind, data FROM untold ORDER BY key LIMIT ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([count(limit)])?;
    let mut untold = Vec::new();
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(row, "untold");
        untold.push(Untold {
            id: NoticeId::from_ksuid(columns.ksuid("id")?),
            org: columns.parsed("org")?,
            at: columns.timestamp("at")?,
            kind: columns.code("kind")?,
            data: columns.get("data")?,
        });
    }
    Ok(untold)
}

fn inbox(
    connection: &Connection,
    org: &OrganizationId,
    reading: Reading,
    range: &Range<NoticeId>,
) -> FaultResult<Vec<InboxLine>> {
    let values = vec![Value::Text(org.as_str().to_owned())];
    let page = page("id", range, values, |id| {
        Value::Blob(id.ksuid().as_bytes().to_vec())
    });
    let which = match reading {
        Reading::All => "",
        Reading::Unread => " AND read_at IS NULL",
    };
    let sql = format!(
        "SELECT {LINE} FROM notice WHERE org = ?1{which}{}",
        page.sql()
    );
    lines(connection, &sql, params_from_iter(page.values))
}

fn mark_read(
    tx: &Tx<'_>,
    org: &OrganizationId,
    id: NoticeId,
    now: Timestamp,
) -> FaultResult<Option<InboxLine>> {
    let sql = "UPDATE notice SET read_at = ?3 \
         WHERE org = ?1 AND id = ?2 AND read_at IS NULL";
    let key = id.ksuid();
    tx.execute(
        sql,
        params![org.as_str(), key.as_bytes(), now.unix_micros()],
    )?;
    let sql = format!("SELECT {LINE} FROM notice WHERE org = ?1 AND id = ?2");
    let found = lines(tx.connection(), &sql, params![org.as_str(), key.as_bytes()])?;
    Ok(found.into_iter().next())
}

fn lines(connection: &Connection, sql: &str, params: impl Params) -> FaultResult<Vec<InboxLine>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        lines.push(line(row)?);
    }
    Ok(lines)
}

fn line(row: &Row<'_>) -> FaultResult<InboxLine> {
    let mut columns = Columns::of(row, "notice");
    Ok(InboxLine {
        id: NoticeId::from_ksuid(columns.ksuid("id")?),
        org: columns.parsed("org")?,
        kind: columns.code("kind")?,
        application: ApplicationId::from_ksuid(columns.ksuid("application")?),
        endpoint_id: EndpointId::from_ksuid(columns.ksuid("endpoint_id")?),
        count: columns.get::<i64>("count")?.unsigned_abs(),
        first_at: columns.timestamp("first_at")?,
        last_at: columns.timestamp("last_at")?,
        data: columns.get("data")?,
        read_at: columns.timestamp_if("read_at")?,
    })
}
