//! All about one record: its messages in order, and what of it is owed.

use watchfire_domain::id::MessageId;
use watchfire_domain::limit;
use watchfire_store::{AppKey, EndpointKey, Range, RecordHead, Seq, StoredMessage};

use crate::configuration::{Page, ids_of};
use crate::fault::FaultResult;
use crate::history::owed_to;
use crate::message::{self, COLUMNS};
use crate::parameter::params;
use crate::row::{Columns, at_most};
use crate::session::Tx;

pub(super) async fn messages(
    tx: &Tx,
    app: AppKey,
    record_key: &str,
    range: &Range<Seq>,
) -> FaultResult<Vec<StoredMessage>> {
    let page = Page::of(range, |seq| seq.0);
    let sql = format!(
        "SELECT {COLUMNS} FROM message \
         WHERE app = $1 AND record_key = $2 AND record_key IS NOT NULL{}",
        page.sql("seq", 2)
    );
    let parameters = params![app.0, record_key.as_bytes()];
    let rows = tx.query(&sql, &page.parameters(parameters)).await?;
    rows.iter().map(message::read).collect()
}

pub(super) async fn heads(
    tx: &Tx,
    app: AppKey,
    record: i64,
    endpoints: &[EndpointKey],
) -> FaultResult<Vec<RecordHead>> {
    let own: Vec<i64> = ids_of(tx, app, endpoints)
        .await?
        .into_keys()
        .map(|key| key.0)
        .collect();
    let sql = "SELECT want.endpoint, o.seq, o.message, o.owed FROM unnest($1) AS want (endpoint) \
         CROSS JOIN LATERAL (SELECT seq, message, count(*) OVER () AS owed FROM (\
         SELECT seq, message FROM owed WHERE endpoint = want.endpoint AND record = $2 \
         AND record IS NOT NULL ORDER BY seq LIMIT $3) f ORDER BY seq LIMIT 1) o \
         ORDER BY want.endpoint";
    let most = at_most(limit::RECORD_WAITING_MAX + 1);
    let mut heads = Vec::new();
    for row in &tx.query(sql, params![own, record, most]).await? {
        let mut columns = Columns::of(row, "owed");
        let endpoint = EndpointKey(columns.get("endpoint")?);
        let seq = Seq(columns.get("seq")?);
        let message = MessageId::from_ksuid(columns.ksuid("message")?);
        let owed: usize = columns.number("owed")?;
        if let Some(view) = owed_to(tx, endpoint, &[seq]).await?.remove(&seq) {
            heads.push(RecordHead {
                seq,
                message,
                view,
                waiting: owed.saturating_sub(1),
            });
        }
    }
    Ok(heads)
}
