//! What happened and what is owed, from roll-ups.
//!
//! Whoever accepts or records adds to the minute (`ledger::tally`), each to rows of its own;
//! [`fold_minutes`] sums up old minutes by the hour, so each count stands in exactly one of the two
//! tables.

mod counts;
mod owing;

use std::collections::BTreeMap;

use async_trait::async_trait;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::{hour_of, owner_cell};
use watchfire_store::{
    Activity, ActivityCounts, ActivityPoint, AppKey, EndpointHour, EndpointKey, EndpointStanding,
    EventTypeHour, OwedNow, Owner, Step, StoreResult,
};

use self::counts::{COUNTS, read};
use crate::fault::FaultResult;
use crate::open::Postgres;
use crate::parameter::params;
use crate::row::{Columns, at_most};
use crate::session::{Mode, Tx, in_transaction};

pub(crate) use counts::add_minutes;

const MINUTES_PER_HOUR: i64 = 60;

#[async_trait]
impl Activity for Postgres {
    async fn activity(
        &self,
        of: &Owner,
        span: (Timestamp, Timestamp),
        step: Step,
    ) -> StoreResult<Vec<ActivityPoint>> {
        let owner = owner_cell(of);
        let work = in_transaction!(self.people, Mode::Read, tx => points(&tx, &owner, span, step));
        Ok(work.await?)
    }

    async fn endpoint_hours(
        &self,
        app: AppKey,
        endpoints: Vec<EndpointKey>,
        span: (Timestamp, Timestamp),
    ) -> StoreResult<Vec<EndpointHour>> {
        let work = in_transaction!(
            self.people, Mode::Read, tx => endpoint_hours(&tx, app, &endpoints, span)
        );
        Ok(work.await?)
    }

    async fn event_type_hours(
        &self,
        app: AppKey,
        span: (Timestamp, Timestamp),
    ) -> StoreResult<Vec<EventTypeHour>> {
        let work = in_transaction!(
            self.people, Mode::Read, tx => event_type_hours(&tx, app, span)
        );
        Ok(work.await?)
    }

    async fn owed_now(&self, of: &Owner) -> StoreResult<OwedNow> {
        let work = in_transaction!(self.people, Mode::Read, tx => owing::now(&tx, of));
        Ok(work.await?)
    }

    async fn owed_by_all(&self) -> StoreResult<OwedNow> {
        let work = in_transaction!(self.people, Mode::Read, tx => owing::by_all(&tx));
        Ok(work.await?)
    }

    async fn standings(
        &self,
        app: AppKey,
        endpoints: Vec<EndpointKey>,
    ) -> StoreResult<BTreeMap<EndpointKey, EndpointStanding>> {
        let work = in_transaction!(
            self.people, Mode::Read, tx => owing::standings(&tx, app, &endpoints)
        );
        Ok(work.await?)
    }
}

/// The steps that begin within a span; none if it is empty.
fn slots(step: Step, (since, until): (Timestamp, Timestamp)) -> (i64, i64) {
    let first = step.slot_of(since);
    let first = first + i64::from(step.begin_of(first) < since);
    let last = step.slot_of(until);
    let last = last - i64::from(step.begin_of(last) >= until);
    (first, last)
}

async fn points(
    tx: &Tx,
    owner: &str,
    span: (Timestamp, Timestamp),
    step: Step,
) -> FaultResult<Vec<ActivityPoint>> {
    let (first, last) = slots(step, span);
    let by_slot = match step {
        Step::Minute => {
            let sql = format!(
                "SELECT minute, {COUNTS} FROM activity_minute \
                 WHERE owner = $1 AND minute BETWEEN $2 AND $3"
            );
            merged(tx, &sql, owner, (first, last)).await?
        }
        Step::Hour => {
            let sql = format!(
                "SELECT hour, {COUNTS} FROM activity_hour \
                 WHERE owner = $1 AND hour BETWEEN $2 AND $3 \
                 UNION ALL SELECT minute / {MINUTES_PER_HOUR}, {COUNTS} FROM activity_minute \
                 WHERE owner = $1 AND minute >= $2 * {MINUTES_PER_HOUR} \
                 AND minute < ($3 + 1) * {MINUTES_PER_HOUR}"
            );
            merged(tx, &sql, owner, (first, last)).await?
        }
    };
    let point = |(slot, counts)| ActivityPoint {
        begins_at: step.begin_of(slot),
        counts,
    };
    Ok(by_slot.into_iter().map(point).collect())
}

