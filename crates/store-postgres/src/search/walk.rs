//! Which messages a search looks at: those on the index that leaves out most.
//!
//! Newest first, a stretch at a time. What an application's endpoints have on indexes of their own
//! is merged: the first messages of each hold the first messages of all, and with each comes which
//! of the endpoints it is about.

use std::collections::BTreeMap;
use std::time::Duration;

use watchfire_domain::id::{Ksuid, MessageId};
use watchfire_store::{AppKey, DeliveryFilter, DeliveryPlace, DeliveryStatus, EndpointKey, Seq};

use crate::fault::FaultResult;
use crate::message::bytes_of;
use crate::parameter::params;
use crate::row::{Columns, at_most};
use crate::session::Tx;

/// Ids tell the time in steps of 1/256 s: a message may be older than its id's step ends.
const ID_STEP: Duration = Duration::from_millis(4);
/// Endpoints whose indexes are merged; an application with more is walked by its messages.
const MERGED_MAX: usize = 256;

/// A message to look at.
pub(super) struct Candidate {
    pub(super) id: MessageId,
    pub(super) seq: Seq,
    /// The endpoints it is about; all it matched or went to if absent.
    pub(super) endpoints: Option<Vec<EndpointKey>>,
}

/// A walk over messages.
pub(super) struct Walk {
    source: Source,
    /// Ids below this one are looked at.
    end: Ksuid,
    /// Ids from this one on are looked at.
    begin: Ksuid,
}

/// Where the messages stand in order.
enum Source {
    Application(AppKey),
    /// In the order of their places, below this one.
    Record {
        app: AppKey,
        key: String,
        below: i64,
    },
    Merged {
        tables: &'static [(&'static str, &'static str)],
        endpoints: Vec<EndpointKey>,
    },
}

const NOTED: (&str, &str) = ("attempt", " AND outcome > 0");
const ATTEMPTED: (&str, &str) = ("attempt", "");
const OWED: (&str, &str) = ("owed", "");

/// The tables whose indexes by endpoint hold all that a filter asks for; none if only the
/// application's own index does.
fn tables(filter: &DeliveryFilter) -> &'static [(&'static str, &'static str)] {
    let noted = filter.status_class.is_some_and(|class| class != 2);
    match filter.status {
        Some(DeliveryStatus::Pending) => &[OWED],
        Some(DeliveryStatus::Failed | DeliveryStatus::Cancelled) => &[NOTED],
        None if noted => &[NOTED],
        Some(DeliveryStatus::Delivered) | None if filter.endpoint.is_some() => &[ATTEMPTED, OWED],
        Some(DeliveryStatus::Sending | DeliveryStatus::Delivered) | None => &[],
    }
}

impl Walk {
    /// From the filter's time, and below the place, whose own message is looked at again.
    pub(super) async fn of(
        tx: &Tx,
        app: AppKey,
        filter: &DeliveryFilter,
        from: Option<DeliveryPlace>,
    ) -> FaultResult<Self> {
        let until = filter
            .until
            .map_or(Ksuid::MAX, |until| Ksuid::first_at(until + ID_STEP));
        let place = from.map_or(Ksuid::MAX, |place| place.message.ksuid().next());
        Ok(Self {
            source: Source::of(tx, app, filter, from).await?,
            end: until.min(place),
            begin: filter.since.map_or(Ksuid::MIN, Ksuid::first_at),
        })
    }

    /// The next messages, `limit` so many at most; none at the end.
    pub(super) async fn next(&mut self, tx: &Tx, limit: usize) -> FaultResult<Vec<Candidate>> {
        let ids = (self.end, self.begin);
        let candidates = match &mut self.source {
            Source::Application(app) => of_application(tx, *app, ids, limit).await?,
            Source::Record { app, key, below } => {
                let found = of_record(tx, (*app, key), *below, limit).await?;
                *below = found.last().map_or(0, |candidate| candidate.seq.0);
                let begin = self.begin;
                let young = found.into_iter();
                young
                    .take_while(|candidate| candidate.id.ksuid() >= begin)
                    .collect()
            }
            Source::Merged { tables, endpoints } => {
                merged(tx, (tables, endpoints), ids, limit).await?
            }
        };
        if let Some(last) = candidates.last() {
            self.end = last.id.ksuid();
        }
        Ok(candidates)
    }
}

impl Source {
    async fn of(
        tx: &Tx,
        app: AppKey,
        filter: &DeliveryFilter,
        from: Option<DeliveryPlace>,
    ) -> FaultResult<Self> {
        if let Some(key) = &filter.record_key {
            return Ok(Self::Record {
                app,
                key: key.clone(),
                below: behind(tx, app, from).await?,
            });
        }
        let tables = tables(filter);
        if !tables.is_empty()
            && let Some(endpoints) = walked_endpoints(tx, app, filter).await?
        {
            return Ok(Self::Merged { tables, endpoints });
        }
        Ok(Self::Application(app))
    }
}

