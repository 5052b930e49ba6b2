//! What happened and what is owed, from roll-ups.
//!
//! Whoever accepts or records adds to the minute (`ledger::tally`); [`fold_minutes`] sums up old
//! minutes by the hour, so each count stands in exactly one of the two tables.

mod counts;
mod owing;

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use rusqlite::{Connection, params};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::{hour_of, owner_cell};
use watchfire_store::{
    Activity, ActivityCounts, ActivityPoint, AppKey, EndpointHour, EndpointKey, EndpointStanding,
    EventTypeHour, OwedNow, Owner, Step, StoreResult,
};

use self::counts::{COUNTS, read};
use crate::configuration::belongs;
use crate::fault::FaultResult;
use crate::open::Sqlite;
use crate::row::Columns;
use crate::writer::Tx;

pub(crate) use counts::{Table, add};

const MINUTES_PER_HOUR: i64 = 60;

#[cfg(test)]
mod tests;

#[async_trait]
impl Activity for Sqlite {
    async fn activity(
        &self,
        of: &Owner,
        span: (Timestamp, Timestamp),
        step: Step,
    ) -> StoreResult<Vec<ActivityPoint>> {
        let owner = owner_cell(of);
        self.readers
            .run(move |connection| points(connection, &owner, span, step))
            .await
    }

    async fn endpoint_hours(
        &self,
        app: AppKey,
        endpoints: Vec<EndpointKey>,
        span: (Timestamp, Timestamp),
    ) -> StoreResult<Vec<EndpointHour>> {
        self.readers
            .run(move |connection| endpoint_hours(connection, app, endpoints, span))
            .await
    }

    async fn event_type_hours(
        &self,
        app: AppKey,
        span: (Timestamp, Timestamp),
    ) -> StoreResult<Vec<EventTypeHour>> {
        self.readers
            .run(move |connection| event_type_hours(connection, app, span))
            .await
    }

    async fn owed_now(&self, of: &Owner) -> StoreResult<OwedNow> {
        let of = of.clone();
        self.readers
            .run(move |connection| owing::now(connection, &of))
            .await
    }

    async fn owed_by_all(&self) -> StoreResult<OwedNow> {
        self.readers.run(owing::by_all).await
    }

    async fn standings(
        &self,
        app: AppKey,
        endpoints: Vec<EndpointKey>,
    ) -> StoreResult<BTreeMap<EndpointKey, EndpointStanding>> {
        self.readers
            .run(move |connection| owing::standings(connection, app, endpoints))
            .await
    }
}

/// The steps that begin within a span; none if it is empty.
fn slots(step: Step, (since, until): (Timestamp, Timestamp)) -> (i64, i64) {
    let first = step.slot_of(since);
    let first = if step.begin_of(first) < since {
        first + 1
    } else {
        first
    };
    let last = step.slot_of(until);
    let last = if step.begin_of(last) < until {
        last
    } else {
        last - 1
    };
    (first, last)
}

fn points(
    connection: &Connection,
    owner: &str,
    span: (Timestamp, Timestamp),
    step: Step,
) -> FaultResult<Vec<ActivityPoint>> {
    let (first, last) = slots(step, span);
    let mut by_slot = BTreeMap::new();
    match step {
        Step::Minute => minutes(connection, owner, (first, last), |minute, counts| {
            by_slot.insert(minute, counts);
        })?,
        Step::Hour => {
            hours(connection, owner, (first, last), &mut by_slot)?;
            let within = (
                first * MINUTES_PER_HOUR,
                last * MINUTES_PER_HOUR + (MINUTES_PER_HOUR - 1),
            );
            minutes(connection, owner, within, |minute, counts| {
                let hour = minute.div_euclid(MINUTES_PER_HOUR);
                by_slot
                    .entry(hour)
                    .or_insert_with(ActivityCounts::default)
                    .merge(&counts);
            })?;
        }
    }
    let point = |(slot, counts)| ActivityPoint {
        begins_at: step.begin_of(slot),
        counts,
    };
    Ok(by_slot.into_iter().map(point).collect())
}

/// Looks each minute up: those of all owners stand together.
fn minutes(
    connection: &Connection,
    owner: &str,
    (first, last): (i64, i64),
    mut found: impl FnMut(i64, ActivityCounts),
) -> FaultResult<()> {
    let sql = "SELECT (SELECT min(minute) FROM activity_minute), \
         (SELECT max(minute) FROM activity_minute)";
    let ends: (Option<i64>, Option<i64>) = connection
        .prepare_cached(sql)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(begins), Some(ends)) = ends else {
        return Ok(());
    };
    let sql = format!("SELECT {COUNTS} FROM activity_minute WHERE minute = ?1 AND owner = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    for minute in first.max(begins)..=last.min(ends) {
        let mut rows = statement.query(params![minute, owner])?;
        if let Some(row) = rows.next()? {
            found(minute, read(row, 0)?);
        }
    }
    Ok(())
}

