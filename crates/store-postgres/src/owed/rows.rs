//! Reads the rows of a book, and writes back what became of them.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Row as SqlRow;
use watchfire_domain::id::MessageId;
use watchfire_domain::time::Timestamp;
use watchfire_store::{EndpointKey, FenceToken, Seq, Series};

use super::{Book, Lease, Place, Row};
use crate::fault::FaultResult;
use crate::message::bytes_of;
use crate::parameter::params;
use crate::row::{Columns, at_most, small_code};
use crate::session::Tx;

/// Locks the rows of `owed` of some endpoints, in their order, until the transaction ends.
pub(crate) async fn lock_endpoints(tx: &Tx, endpoints: &BTreeSet<EndpointKey>) -> FaultResult<()> {
    if endpoints.is_empty() {
        return Ok(());
    }
    let keys: Vec<i64> = endpoints.iter().map(|key| key.0).collect();
    let lock = "SELECT endpoint FROM endpoint_owed WHERE endpoint = ANY($1) \
         ORDER BY endpoint FOR NO KEY UPDATE";
    if tx.query(lock, params![keys]).await?.len() == keys.len() {
        return Ok(());
    }
    let sql = "INSERT INTO endpoint_owed (endpoint, owed) \
         SELECT key, 0 FROM unnest($1) AS new (key) ORDER BY key ON CONFLICT DO NOTHING";
    tx.execute(sql, params![keys]).await?;
    tx.query(lock, params![keys]).await?;
    Ok(())
}

/// What a batch may touch.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    places: BTreeSet<Place>,
    /// For each record, how many of its rows the batch may remove.
    records: BTreeMap<(EndpointKey, i64), usize>,
    endpoints: BTreeSet<EndpointKey>,
}

impl Wanted {
    pub(crate) fn delivery(&mut self, place: Place, record: Option<i64>) {
        self.places.insert(place);
        self.endpoints.insert(place.0);
        if let Some(record) = record {
            *self.records.entry((place.0, record)).or_default() += 1;
        }
    }

    /// A delivery of a message that is stored only now: it can't be there yet.
    pub(crate) fn new_delivery(&mut self, endpoint: EndpointKey, record: Option<i64>) {
        self.endpoints.insert(endpoint);
        if let Some(record) = record {
            self.records.entry((endpoint, record)).or_default();
        }
    }
}

const COLUMNS: &str = "o.seq, o.endpoint, o.message, o.due_at, o.reason, o.trigger, o.attempts, \
     o.stale, o.once, o.urgency, o.record, o.lease_node, o.lease_until, o.lease_token, o.again_at";

impl Book {
    /// Locks the endpoints and reads what the batch may touch.
    pub(crate) async fn open(tx: &Tx, wanted: &Wanted) -> FaultResult<Self> {
        let mut book = Self::default();
        if wanted.endpoints.is_empty() {
            return Ok(book);
        }
        lock_endpoints(tx, &wanted.endpoints).await?;
        book.read_places(tx, wanted).await?;
        book.read_records(tx, &wanted.records).await?;
        Ok(book)
    }

    async fn read_places(&mut self, tx: &Tx, wanted: &Wanted) -> FaultResult<()> {
        if wanted.places.is_empty() {
            return Ok(());
        }
        let endpoints: Vec<i64> = wanted.places.iter().map(|place| place.0.0).collect();
        let seqs: Vec<i64> = wanted.places.iter().map(|place| place.1.0).collect();
        let sql = format!(
            "SELECT {COLUMNS} FROM unnest($1, $2) AS want (endpoint, seq) \
             JOIN owed o ON o.seq = want.seq AND o.endpoint = want.endpoint"
        );
        let rows = tx.query(&sql, params![endpoints, seqs]).await?;
        rows.iter().try_for_each(|row| self.read(row))
    }

    /// Reads the first rows of the records that the rows in the book are about: for a batch that
    /// removes rows without knowing their records.
    pub(crate) async fn learn_records(&mut self, tx: &Tx) -> FaultResult<()> {
        let mut records = BTreeMap::new();
        for ((endpoint, _), row) in &self.rows {
            if let Some(record) = row.as_ref().and_then(|row| row.record) {
                *records.entry((*endpoint, record)).or_default() += 1;
            }
        }
        self.read_records(tx, &records).await
    }

    async fn read_records(
        &mut self,
        tx: &Tx,
        records: &BTreeMap<(EndpointKey, i64), usize>,
    ) -> FaultResult<()> {
        if records.is_empty() {
            return Ok(());
        }
        let endpoints: Vec<i64> = records.keys().map(|key| key.0.0).collect();
        let keys: Vec<i64> = records.keys().map(|key| key.1).collect();
        let most = records.values().map(|removed| at_most(removed + 1));
        let most: Vec<i64> = most.collect();
        let sql = format!(
            "SELECT {COLUMNS} FROM unnest($1, $2, $3) AS want (endpoint, record, most) \
             CROSS JOIN LATERAL (SELECT * FROM owed WHERE endpoint = want.endpoint \
             AND record = want.record ORDER BY seq LIMIT want.most) o"
        );
        let rows = tx.query(&sql, params![endpoints, keys, most]).await?;
        rows.iter().try_for_each(|row| self.read(row))
    }

