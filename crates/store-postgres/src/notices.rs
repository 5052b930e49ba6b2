//! Notices: the operational webhooks that wait, and the inbox.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tokio_postgres::Row;
use watchfire_domain::id::{ApplicationId, EndpointId, NoticeId, OrganizationId};
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    InboxLine, InboxPlace, NewNotice, Notices, Range, Reading, StoreResult, Untold,
};

use crate::configuration::Page;
use crate::fault::FaultResult;
use crate::mail;
use crate::message::bytes_of;
use crate::open::Postgres;
use crate::parameter::params;
use crate::row::{Columns, at_most, small_code};
use crate::session::{Mode, Tx, in_transaction};

const LINE: &str = "id, org, kind, application, endpoint_id, count, first_at, last_at, data, \
     read_at";

#[async_trait]
impl Notices for Postgres {
    async fn untold(&self, limit: usize) -> StoreResult<Vec<Untold>> {
        let work = in_transaction!(self.ledger, Mode::Read, tx => untold(&tx, limit));
        Ok(work.await?)
    }

    async fn told(&self, ids: Vec<NoticeId>) -> StoreResult<()> {
        let work = in_transaction!(self.ledger, Mode::Write, tx => told(&tx, &ids));
        Ok(work.await?)
    }

    async fn inbox(
        &self,
        org: &OrganizationId,
        reading: Reading,
        range: Range<NoticeId>,
    ) -> StoreResult<Vec<InboxLine>> {
        let work = in_transaction!(self.people, Mode::Read, tx => inbox(&tx, org, reading, &range));
        Ok(work.await?)
    }

    async fn mark_read(
        &self,
        org: &OrganizationId,
        id: NoticeId,
        now: Timestamp,
    ) -> StoreResult<Option<InboxLine>> {
        let work = in_transaction!(self.people, Mode::Write, tx => mark_read(&tx, org, id, now));
        Ok(work.await?)
    }
}

/// Writes notices: as operational webhooks to tell, into their lines of the inbox,
/// and as ones to mail.
pub(crate) async fn write(tx: &Tx, notices: &[&NewNotice]) -> FaultResult<()> {
    write_untold(tx, notices).await?;
    // All of a kind about an endpoint make one line; rows are locked in the order of their keys.
    let mut lines: BTreeMap<(i64, i16), Line<'_>> = BTreeMap::new();
    for notice in notices {
        if let Some(place) = &notice.inbox {
            let kind = small_code(notice.kind);
            let line = lines.entry((place.endpoint.0, kind));
            line.or_insert(Line::new(notice, place)).add(notice);
        }
    }
    for ((endpoint, kind), line) in lines {
        line.write(tx, endpoint, kind).await?;
    }
    mail::count(tx, notices).await
}

async fn write_untold(tx: &Tx, notices: &[&NewNotice]) -> FaultResult<()> {
    let webhooks: Vec<&&NewNotice> = notices.iter().filter(|notice| notice.webhook).collect();
    if webhooks.is_empty() {
        return Ok(());
    }
    let mut ids = Vec::new();
    let mut orgs = Vec::new();
    let mut moments = Vec::new();
    let mut kinds = Vec::new();
    let mut data: Vec<&str> = Vec::new();
    for notice in webhooks {
        ids.push(bytes_of(notice.id.ksuid()));
        orgs.push(notice.org.as_str());
        moments.push(notice.at.unix_micros());
        kinds.push(small_code(notice.kind));
        data.push(&notice.data);
    }
    let sql = "INSERT INTO untold (id, org, at, kind, data) \
         SELECT * FROM unnest($1, $2, $3, $4, $5)";
    tx.execute(sql, params![ids, orgs, moments, kinds, data])
        .await?;
    Ok(())
}

/// What a batch adds to a line of the inbox.
struct Line<'n> {
    first: &'n NewNotice,
    place: &'n InboxPlace,
    last: &'n NewNotice,
    last_at: Timestamp,
    count: i64,
}

impl<'n> Line<'n> {
    fn new(first: &'n NewNotice, place: &'n InboxPlace) -> Self {
        Self {
            first,
            place,
            last: first,
            last_at: first.at,
            count: 0,
        }
    }

