//! Rows of `activity_minute` and `activity_hour`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use watchfire_store::encoding::{ACTIVITY_CELLS, activity_cells, activity_of};
use watchfire_store::{ActivityCounts, AppKey};

use crate::fault::FaultResult;
use crate::parameter::Parameter;
use crate::row::Columns;
use crate::session::Tx;

/// The columns of counts, in the order [`read`] expects.
pub(super) const COUNTS: &str = "accepted, delivered, exhausted, skipped, cancelled, attempts_failed, lag00, \
     lag01, lag02, lag03, lag04, lag05, lag06, lag07, lag08, lag09, lag10, lag11, \
     lag12, lag13, lag14, lag15, lag16, lag17, lag18";

/// Counts column by column.
#[derive(Default)]
struct Cells([Vec<i64>; ACTIVITY_CELLS]);

impl Cells {
    fn push(&mut self, counts: &ActivityCounts) {
        for (column, count) in self.0.iter_mut().zip(activity_cells(counts)) {
            column.push(count);
        }
    }

    /// Behind other parameters.
    fn parameters<'c>(&'c self, first: &[&'c dyn Parameter]) -> Vec<&'c dyn Parameter> {
        let mut all = first.to_vec();
        all.extend(self.0.iter().map(|column| column as &dyn Parameter));
        all
    }
}

/// Adds to minutes of applications, and to those of their organizations, in the rows of one writer.
pub(crate) async fn add_minutes(
    tx: &Tx,
    part: i64,
    activity: &BTreeMap<(AppKey, i64), ActivityCounts>,
) -> FaultResult<()> {
    if activity.is_empty() {
        return Ok(());
    }
    let mut apps = Vec::new();
    let mut minutes = Vec::new();
    let mut cells = Cells::default();
    for ((app, minute), counts) in activity {
        apps.push(app.0);
        minutes.push(*minute);
        cells.push(counts);
    }
    let sums = each_column(|column| format!("sum(new.{column})::bigint"));
    let sql = format!(
        "WITH new AS (SELECT * FROM unnest({}) AS new (app, minute, {COUNTS})) \
         INSERT INTO activity_minute AS a (owner, minute, part, {COUNTS}) \
         SELECT owner, minute, $1, {COUNTS} FROM (\
         SELECT 'a:' || app AS owner, minute, {COUNTS} FROM new \
         UNION ALL SELECT 'o:' || p.org, new.minute, {sums} \
         FROM new JOIN application p ON p.key = new.app GROUP BY 1, 2) AS sums (owner, minute, \
         {COUNTS}) ORDER BY owner, minute \
         ON CONFLICT (owner, minute, part) DO UPDATE SET {}",
        numbers(2, 2 + ACTIVITY_CELLS),
        additions()
    );
    let parameters = cells.parameters(&[&part, &apps, &minutes]);
    tx.execute(&sql, &parameters).await?;
    Ok(())
}

pub(super) async fn add_hours(
    tx: &Tx,
    by_hour: &BTreeMap<(String, i64), ActivityCounts>,
) -> FaultResult<()> {
    if by_hour.is_empty() {
        return Ok(());
    }
    let mut owners: Vec<&str> = Vec::new();
    let mut hours = Vec::new();
    let mut cells = Cells::default();
    for ((owner, hour), counts) in by_hour {
        owners.push(owner);
        hours.push(*hour);
        cells.push(counts);
    }
    let sql = format!(
        "INSERT INTO activity_hour AS a (owner, hour, {COUNTS}) \
         SELECT * FROM unnest({}) AS new (owner, hour, {COUNTS}) ORDER BY owner, hour \
         ON CONFLICT (owner, hour) DO UPDATE SET {}",
        numbers(1, 2 + ACTIVITY_CELLS),
        additions()
    );
    tx.execute(&sql, &cells.parameters(&[&owners, &hours]))
        .await?;
    Ok(())
}

/// So many parameters from a number on.
fn numbers(first: usize, count: usize) -> String {
    let mut text = String::new();
    for number in first..first + count {
        let comma = if number > first { ", " } else { "" };
        // Writing to a text can't fail.
        write!(text, "{comma}${number}").unwrap_or_default();
    }
    text
}

fn additions() -> String {
    each_column(|column| format!("{column} = a.{column} + excluded.{column}"))
}

fn each_column(text: impl Fn(&str) -> String) -> String {
    let columns: Vec<String> = COUNTS.split(", ").map(text).collect();
    columns.join(", ")
}

/// Reads [`COUNTS`].
pub(super) fn read(columns: &mut Columns<'_>) -> FaultResult<ActivityCounts> {
    activity_of(|column| columns.number(column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_its_column() {
        assert_eq!(COUNTS.split(", ").count(), ACTIVITY_CELLS);
        assert_eq!(numbers(2, 3), "$2, $3, $4");
    }
}
