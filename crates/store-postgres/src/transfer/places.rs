//! Places of the source become places of ours: the day in the upper bits.

use watchfire_domain::time::Timestamp;
use watchfire_store::Seq;
use watchfire_store::transfer::{Cell, Kind, Row, Table};

use crate::fault::FaultResult;
use crate::parameter::params;
use crate::partition::{Day, counter_of, make_day};
use crate::row::Columns;
use crate::session::Tx;

/// The first place of the source on each day, ascending.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<(i64, Day)>);

impl Places {
    /// What the messages that are here say.
    pub(super) async fn of(tx: &Tx) -> FaultResult<Self> {
        let mut firsts = Vec::new();
        for row in &tx
            .query("SELECT day FROM day ORDER BY day", params![])
            .await?
        {
            let day = Day(Columns::of(row, "day").get("day")?);
            let sql = "SELECT seq FROM message WHERE seq >= $1 AND seq < $2 ORDER BY seq LIMIT 1";
            let range = params![day.first_place(), day.next().first_place()];
            if let Some(row) = tx.first(sql, range).await? {
                let first = Seq(Columns::of(&row, "message").get("seq")?);
                firsts.push((counter_of(first), day));
            }
        }
        Ok(Self(firsts))
    }

    /// Takes the days of further messages to account, and makes their partitions.
    pub(super) async fn extend(
        &mut self,
        tx: &Tx,
        table: &Table,
        messages: &[Row],
    ) -> FaultResult<()> {
        let (seq, accepted_at) = (table.place_of("seq"), table.place_of("accepted_at"));
        for message in messages {
            let (Some(seq), Some(at)) = (message[seq].integer(), message[accepted_at].integer())
            else {
                continue;
            };
            let day = Day::of(Timestamp::from_unix_micros(at));
            if self.0.last().is_none_or(|(_, last)| day > *last) {
                make_day(tx, day).await?;
                self.0.push((seq, day));
            }
        }
        Ok(())
    }

    /// Our place for one of the source. None stays none.
    pub(super) fn place_of(&self, seq: i64) -> i64 {
        let behind = self.0.partition_point(|(first, _)| *first <= seq);
        let day = self.0.get(behind.saturating_sub(1));
        match day {
            Some((_, day)) if seq > 0 => day.first_place() | seq,
            Some(_) | None => seq,
        }
    }

    pub(super) fn put(&self, table: &Table, row: &Row) -> Row {
        change(table, row.clone(), |seq| self.place_of(seq))
    }
}

/// Gives a row that was read here the places it had in the source.
pub(super) fn take_back(table: &Table, row: &mut Row) {
    *row = change(table, std::mem::take(row), |seq| counter_of(Seq(seq)));
}

fn change(table: &Table, mut row: Row, place: impl Fn(i64) -> i64) -> Row {
    for (cell, column) in row.iter_mut().zip(table.columns) {
        if let (Cell::Integer(seq), Kind::Place) = (&mut *cell, column.kind) {
            *seq = place(*seq);
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_keep_their_order_and_their_number() {
        let places = Places(vec![(10, Day(3)), (20, Day(7))]);
        let all: Vec<i64> = (0..40).map(|seq| places.place_of(seq)).collect();
        assert!(all.is_sorted(), "{all:?}");
        for (seq, place) in (0..).zip(&all) {
            assert_eq!(counter_of(Seq(*place)), seq);
        }
        assert_eq!(all[0], 0, "nothing was checked");
        assert_eq!(
            Day::of_place(Seq(all[1])),
            Day(3),
            "older than all: the first day"
        );
        assert_eq!(Day::of_place(Seq(all[19])), Day(3));
        assert_eq!(Day::of_place(Seq(all[20])), Day(7));
    }
}
