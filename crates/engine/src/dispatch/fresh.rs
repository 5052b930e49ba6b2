//! Which messages still have fresh deliveries, so that the checkpoint can follow.

use std::collections::VecDeque;

use watchfire_store::Seq;

/// Counts fresh deliveries per message above the checkpoint.
///
/// A node's places rise, but not by one: other nodes draw from the same sequence, and a store may
/// put more than a counter into a place. So only the messages themselves are kept, in order.
#[derive(Debug)]
pub(crate) struct FreshMarks {
    /// Everything at or below it is settled or owed.
    checkpoint: Seq,
    /// Messages above it in ascending order, with their fresh deliveries.
    marks: VecDeque<(Seq, u32)>,
}

impl FreshMarks {
    /// Everything at or below `checkpoint` is settled or owed.
    pub(crate) fn above(checkpoint: Seq) -> Self {
        Self {
            checkpoint,
            marks: VecDeque::new(),
        }
    }

    /// A message has `deliveries` fresh ones.
    pub(crate) fn add(&mut self, seq: Seq, deliveries: usize) {
        debug_assert!(
            seq > self.checkpoint,
            "a fresh message lies above the checkpoint"
        );
        let deliveries = u32::try_from(deliveries).unwrap_or(u32::MAX);
        // Messages come in the order of their places, so this is nearly always the end.
        let place = match self.marks.back() {
            Some((last, _)) if *last >= seq => self.find(seq),
            Some(_) | None => Err(self.marks.len()),
        };
        match place {
            Ok(place) => self.marks[place].1 = self.marks[place].1.saturating_add(deliveries),
            Err(place) => self.marks.insert(place, (seq, deliveries)),
        }
    }

    /// One fresh delivery of a message is settled or owed, on disk.
    pub(crate) fn done(&mut self, seq: Seq) {
        if let Ok(place) = self.find(seq) {
            let count = &mut self.marks[place].1;
            *count = count.saturating_sub(1);
        }
    }

    /// Where a message stands, or would stand.
    fn find(&self, seq: Seq) -> Result<usize, usize> {
        self.marks.binary_search_by_key(&seq, |(seq, _)| *seq)
    }

    /// The checkpoint: every message at or below it has no fresh delivery.
    pub(crate) fn checkpoint(&mut self) -> Seq {
        while let Some(&(seq, 0)) = self.marks.front() {
            self.marks.pop_front();
            self.checkpoint = self.checkpoint.max(seq);
        }
        if let Some((first, _)) = self.marks.front() {
            self.checkpoint = self.checkpoint.max(Seq(first.0 - 1));
        }
        self.checkpoint
    }

    /// Whether everything is settled or owed.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.checkpoint();
        self.marks.is_empty()
    }

    /// While nothing is fresh, nothing up to the store's newest message is. Otherwise a node with
    /// nothing to do would stay behind, and whoever takes over from it would read everything since.
    pub(crate) fn rest_at(&mut self, newest: Seq) {
        if self.is_empty() {
            self.checkpoint = self.checkpoint.max(newest);
        }
    }

    /// Messages between the checkpoint and the newest.
    pub(crate) fn lag(&self) -> usize {
        self.marks.len()
    }

    /// The place below which all but the newest `keep` messages lie.
    pub(crate) fn place_before_newest(&self, keep: usize) -> Option<Seq> {
        let place = self.marks.len().checked_sub(keep)?;
        self.marks.get(place).map(|(seq, _)| *seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkpoint_stops_at_the_first_unfinished_message() {
        let mut marks = FreshMarks::above(Seq(10));
        for seq in 11..=14 {
            marks.add(Seq(seq), if seq == 13 { 0 } else { 2 });
        }
        assert_eq!(marks.checkpoint(), Seq(10));
        marks.done(Seq(12));
        marks.done(Seq(12));
        assert_eq!(marks.checkpoint(), Seq(10));
        marks.done(Seq(11));
        marks.done(Seq(11));
        assert_eq!(marks.checkpoint(), Seq(13));
        assert_eq!(marks.lag(), 1);
        marks.done(Seq(14));
        assert_eq!(marks.checkpoint(), Seq(13));
        marks.done(Seq(14));
        assert_eq!(marks.checkpoint(), Seq(14));
    }

    #[test]
    fn gaps_in_the_sequence_hold_nothing_back() {
        let mut marks = FreshMarks::above(Seq(0));
        marks.add(Seq(5), 1);
        assert_eq!(marks.checkpoint(), Seq(4));
        marks.done(Seq(5));
        assert_eq!(marks.checkpoint(), Seq(5));
        let far = 20_000_i64 << 44;
        for step in [0, 7, 1 << 44] {
            marks.add(Seq(far + step), 1);
        }
        assert_eq!((marks.lag(), marks.checkpoint()), (3, Seq(far - 1)));
        assert_eq!(marks.place_before_newest(2), Some(Seq(far + 7)));
        assert_eq!(marks.place_before_newest(4), None);
        marks.done(Seq(far + 7));
        marks.done(Seq(far));
        assert_eq!(
            (marks.checkpoint(), marks.lag()),
            (Seq(far + (1 << 44) - 1), 1)
        );
    }

    #[test]
    fn a_message_that_comes_late_finds_its_place() {
        let mut marks = FreshMarks::above(Seq(0));
        for seq in [9, 4, 9] {
            marks.add(Seq(seq), 1);
        }
        assert_eq!(marks.checkpoint(), Seq(3));
        marks.done(Seq(4));
        marks.done(Seq(9));
        assert_eq!(marks.checkpoint(), Seq(8));
        marks.done(Seq(9));
        assert_eq!(marks.checkpoint(), Seq(9));
    }
}
