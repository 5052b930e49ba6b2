//! Mail: notices that are yet to be told to people, and what rests after it was.

use async_trait::async_trait;
use rusqlite::{Row, params};
use watchfire_domain::id::{ApplicationId, EndpointId, NoticeId};
use watchfire_domain::limit;
use watchfire_domain::mail::Address;
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::Code as _;
use watchfire_store::{
    DueMail, EndpointKey, InboxPlace, Mail, MailClaim, MailEnd, MailResult, NewNotice, StoreResult,
};

use crate::fault::{Fault, FaultResult};
use crate::nodes;
use crate::open::Sqlite;
use crate::row::Columns;
use crate::writer::{Rows, Tx};

#[async_trait]
impl Mail for Sqlite {
    async fn claim_mail(&self, claim: MailClaim) -> StoreResult<Vec<DueMail>> {
        let rows = Rows(claim.limit);
        let work = move |tx: &mut Tx<'_>| claim_due(tx, &claim);
        Ok(self.writer.run::<_, Fault, _>(rows, work).await?)
    }

    async fn end_mail(&self, ends: Vec<MailEnd>) -> StoreResult<()> {
        let rows = Rows(ends.len());
        let work = move |tx: &mut Tx<'_>| ends.iter().try_for_each(|end| write_end(tx, end));
        Ok(self.writer.run::<_, Fault, _>(rows, work).await?)
    }

    async fn next_mail_at(&self) -> StoreResult<Option<Timestamp>> {
        let look = |connection: &rusqlite::Connection| -> FaultResult<_> {
            let sql = "SELECT min(due_at) FROM mail WHERE count > 0";
            let at: Option<i64> = connection
                .prepare_cached(sql)?
                .query_row([], |row| row.get(0))?;
            Ok(at.map(Timestamp::from_unix_micros))
        };
        self.readers.run(look).await
    }
}

/// Counts a notice that is to be mailed.
pub(crate) fn count(
    tx: &Tx<'_>,
    notice: &NewNotice,
    place: &InboxPlace,
    mail_at: Timestamp,
) -> FaultResult<()> {
    let sql = "INSERT INTO mail (endpoint, kind, id, org, application, endpoint_id, count, \
         first_at, last_at, data, due_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7, ?7, ?8, ?9) \
         ON CONFLICT (endpoint, kind) DO UPDATE SET id = excluded.id, \
         first_at = iif(count = 0, excluded.first_at, first_at), \
         last_at = max(last_at, excluded.last_at), data = excluded.data, \
         due_at = iif(count = 0, max(due_at, excluded.due_at), due_at), count = count + 1";
    tx.prepare(sql)?.execute(params![
        place.endpoint.0,
        notice.kind.code(),
        notice.id.ksuid().as_bytes(),
        notice.org.as_str(),
        place.application.ksuid().as_bytes(),
        place.endpoint_id.ksuid().as_bytes(),
        notice.at.unix_micros(),
        notice.data,
        mail_at.unix_micros(),
    ])?;
    Ok(())
}

fn claim_due(tx: &Tx<'_>, claim: &MailClaim) -> FaultResult<Vec<DueMail>> {
    let node = nodes::key_of(tx.connection(), &claim.life)?;
    let now = claim.now.unix_micros();
    // What has rested long enough has nothing more to say.
    let sql = "DELETE FROM mail WHERE (endpoint, kind) IN \
         (SELECT endpoint, kind FROM mail WHERE count = 0 AND due_at <= ?1 LIMIT ?2)";
    let most = i64::try_from(limit::COMMIT_ROWS_MAX).unwrap_or(i64::MAX);
    tx.execute(sql, params![now, most])?;
    let sql = "SELECT endpoint, kind, token, id, org, application, endpoint_id, count, first_at, \
         last_at, data, tries, left_to FROM mail WHERE due_at <= ?1 AND count > 0 \
         ORDER BY due_at LIMIT ?2";
    let wanted = i64::try_from(claim.limit).unwrap_or(i64::MAX);
    let mut statement = tx.prepare(sql)?;
    let mut rows = statement.query(params![now, wanted])?;
    let mut due = Vec::new();
    while let Some(row) = rows.next()? {
        due.push(read(row)?);
    }
    let sql = "UPDATE mail SET due_at = ?3, lease_node = ?4, token = token + 1, \
         tries = tries + 1 WHERE endpoint = ?1 AND kind = ?2";
    for mail in &mut due {
        let until = claim.lease_until.unix_micros();
        tx.execute(sql, params![mail.endpoint.0, mail.kind.code(), until, node])?;
        mail.token += 1;
        mail.tries += 1;
    }
    Ok(due)
}