/// The endpoints to merge: the one that is asked for, or all the application has or had, unless
/// those are so many that its messages are the shorter way.
async fn walked_endpoints(
    tx: &Tx,
    app: AppKey,
    filter: &DeliveryFilter,
) -> FaultResult<Option<Vec<EndpointKey>>> {
    if let Some(endpoint) = filter.endpoint {
        return Ok(Some(vec![endpoint]));
    }
    let sql = "SELECT key FROM endpoint WHERE app = $1 LIMIT $2";
    let rows = tx
        .query(sql, params![app.0, at_most(MERGED_MAX + 1)])
        .await?;
    if rows.len() > MERGED_MAX {
        return Ok(None);
    }
    let keys = rows
        .iter()
        .map(|row| Columns::of(row, "endpoint").get("key").map(EndpointKey));
    Ok(Some(keys.collect::<FaultResult<_>>()?))
}

/// Messages of a record stand in the order of their places: this is the one behind a message. If
/// the message is gone, those before it have been removed as well.
async fn behind(tx: &Tx, app: AppKey, from: Option<DeliveryPlace>) -> FaultResult<i64> {
    let Some(from) = from else {
        return Ok(i64::MAX);
    };
    let sql = "SELECT seq + 1 FROM message WHERE app = $1 AND id = $2";
    let id = bytes_of(from.message.ksuid());
    let row = tx.first(sql, params![app.0, id]).await?;
    row.map_or(Ok(0), |row| Columns::of(&row, "message").get("seq"))
}

async fn of_application(
    tx: &Tx,
    app: AppKey,
    (end, begin): (Ksuid, Ksuid),
    limit: usize,
) -> FaultResult<Vec<Candidate>> {
    let sql = "SELECT id, seq FROM message WHERE app = $1 AND id < $2 AND id >= $3 \
         ORDER BY id DESC LIMIT $4";
    let parameters = params![app.0, bytes_of(end), bytes_of(begin), at_most(limit)];
    let rows = tx.query(sql, parameters).await?;
    rows.iter().map(read).collect()
}

async fn of_record(
    tx: &Tx,
    (app, key): (AppKey, &str),
    below: i64,
    limit: usize,
) -> FaultResult<Vec<Candidate>> {
    let sql = "SELECT id, seq FROM message WHERE app = $1 AND record_key = $2 \
         AND record_key IS NOT NULL AND seq < $3 ORDER BY seq DESC LIMIT $4";
    let parameters = params![app.0, key.as_bytes(), below, at_most(limit)];
    let rows = tx.query(sql, parameters).await?;
    rows.iter().map(read).collect()
}

fn read(row: &tokio_postgres::Row) -> FaultResult<Candidate> {
    let mut columns = Columns::of(row, "message");
    Ok(Candidate {
        id: MessageId::from_ksuid(columns.ksuid("id")?),
        seq: Seq(columns.get("seq")?),
        endpoints: None,
    })
}

async fn merged(
    tx: &Tx,
    (tables, endpoints): (&[(&str, &str)], &[EndpointKey]),
    (end, begin): (Ksuid, Ksuid),
    limit: usize,
) -> FaultResult<Vec<Candidate>> {
    let keys: Vec<i64> = endpoints.iter().map(|key| key.0).collect();
    let mut found: BTreeMap<Ksuid, (Seq, Vec<EndpointKey>)> = BTreeMap::new();
    for (table, condition) in tables {
        let sql = format!(
            "SELECT want.endpoint, f.message, f.seq FROM unnest($1) AS want (endpoint) \
             CROSS JOIN LATERAL (SELECT DISTINCT ON (message) message, seq FROM {table} \
             WHERE endpoint = want.endpoint AND message < $2 AND message >= $3{condition} \
             ORDER BY message DESC LIMIT $4) f"
        );
        let parameters = params![keys.clone(), bytes_of(end), bytes_of(begin), at_most(limit)];
        for row in &tx.query(&sql, parameters).await? {
            let mut columns = Columns::of(row, "attempt");
            let endpoint = EndpointKey(columns.get("endpoint")?);
            let id = columns.ksuid("message")?;
            let seq = Seq(columns.get("seq")?);
            let (_, about) = found.entry(id).or_insert_with(|| (seq, Vec::new()));
            about.push(endpoint);
        }
    }
    let newest = found.into_iter().rev().take(limit);
    let candidate = |(id, (seq, mut endpoints)): (Ksuid, (Seq, Vec<EndpointKey>))| {
        endpoints.sort_unstable();
        endpoints.dedup();
        Candidate {
            id: MessageId::from_ksuid(id),
            seq,
            endpoints: Some(endpoints),
        }
    };
    Ok(newest.map(candidate).collect())
}
