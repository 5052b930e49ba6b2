//! What of an endpoint is on its way into `owed`.
//!
//! While a delivery moves there, it is neither in its lane nor among what is owed: a later one of
//! its record that comes back from the store just then must not be sent first.

use std::collections::{BTreeSet, HashMap};

use watchfire_store::Seq;

use super::Job;

/// What a write into `owed` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moving {
    /// One delivery that is about no record.
    Unkeyed,
    /// One delivery about this record.
    Keyed(i64, Seq),
    /// Any number of them, about any records.
    Many,
}

impl Moving {
    pub(crate) fn of(job: &Job) -> Self {
        job.record.map_or(Self::Unkeyed, |record| {
            Self::Keyed(record, job.delivery.seq)
        })
    }
}

/// Writes that have been decided and are not on disk, and those since the store was asked last.
#[derive(Debug, Default)]
pub(super) struct Moves {
    under_way: usize,
    many: usize,
    keyed: HashMap<i64, BTreeSet<Seq>>,
    /// The earliest delivery of each record that was moving when the store was asked, or since.
    moved: HashMap<i64, Seq>,
    any_moved: bool,
}

impl Moves {
    pub(super) fn begin(&mut self, moving: Moving) {
        self.under_way += 1;
        match moving {
            Moving::Unkeyed => {}
            Moving::Keyed(record, seq) => {
                self.keyed.entry(record).or_default().insert(seq);
                let first = self.moved.entry(record).or_insert(seq);
                *first = seq.min(*first);
            }
            Moving::Many => {
                self.many += 1;
                self.any_moved = true;
            }
        }
    }

    pub(super) fn end(&mut self, moving: Moving) {
        self.under_way = self.under_way.saturating_sub(1);
        match moving {
            Moving::Unkeyed => {}
            Moving::Keyed(record, seq) => {
                if let Some(seqs) = self.keyed.get_mut(&record) {
                    seqs.remove(&seq);
                    if seqs.is_empty() {
                        self.keyed.remove(&record);
                    }
                }
            }
            Moving::Many => self.many = self.many.saturating_sub(1),
        }
    }

    /// The store is asked what is owed.
    pub(super) fn asked(&mut self) {
        let first = |(record, seqs): (&i64, &BTreeSet<Seq>)| Some((*record, *seqs.first()?));
        self.moved = self.keyed.iter().filter_map(first).collect();
        self.any_moved = self.many > 0;
    }

    /// Whether what the store answered may lack an earlier delivery of the record than this one.
    pub(super) fn precede(&self, record: i64, seq: Seq) -> bool {
        let first = self.moved.get(&record);
        self.any_moved || first.is_some_and(|first| *first < seq)
    }

    pub(super) fn are_under_way(&self) -> bool {
        self.under_way > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of four records, whether an answer about the delivery at place 5 may lack an earlier one.
    fn preceded(moves: &Moves) -> [bool; 4] {
        [1, 2, 3, 4].map(|record| moves.precede(record, Seq(5)))
    }

    #[test]
    fn an_answer_may_lack_what_moved_when_it_was_asked_for_or_since() {
        let mut moves = Moves::default();
        moves.begin(Moving::Keyed(1, Seq(4)));
        moves.begin(Moving::Keyed(2, Seq(4)));
        moves.end(Moving::Keyed(2, Seq(4)));
        moves.asked();
        moves.end(Moving::Keyed(1, Seq(4)));
        moves.begin(Moving::Keyed(3, Seq(4)));
        moves.begin(Moving::Unkeyed);
        assert_eq!(preceded(&moves), [true, false, true, false]);
        moves.asked();
        assert_eq!(preceded(&moves), [false, false, true, false]);
    }

    #[test]
    fn what_comes_later_does_not_matter() {
        let mut moves = Moves::default();
        moves.begin(Moving::Keyed(1, Seq(5)));
        moves.begin(Moving::Keyed(2, Seq(6)));
        moves.begin(Moving::Keyed(3, Seq(6)));
        moves.begin(Moving::Keyed(3, Seq(3)));
        assert_eq!(preceded(&moves), [false, false, true, false]);
    }

    #[test]
    fn many_matter_to_every_record_and_all_end() {
        let mut moves = Moves::default();
        moves.begin(Moving::Many);
        assert!(moves.are_under_way());
        moves.asked();
        moves.end(Moving::Many);
        assert!(!moves.are_under_way());
        assert_eq!(preceded(&moves), [true; 4]);
        moves.asked();
        assert_eq!(preceded(&moves), [false; 4]);
    }
}