async fn merged(
    tx: &Tx,
    sql: &str,
    owner: &str,
    (first, last): (i64, i64),
) -> FaultResult<BTreeMap<i64, ActivityCounts>> {
    let mut by_slot: BTreeMap<i64, ActivityCounts> = BTreeMap::new();
    for row in &tx.query(sql, params![owner, first, last]).await? {
        let mut columns = Columns::of(row, "activity");
        let slot = columns.get("slot")?;
        by_slot.entry(slot).or_default().merge(&read(&mut columns)?);
    }
    Ok(by_slot)
}

async fn endpoint_hours(
    tx: &Tx,
    app: AppKey,
    endpoints: &[EndpointKey],
    span: (Timestamp, Timestamp),
) -> FaultResult<Vec<EndpointHour>> {
    let (first, last) = slots(Step::Hour, span);
    let keys: Vec<i64> = endpoints.iter().map(|key| key.0).collect();
    let sql = "SELECT h.endpoint, h.hour, h.delivered, h.failed, h.cancelled \
         FROM endpoint_hour h JOIN endpoint e ON e.key = h.endpoint \
         WHERE e.app = $1 AND e.key = ANY($2) AND h.endpoint = ANY($2) \
         AND h.hour BETWEEN $3 AND $4 ORDER BY h.endpoint, h.hour";
    let rows = tx.query(sql, params![app.0, keys, first, last]).await?;
    let hours = rows.iter().map(|row| {
        let mut columns = Columns::of(row, "endpoint_hour");
        Ok(EndpointHour {
            endpoint: EndpointKey(columns.get("endpoint")?),
            begins_at: Step::Hour.begin_of(columns.get("hour")?),
            delivered: columns.number("delivered")?,
            failed: columns.number("failed")?,
            cancelled: columns.number("cancelled")?,
        })
    });
    hours.collect()
}

async fn event_type_hours(
    tx: &Tx,
    app: AppKey,
    span: (Timestamp, Timestamp),
) -> FaultResult<Vec<EventTypeHour>> {
    let (first, last) = slots(Step::Hour, span);
    let sql = "SELECT event_type, hour, sum(accepted)::bigint FROM event_type_hour \
         WHERE app = $1 AND hour BETWEEN $2 AND $3 \
         GROUP BY hour, event_type ORDER BY hour DESC, event_type DESC LIMIT $4";
    let most = at_most(limit::EVENT_TYPE_HOURS_MAX);
    let rows = tx.query(sql, params![app.0, first, last, most]).await?;
    let hours = rows.iter().map(|row| {
        let mut columns = Columns::of(row, "event_type_hour");
        Ok(EventTypeHour {
            event_type: columns.parsed("event_type")?,
            begins_at: Step::Hour.begin_of(columns.get("hour")?),
            accepted: columns.number("accepted")?,
        })
    });
    hours.collect()
}

/// Sums up old minutes by the hour, so many at most. Returns how many rows were touched.
pub(crate) async fn fold_minutes(tx: &Tx, now: Timestamp, limit: usize) -> FaultResult<usize> {
    // Whole hours, so that each is summed up at once where that is possible.
    let cutoff = hour_of(now - limit::ACTIVITY_MINUTES) * MINUTES_PER_HOUR;
    let sql = format!(
        "DELETE FROM activity_minute WHERE (owner, minute, part) IN (\
         SELECT owner, minute, part FROM activity_minute WHERE minute < $1 \
         ORDER BY minute LIMIT $2) \
         RETURNING owner, minute / {MINUTES_PER_HOUR}, {COUNTS}"
    );
    let rows = tx.query(&sql, params![cutoff, at_most(limit)]).await?;
    let mut by_hour: BTreeMap<(String, i64), ActivityCounts> = BTreeMap::new();
    for row in &rows {
        let mut columns = Columns::of(row, "activity_minute");
        let owner = columns.get("owner")?;
        let hour = columns.get("minute")?;
        let counts = read(&mut columns)?;
        by_hour.entry((owner, hour)).or_default().merge(&counts);
    }
    counts::add_hours(tx, &by_hour).await?;
    Ok(rows.len())
}