/// What a node had claimed is due since its last notice.
pub(crate) fn end_claims(tx: &Tx<'_>, node: i64) -> FaultResult<()> {
    let sql = "UPDATE mail SET due_at = min(due_at, last_at), lease_node = NULL \
         WHERE lease_node = ?1";
    tx.execute(sql, [node])?;
    Ok(())
}

fn read(row: &Row<'_>) -> FaultResult<DueMail> {
    let mut columns = Columns::of(row, "mail");
    Ok(DueMail {
        endpoint: EndpointKey(columns.get("endpoint")?),
        kind: columns.code("kind")?,
        token: columns.get("token")?,
        id: NoticeId::from_ksuid(columns.ksuid("id")?),
        org: columns.parsed("org")?,
        application: ApplicationId::from_ksuid(columns.ksuid("application")?),
        endpoint_id: EndpointId::from_ksuid(columns.ksuid("endpoint_id")?),
        count: columns.get::<i64>("count")?.unsigned_abs(),
        first_at: columns.timestamp("first_at")?,
        last_at: columns.timestamp("last_at")?,
        data: columns.get("data")?,
        tries: columns.get("tries")?,
        left: addresses(columns.get("left_to")?),
    })
}

/// Addresses hold no spaces.
fn addresses(text: Option<String>) -> Vec<Address> {
    let text = text.unwrap_or_default();
    text.split(' ').filter_map(|one| one.parse().ok()).collect()
}

fn write_end(tx: &Tx<'_>, end: &MailEnd) -> FaultResult<()> {
    let (endpoint, kind) = (end.endpoint.0, end.kind.code());
    match &end.result {
        // Those it was left to were told of the first only; what came later is told to all.
        MailResult::Told { rest_until } => {
            let sql = "UPDATE mail SET count = count - coalesce(left_count, ?4), first_at = ?5, \
                 due_at = ?6, lease_node = NULL, tries = 0, left_to = NULL, left_count = NULL \
                 WHERE endpoint = ?1 AND kind = ?2 AND token = ?3";
            tx.execute(
                sql,
                params![
                    endpoint,
                    kind,
                    end.token,
                    i64::try_from(end.count).unwrap_or(i64::MAX),
                    end.last_at.unix_micros(),
                    rest_until.unix_micros(),
                ],
            )?;
        }
        MailResult::Partly { left, due_at } => {
            let left: Vec<_> = left.iter().map(Address::as_str).collect();
            let sql = "UPDATE mail SET left_to = ?4, left_count = coalesce(left_count, ?5), \
                 due_at = ?6, lease_node = NULL \
                 WHERE endpoint = ?1 AND kind = ?2 AND token = ?3";
            tx.execute(
                sql,
                params![
                    endpoint,
                    kind,
                    end.token,
                    left.join(" "),
                    i64::try_from(end.count).unwrap_or(i64::MAX),
                    due_at.unix_micros(),
                ],
            )?;
        }
        MailResult::Failed { due_at } => {
            let sql = "UPDATE mail SET due_at = ?4, lease_node = NULL \
                 WHERE endpoint = ?1 AND kind = ?2 AND token = ?3";
            tx.execute(
                sql,
                params![endpoint, kind, end.token, due_at.unix_micros()],
            )?;
        }
    }
    Ok(())
}
