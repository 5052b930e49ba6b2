//! Rows of `activity_minute` and `activity_hour`.

use rusqlite::Row;
use watchfire_store::ActivityCounts;
use watchfire_store::encoding::{activity_cells, activity_of};

use crate::fault::FaultResult;
use crate::row::Columns;
use crate::writer::Tx;

/// Where counts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    Minute,
    Hour,
}

/// The columns of counts, in the order [`read`] expects.
pub(super) const COUNTS: &str = "accepted, delivered, exhausted, skipped, cancelled, attempts_failed, lag00, lag01, \
     lag02, lag03, lag04, lag05, lag06, lag07, lag08, lag09, lag10, lag11, lag12, lag13, \
     lag14, lag15, lag16, lag17, lag18";

/// Adds to what stands there, or begins it.
macro_rules! add {
    ($table:literal, $slot:literal) => {
        concat!(
            "INSERT ", "INTO ", $table, " (", $slot, ", owner, accepted, delivered, exhausted, skipped, cancelled, attempts_failed, lag00, lag01, lag02, lag03, lag04, lag05, lag06, lag07, lag08, lag09, lag10, lag11, lag12, lag13, lag14, lag15, lag16, lag17, lag18) VALUES (",
            "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27",
            ") ON CONFLICT (", $slot, ", owner) DO ", "UPDATE ", "SET ",
            "accepted = accepted + excluded.accepted, delivered = delivered + excluded.delivered, exhausted = exhausted + excluded.exhausted, skipped = skipped + excluded.skipped, cancelled = cancelled + excluded.cancelled, attempts_failed = attempts_failed + excluded.attempts_failed, lag00 = lag00 + excluded.lag00, lag01 = lag01 + excluded.lag01, lag02 = lag02 + excluded.lag02, lag03 = lag03 + excluded.lag03, lag04 = lag04 + excluded.lag04, lag05 = lag05 + excluded.lag05, lag06 = lag06 + excluded.lag06, lag07 = lag07 + excluded.lag07, lag08 = lag08 + excluded.lag08, lag09 = lag09 + excluded.lag09, lag10 = lag10 + excluded.lag10, lag11 = lag11 + excluded.lag11, lag12 = lag12 + excluded.lag12, lag13 = lag13 + excluded.lag13, lag14 = lag14 + excluded.lag14, lag15 = lag15 + excluded.lag15, lag16 = lag16 + excluded.lag16, lag17 = lag17 + excluded.lag17, lag18 = lag18 + excluded.lag18"
        )
    };
}

const ADD_TO_MINUTE: &str = add!("activity_minute", "minute");
const ADD_TO_HOUR: &str = add!("activity_hour", "hour");

pub(crate) fn add(
    tx: &Tx<'_>,
    table: Table,
    (slot, owner): (i64, &str),
    counts: &ActivityCounts,
) -> FaultResult<()> {
    let sql = match table {
        Table::Minute => ADD_TO_MINUTE,
        Table::Hour => ADD_TO_HOUR,
    };
    let mut statement = tx.prepare(sql)?;
    statement.raw_bind_parameter(1, slot)?;
    statement.raw_bind_parameter(2, owner)?;
    for (place, count) in activity_cells(counts).into_iter().enumerate() {
        statement.raw_bind_parameter(place + 3, count)?;
    }
    statement.raw_execute()?;
    Ok(())
}

/// Reads [`COUNTS`], which begin at a column.
pub(super) fn read(row: &Row<'_>, first: usize) -> FaultResult<ActivityCounts> {
    let mut columns = Columns::at(row, "activity", first);
    activity_of(|column| columns.get::<i64>(column).map(i64::unsigned_abs))
}