fn hours(
    connection: &Connection,
    owner: &str,
    (first, last): (i64, i64),
    found: &mut BTreeMap<i64, ActivityCounts>,
) -> FaultResult<()> {
    let sql = format!(
        "SELECT {COUNTS}, hour FROM activity_hour WHERE owner = ?1 AND hour BETWEEN ?2 AND ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![owner, first, last])?;
    while let Some(row) = rows.next()? {
        found.insert(row.get("hour")?, read(row, 0)?);
    }
    Ok(())
}

fn endpoint_hours(
    connection: &Connection,
    app: AppKey,
    mut endpoints: Vec<EndpointKey>,
    span: (Timestamp, Timestamp),
) -> FaultResult<Vec<EndpointHour>> {
    endpoints.sort_unstable();
    endpoints.dedup();
    let (first, last) = slots(Step::Hour, span);
    let sql = "SELECT endpoint, hour, delivered, failed, cancelled FROM endpoint_hour \
         WHERE endpoint = ?1 AND hour BETWEEN ?2 AND ?3 ORDER BY hour";
    let mut statement = connection.prepare_cached(sql)?;
    let mut hours = Vec::new();
    for endpoint in endpoints {
        if !belongs(connection, app, endpoint)? {
            continue;
        }
        let mut rows = statement.query(params![endpoint.0, first, last])?;
        while let Some(row) = rows.next()? {
            let mut columns = Columns::of(row, "endpoint_hour");
            let mut next = |column| columns.get::<i64>(column);
            let endpoint = EndpointKey(next("endpoint")?);
            let begins_at = Step::Hour.begin_of(next("hour")?);
            hours.push(EndpointHour {
                endpoint,
                begins_at,
                delivered: next("delivered")?.unsigned_abs(),
                failed: next("failed")?.unsigned_abs(),
                cancelled: next("cancelled")?.unsigned_abs(),
            });
        }
    }
    Ok(hours)
}

fn event_type_hours(
    connection: &Connection,
    app: AppKey,
    span: (Timestamp, Timestamp),
) -> FaultResult<Vec<EventTypeHour>> {
    let (first, last) = slots(Step::Hour, span);
    let sql = "SELECT event_type, hour, accepted FROM event_type_hour \
         WHERE app = ?1 AND hour BETWEEN ?2 AND ?3 ORDER BY hour DESC, event_type DESC LIMIT ?4";
    let mut statement = connection.prepare_cached(sql)?;
    let most = i64::try_from(limit::EVENT_TYPE_HOURS_MAX).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![app.0, first, last, most])?;
    let mut hours = Vec::new();
    while let Some(row) = rows.next()? {
        let mut columns = Columns::of(row, "event_type_hour");
        hours.push(EventTypeHour {
            event_type: columns.parsed("event_type")?,
            begins_at: Step::Hour.begin_of(columns.get("hour")?),
            accepted: columns.get::<i64>("accepted")?.unsigned_abs(),
        });
    }
    Ok(hours)
}

/// Sums up old minutes by the hour, so many at most. Returns how many rows were touched.
pub(crate) fn fold_minutes(tx: &Tx<'_>, now: Timestamp, at_most: i64) -> FaultResult<usize> {
    // Whole hours, so that each is summed up at once where that is possible.
    let cutoff = hour_of(now - limit::ACTIVITY_MINUTES) * MINUTES_PER_HOUR;
    let sql = format!(
        "SELECT {COUNTS}, minute, owner FROM activity_minute WHERE minute < ?1 \
         ORDER BY minute, owner LIMIT ?2"
    );
    let mut statement = tx.prepare(&sql)?;
    let mut rows = statement.query(params![cutoff, at_most])?;
    let mut by_hour: HashMap<(i64, String), ActivityCounts> = HashMap::new();
    let mut folded: Vec<(i64, String)> = Vec::new();
    while let Some(row) = rows.next()? {
        let (minute, owner): (i64, String) = (row.get("minute")?, row.get("owner")?);
        let hour = minute.div_euclid(MINUTES_PER_HOUR);
        by_hour
            .entry((hour, owner.clone()))
            .or_default()
            .merge(&read(row, 0)?);
        folded.push((minute, owner));
    }
    for ((hour, owner), counts) in &by_hour {
        add(tx, Table::Hour, (*hour, owner), counts)?;
    }
    for (minute, owner) in &folded {
        let sql = "DELETE FROM activity_minute WHERE minute = ?1 AND owner = ?2";
        tx.execute(sql, params![minute, owner])?;
    }
    Ok(folded.len())
}
