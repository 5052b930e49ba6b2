//! Mail: notices that are yet to be told to people, and what rests after it was.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tokio_postgres::Row;
use watchfire_domain::id::{ApplicationId, EndpointId, NoticeId};
use watchfire_domain::limit;
use watchfire_domain::mail::Address;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    DueMail, EndpointKey, InboxPlace, Mail, MailClaim, MailEnd, MailResult, NewNotice, StoreResult,
};

use crate::fault::FaultResult;
use crate::message::bytes_of;
use crate::nodes;
use crate::open::Postgres;
use crate::parameter::params;
use crate::row::{Columns, at_most, small_code};
use crate::session::{Mode, Tx, in_transaction};

#[async_trait]
impl Mail for Postgres {
    async fn claim_mail(&self, claim: MailClaim) -> StoreResult<Vec<DueMail>> {
        let work = in_transaction!(self.ledger, Mode::Write, tx => claim_due(&tx, &claim));
        Ok(work.await?)
    }

    async fn end_mail(&self, ends: Vec<MailEnd>) -> StoreResult<()> {
        let work = in_transaction!(self.ledger, Mode::Write, tx => write_ends(&tx, &ends));
        Ok(work.await?)
    }

    async fn next_mail_at(&self) -> StoreResult<Option<Timestamp>> {
        let work = in_transaction!(self.ledger, Mode::Read, tx => next_at(&tx));
        Ok(work.await?)
    }
}

async fn next_at(tx: &Tx) -> FaultResult<Option<Timestamp>> {
    let sql = "SELECT min(due_at) FROM mail WHERE count > 0";
    let row = tx.first(sql, params![]).await?;
    row.map_or(Ok(None), |row| {
        Columns::of(&row, "mail").timestamp_if("due_at")
    })
}

/// What a batch adds to the count of a kind about an endpoint.
struct Addition<'n> {
    first: (&'n NewNotice, Timestamp),
    place: &'n InboxPlace,
    last: &'n NewNotice,
    last_at: Timestamp,
    count: i64,
}

/// Counts notices that are to be mailed.
pub(crate) async fn count(tx: &Tx, notices: &[&NewNotice]) -> FaultResult<()> {
    let mut counts: BTreeMap<(i64, i16), Addition<'_>> = BTreeMap::new();
    for notice in notices {
        let place = notice.inbox.as_ref();
        let Some((place, mail_at)) = place.and_then(|place| Some((place, place.mail_at?))) else {
            continue;
        };
        let key = (place.endpoint.0, small_code(notice.kind));
        let count = counts.entry(key).or_insert(Addition {
            first: (notice, mail_at),
            place,
            last: notice,
            last_at: notice.at,
            count: 0,
        });
        count.last = notice;
        count.last_at = count.last_at.max(notice.at);
        count.count += 1;
    }
    for ((endpoint, kind), count) in counts {
        count.write(tx, endpoint, kind).await?;
    }
    Ok(())
}

impl Addition<'_> {
    async fn write(self, tx: &Tx, endpoint: i64, kind: i16) -> FaultResult<()> {
        let sql = "INSERT INTO mail AS m (endpoint, kind, id, org, application, endpoint_id, \
             count, first_at, last_at, data, due_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT (endpoint, kind) DO UPDATE SET id = excluded.id, \
             first_at = CASE WHEN m.count = 0 THEN excluded.first_at ELSE m.first_at END, \
             last_at = greatest(m.last_at, excluded.last_at), data = excluded.data, \
             due_at = CASE WHEN m.count = 0 THEN greatest(m.due_at, excluded.due_at) \
             ELSE m.due_at END, count = m.count + excluded.count";
        let (first, mail_at) = self.first;
        let parameters = params![
            endpoint,
            kind,
            bytes_of(self.last.id.ksuid()),
            first.org.as_str(),
            bytes_of(self.place.application.ksuid()),
            bytes_of(self.place.endpoint_id.ksuid()),
            self.count,
            first.at.unix_micros(),
            self.last_at.unix_micros(),
            self.last.data,
            mail_at.unix_micros(),
        ];
        tx.execute(sql, parameters).await?;
        Ok(())
    }
}