    fn add(&mut self, notice: &'n NewNotice) {
        self.last = notice;
        self.last_at = self.last_at.max(notice.at);
        self.count += 1;
    }

    /// Counts for the open line, or begins one.
    async fn write(self, tx: &Tx, endpoint: i64, kind: i16) -> FaultResult<()> {
        let sql = "INSERT INTO notice AS n (id, org, kind, application, endpoint, endpoint_id, \
             count, first_at, last_at, data) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (endpoint, kind) WHERE read_at IS NULL DO UPDATE SET \
             count = n.count + excluded.count, \
             last_at = greatest(n.last_at, excluded.last_at), data = excluded.data";
        let parameters = params![
            bytes_of(self.first.id.ksuid()),
            self.first.org.as_str(),
            kind,
            bytes_of(self.place.application.ksuid()),
            endpoint,
            bytes_of(self.place.endpoint_id.ksuid()),
            self.count,
            self.first.at.unix_micros(),
            self.last_at.unix_micros(),
            self.last.data,
        ];
        tx.execute(sql, parameters).await?;
        Ok(())
    }
}

async fn untold(tx: &Tx, limit: usize) -> FaultResult<Vec<Untold>> {
    let sql = "SELECT id, org, at, kind, data FROM untold ORDER BY key LIMIT $1";
    let rows = tx.query(sql, params![at_most(limit)]).await?;
    let untold = rows.iter().map(|row| {
        let mut columns = Columns::of(row, "untold");
        Ok(Untold {
            id: NoticeId::from_ksuid(columns.ksuid("id")?),
            org: columns.parsed("org")?,
            at: columns.timestamp("at")?,
            kind: columns.code("kind")?,
            data: columns.get("data")?,
        })
    });
    untold.collect()
}

async fn told(tx: &Tx, ids: &[NoticeId]) -> FaultResult<()> {
    let ids: Vec<Vec<u8>> = ids.iter().map(|id| bytes_of(id.ksuid())).collect();
    let sql = "DELETE FROM untold WHERE id = ANY($1)";
    tx.execute(sql, params![ids]).await?;
    Ok(())
}

async fn inbox(
    tx: &Tx,
    org: &OrganizationId,
    reading: Reading,
    range: &Range<NoticeId>,
) -> FaultResult<Vec<InboxLine>> {
    let page = Page::of(range, |id| bytes_of(id.ksuid()));
    let which = match reading {
        Reading::All => "",
        Reading::Unread => " AND read_at IS NULL",
    };
    let sql = format!(
        "SELECT {LINE} FROM notice WHERE org = $1{which}{}",
        page.sql("id", 1)
    );
    let rows = tx
        .query(&sql, &page.parameters(params![org.as_str()]))
        .await?;
    rows.iter().map(line).collect()
}

async fn mark_read(
    tx: &Tx,
    org: &OrganizationId,
    id: NoticeId,
    now: Timestamp,
) -> FaultResult<Option<InboxLine>> {
    let sql = "UPDATE notice SET read_at = $3 WHERE org = $1 AND id = $2 AND read_at IS NULL";
    let id = bytes_of(id.ksuid());
    tx.execute(sql, params![org.as_str(), id, now.unix_micros()])
        .await?;
    let sql = format!("SELECT {LINE} FROM notice WHERE org = $1 AND id = $2");
    let row = tx.first(&sql, params![org.as_str(), id]).await?;
    row.as_ref().map(line).transpose()
}

fn line(row: &Row) -> FaultResult<InboxLine> {
    let mut columns = Columns::of(row, "notice");
    Ok(InboxLine {
        id: NoticeId::from_ksuid(columns.ksuid("id")?),
        org: columns.parsed("org")?,
        kind: columns.code("kind")?,
        application: ApplicationId::from_ksuid(columns.ksuid("application")?),
        endpoint_id: EndpointId::from_ksuid(columns.ksuid("endpoint_id")?),
        count: columns.number("count")?,
        first_at: columns.timestamp("first_at")?,
        last_at: columns.timestamp("last_at")?,
        data: columns.get("data")?,
        read_at: columns.timestamp_if("read_at")?,
    })
}