    fn read(&mut self, row: &SqlRow) -> FaultResult<()> {
        let mut columns = Columns::of(row, "owed");
        let seq = Seq(columns.get("seq")?);
        let endpoint = EndpointKey(columns.get("endpoint")?);
        let read = Row {
            message: MessageId::from_ksuid(columns.ksuid("message")?),
            due_at: columns.timestamp_if("due_at")?,
            reason: columns.code("reason")?,
            series: Series {
                trigger: columns.code("trigger")?,
                attempts: columns.number("attempts")?,
                stale: columns.get("stale")?,
                once: columns.get("once")?,
            },
            urgency: columns.code("urgency")?,
            record: columns.get("record")?,
            lease: read_lease(&mut columns)?,
            again_at: columns.timestamp_if("again_at")?,
        };
        self.enter((endpoint, seq), read);
        Ok(())
    }

    /// Writes back what was touched.
    pub(crate) async fn close(self, tx: &Tx) -> FaultResult<()> {
        let mut gone = Gone::default();
        let mut standing = Standing::default();
        for place in &self.touched {
            match self.rows.get(place) {
                Some(Some(row)) => standing.push(*place, row),
                Some(None) | None => gone.push(*place),
            }
        }
        gone.write(tx).await?;
        standing.write(tx).await
    }
}

fn read_lease(columns: &mut Columns<'_>) -> FaultResult<Option<Lease>> {
    let node: Option<i64> = columns.get("lease_node")?;
    let until: Option<Timestamp> = columns.timestamp_if("lease_until")?;
    let token: Option<i64> = columns.get("lease_token")?;
    // The table says that there are all three or none.
    Ok(match (node, until, token) {
        (Some(node), Some(until), Some(token)) => Some(Lease {
            node,
            until,
            token: FenceToken(token),
        }),
        _ => None,
    })
}

/// Rows to delete.
#[derive(Default)]
struct Gone {
    seqs: Vec<i64>,
    endpoints: Vec<i64>,
}

impl Gone {
    fn push(&mut self, (endpoint, seq): Place) {
        self.seqs.push(seq.0);
        self.endpoints.push(endpoint.0);
    }

    async fn write(self, tx: &Tx) -> FaultResult<()> {
        if self.seqs.is_empty() {
            return Ok(());
        }
        let sql = "DELETE FROM owed o USING unnest($1, $2) AS gone (seq, endpoint) \
             WHERE o.seq = gone.seq AND o.endpoint = gone.endpoint";
        tx.execute(sql, params![self.seqs, self.endpoints]).await?;
        Ok(())
    }
}

/// Rows to insert or replace, column by column.
#[derive(Default)]
struct Standing {
    seqs: Vec<i64>,
    endpoints: Vec<i64>,
    messages: Vec<Vec<u8>>,
    due: Vec<Option<i64>>,
    reasons: Vec<i16>,
    triggers: Vec<i16>,
    attempts: Vec<i64>,
    stale: Vec<bool>,
    once: Vec<bool>,
    urgencies: Vec<i16>,
    records: Vec<Option<i64>>,
    lease_nodes: Vec<Option<i64>>,
    lease_untils: Vec<Option<i64>>,
    lease_tokens: Vec<Option<i64>>,
    again: Vec<Option<i64>>,
}

impl Standing {
    fn push(&mut self, (endpoint, seq): Place, row: &Row) {
        self.seqs.push(seq.0);
        self.endpoints.push(endpoint.0);
        self.messages.push(bytes_of(row.message.ksuid()));
        self.due.push(row.due_at.map(Timestamp::unix_micros));
        self.reasons.push(small_code(row.reason));
        self.triggers.push(small_code(row.series.trigger));
        self.attempts.push(i64::from(row.series.attempts));
        self.stale.push(row.series.stale);
        self.once.push(row.series.once);
        self.urgencies.push(small_code(row.urgency));
        self.records.push(row.record);
        self.lease_nodes.push(row.lease.map(|lease| lease.node));
        self.lease_untils
            .push(row.lease.map(|lease| lease.until.unix_micros()));
        self.lease_tokens.push(row.lease.map(|lease| lease.token.0));
        self.again.push(row.again_at.map(Timestamp::unix_micros));
    }

    async fn write(self, tx: &Tx) -> FaultResult<()> {
        if self.seqs.is_empty() {
            return Ok(());
        }
        let sql = "INSERT INTO owed (seq, endpoint, message, due_at, reason, trigger, attempts, \
             stale, once, urgency, record, lease_node, lease_until, lease_token, again_at) \
             SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
             $15) \
             ON CONFLICT (seq, endpoint) DO UPDATE SET due_at = excluded.due_at, \
             reason = excluded.reason, trigger = excluded.trigger, attempts = excluded.attempts, \
             stale = excluded.stale, once = excluded.once, lease_node = excluded.lease_node, \
             lease_until = excluded.lease_until, lease_token = excluded.lease_token, \
             again_at = excluded.again_at";
        let parameters = params![
            self.seqs,
            self.endpoints,
            self.messages,
            self.due,
            self.reasons,
            self.triggers,
            self.attempts,
            self.stale,
            self.once,
            self.urgencies,
            self.records,
            self.lease_nodes,
            self.lease_untils,
            self.lease_tokens,
            self.again,
        ];
        tx.execute(sql, parameters).await?;
        Ok(())
    }
}