async fn claim_due(tx: &Tx, claim: &MailClaim) -> FaultResult<Vec<DueMail>> {
    let node = nodes::hold(tx, &claim.life).await?;
    let now = claim.now.unix_micros();
    // What has rested long enough has nothing more to say.
    let sql = "DELETE FROM mail WHERE (endpoint, kind) IN (SELECT endpoint, kind FROM mail \
         WHERE count = 0 AND due_at <= $1 ORDER BY due_at LIMIT $2 \
         FOR UPDATE SKIP LOCKED)";
    tx.execute(sql, params![now, at_most(limit::COMMIT_ROWS_MAX)])
        .await?;
    let sql = "WITH due AS (SELECT endpoint, kind, due_at AS was_due_at FROM mail \
         WHERE due_at <= $1 AND count > 0 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED), \
         claimed AS (UPDATE mail m SET due_at = $3, lease_node = $4, token = m.token + 1, \
         tries = m.tries + 1 \
         FROM due WHERE m.endpoint = due.endpoint AND m.kind = due.kind \
         RETURNING m.*, due.was_due_at) \
         SELECT endpoint, kind, token, id, org, application, endpoint_id, count, first_at, \
         last_at, data, tries, left_to FROM claimed ORDER BY was_due_at";
    let until = claim.lease_until.unix_micros();
    let rows = tx
        .query(sql, params![now, at_most(claim.limit), until, node])
        .await?;
    rows.iter().map(read).collect()
}

/// What a node had claimed is due since its last notice.
pub(crate) async fn end_claims(tx: &Tx, node: i64) -> FaultResult<()> {
    // In the order in which notices are counted, so that neither waits for the other in a circle.
    let sql = "WITH claimed AS (SELECT endpoint, kind FROM mail WHERE lease_node = $1 \
         ORDER BY endpoint, kind FOR UPDATE) \
         UPDATE mail m SET due_at = least(m.due_at, m.last_at), lease_node = NULL \
         FROM claimed WHERE m.endpoint = claimed.endpoint AND m.kind = claimed.kind";
    tx.execute(sql, params![node]).await?;
    Ok(())
}

fn read(row: &Row) -> FaultResult<DueMail> {
    let mut columns = Columns::of(row, "mail");
    Ok(DueMail {
        endpoint: EndpointKey(columns.get("endpoint")?),
        kind: columns.code("kind")?,
        token: columns.get("token")?,
        id: NoticeId::from_ksuid(columns.ksuid("id")?),
        org: columns.parsed("org")?,
        application: ApplicationId::from_ksuid(columns.ksuid("application")?),
        endpoint_id: EndpointId::from_ksuid(columns.ksuid("endpoint_id")?),
        count: columns.number("count")?,
        first_at: columns.timestamp("first_at")?,
        last_at: columns.timestamp("last_at")?,
        data: columns.get("data")?,
        tries: columns.number("tries")?,
        left: addresses(columns.get("left_to")?),
    })
}

/// Addresses hold no spaces.
fn addresses(text: Option<&str>) -> Vec<Address> {
    let text = text.unwrap_or_default();
    text.split(' ').filter_map(|one| one.parse().ok()).collect()
}

async fn write_ends(tx: &Tx, ends: &[MailEnd]) -> FaultResult<()> {
    let mut in_order: Vec<&MailEnd> = ends.iter().collect();
    in_order.sort_by_key(|end| (end.endpoint, small_code(end.kind)));
    for end in in_order {
        write_end(tx, end).await?;
    }
    Ok(())
}

async fn write_end(tx: &Tx, end: &MailEnd) -> FaultResult<()> {
    let (endpoint, kind, token) = (end.endpoint.0, small_code(end.kind), end.token);
    let count = i64::try_from(end.count).unwrap_or(i64::MAX);
    match &end.result {
        // Those it was left to were told of the first only; what came later is told to all.
        MailResult::Told { rest_until } => {
            let sql = "UPDATE mail SET count = count - coalesce(left_count, $4), first_at = $5, \
                 due_at = $6, lease_node = NULL, tries = 0, left_to = NULL, left_count = NULL \
                 WHERE endpoint = $1 AND kind = $2 AND token = $3";
            let last_at = end.last_at.unix_micros();
            let rest_until = rest_until.unix_micros();
            let parameters = params![endpoint, kind, token, count, last_at, rest_until];
            tx.execute(sql, parameters).await?;
        }
        MailResult::Partly { left, due_at } => {
            let left: Vec<_> = left.iter().map(Address::as_str).collect();
            let sql = "UPDATE mail SET left_to = $4, left_count = coalesce(left_count, $5), \
                 due_at = $6, lease_node = NULL \
                 WHERE endpoint = $1 AND kind = $2 AND token = $3";
            let (left, due_at) = (left.join(" "), due_at.unix_micros());
            let parameters = params![endpoint, kind, token, left, count, due_at];
            tx.execute(sql, parameters).await?;
        }
        MailResult::Failed { due_at } => {
            let sql = "UPDATE mail SET due_at = $4, lease_node = NULL \
                 WHERE endpoint = $1 AND kind = $2 AND token = $3";
            let parameters = params![endpoint, kind, token, due_at.unix_micros()];
            tx.execute(sql, parameters).await?;
        }
    }
    Ok(())
}
