//! Days: each has a partition of `message` and one of `attempt`, made when its first message comes
//! and dropped whole by retention.
//!
//! A place holds its day in the upper bits, so the partition of a message and of its attempts
//! follows from its `seq`, and every look-up by `seq` touches one partition.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use watchfire_domain::time::Timestamp;
use watchfire_store::Seq;

use crate::fault::FaultResult;
use crate::migration::LOCK_SCHEMA;
use crate::parameter::params;
use crate::pool::Pool;
use crate::session::{Mode, Tx, in_transaction};

/// Bits of a place below its day: enough for fifty years of ten thousand messages a second.
const COUNTER_BITS: u32 = 44;
const SECONDS_PER_DAY: i64 = 86_400;

/// A day since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(pub(crate) i64);

impl Day {
    pub(crate) fn of(at: Timestamp) -> Self {
        Self(at.unix_seconds().div_euclid(SECONDS_PER_DAY).max(0))
    }

    pub(crate) fn of_place(seq: Seq) -> Self {
        Self(seq.0 >> COUNTER_BITS)
    }

    /// What lies before the day's first place.
    pub(crate) fn first_place(self) -> i64 {
        self.0 << COUNTER_BITS
    }

    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// `20270115`: what the names of its partitions end in.
    fn date(self) -> String {
        let (year, month, day) = civil(self.0);
        format!("{year:04}{month:02}{day:02}")
    }

    pub(crate) fn messages(self) -> String {
        format!("message_{}", self.date())
    }

    pub(crate) fn attempts(self) -> String {
        format!("attempt_{}", self.date())
    }
}

/// The date of a day since 1970, in the calendar of today.
///
/// Counts in eras of 400 years that begin in March, so that a leap day ends a year.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The days this process knows to have partitions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Days(Arc<Mutex<BTreeSet<Day>>>);

impl Days {
    pub(crate) fn knows(&self, day: Day) -> bool {
        self.0.lock().contains(&day)
    }

    /// What was known may be wrong: retention has dropped a day.
    pub(crate) fn forget(&self) {
        self.0.lock().clear();
    }

    /// Makes a day's partitions, if they are missing.
    pub(crate) async fn make(&self, pool: &Pool, day: Day) -> FaultResult<()> {
        if self.knows(day) {
            return Ok(());
        }
        in_transaction!(pool, Mode::Background, tx => make_day(&tx, day)).await?;
        let mut known = self.0.lock();
        known.insert(day);
        // A server runs for years and writes to the newest days only.
        while known.len() > DAYS_REMEMBERED {
            known.pop_first();
        }
        Ok(())
    }
}

const DAYS_REMEMBERED: usize = 32;

/// The number in a place below its day.
pub(crate) fn counter_of(seq: Seq) -> i64 {
    seq.0 & ((1 << COUNTER_BITS) - 1)
}

/// Makes a day's partitions, if they are missing.
///
/// Attaching takes a lock that stands in nobody's way, unlike creating a partition in its place.
pub(crate) async fn make_day(tx: &Tx, day: Day) -> FaultResult<()> {
    tx.query(LOCK_SCHEMA, params![]).await?;
    let sql = "INSERT INTO day (day) VALUES ($1) ON CONFLICT DO NOTHING";
    if tx.execute(sql, params![day.0]).await? == 0 {
        return Ok(());
    }
    for (table, partition) in [("message", day.messages()), ("attempt", day.attempts())] {
        let (from, to) = (day.first_place(), day.next().first_place());
        let sql = format!(
            "CREATE TABLE {partition} (LIKE {table} INCLUDING ALL); \
             ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ({from}) TO ({to})"
        );
        tx.batch(&sql).await?;
    }
    Ok(())
}

/// How long a drop waits for others to let go of the tables. Whoever comes meanwhile waits behind
/// it, so it is short; the next run tries again.
const DROP_WAIT_MS: u32 = 500;

/// Drops a day if `is_done` of it, which is asked once nobody else can write to it.
pub(crate) async fn drop_day(tx: &Tx, day: Day) -> FaultResult<bool> {
    tx.query(LOCK_SCHEMA, params![]).await?;
    let lock = format!(
        "SET LOCAL lock_timeout = {DROP_WAIT_MS}; \
         LOCK TABLE ONLY message, ONLY attempt IN ACCESS EXCLUSIVE MODE"
    );
    tx.batch(&lock).await?;
    if !is_finished(tx, day).await? {
        return Ok(false);
    }
    let (messages, attempts) = (day.messages(), day.attempts());
    tx.batch(&format!("DROP TABLE {attempts}, {messages}"))
        .await?;
    tx.execute("DELETE FROM day WHERE day = $1", params![day.0])
        .await?;
    Ok(true)
}

/// Whether all of a day's messages are settled: none is owed, and none lies above the checkpoint of
/// its node.
pub(crate) async fn is_finished(tx: &Tx, day: Day) -> FaultResult<bool> {
    let (from, to) = (day.first_place(), day.next().first_place());
    let sql = "SELECT 1 WHERE EXISTS (SELECT 1 FROM owed WHERE seq >= $1 AND seq < $2) \
         OR EXISTS (SELECT 1 FROM node n WHERE EXISTS (SELECT 1 FROM message m \
         WHERE m.node = n.key AND m.seq > n.checkpoint AND m.seq >= $1 AND m.seq < $2))";
    Ok(!tx.exists(sql, params![from, to]).await?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn days_have_the_dates_of_the_calendar() {
        for (day, date) in [
            (0, "19700101"),
            (59, "19700301"),
            (789, "19720229"),
            (11_016, "20000229"),
            (20_833, "20270115"),
            (47_540, "21000228"),
            (47_541, "21000301"),
        ] {
            assert_eq!(Day(day).date(), date);
        }
    }

    #[test]
    fn a_place_tells_its_day() {
        let midnight = Timestamp::from_unix_seconds(20_833 * SECONDS_PER_DAY);
        let day = Day::of(midnight);
        assert_eq!(day, Day(20_833));
        assert_eq!(Day::of(midnight - Duration::from_micros(1)), Day(20_832));
        assert_eq!(Day::of_place(Seq(day.first_place())), day);
        assert_eq!(Day::of_place(Seq(day.next().first_place() - 1)), day);
        assert!(day.next().first_place() > day.first_place());
    }
}
