//! Which messages still have fresh deliveries, so that the checkpoint can follow.

use std::collections::VecDeque;

use watchfire_store::Seq;

/// Counts fresh deliveries per message in a window that begins above the checkpoint.
#[derive(Debug)]
pub(crate) struct FreshMarks {
    /// The `seq` of the first count.
    first: i64,
    counts: VecDeque<u32>,
}

impl FreshMarks {
    /// Everything at or below `checkpoint` is settled or owed.
    pub(crate) fn above(checkpoint: Seq) -> Self {
        Self {
            first: checkpoint.0 + 1,
            counts: VecDeque::new(),
        }
    }

    /// A message has `deliveries` fresh ones.
    pub(crate) fn add(&mut self, seq: Seq, deliveries: usize) {
        let Ok(place) = usize::try_from(seq.0 - self.first) else {
            debug_assert!(false, "a fresh message lies above the checkpoint");
            return;
        };
        if place >= self.counts.len() {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] += u32::try_from(deliveries).unwrap_or(u32::MAX);
    }

    /// One fresh delivery of a message is settled or owed, on disk.
    pub(crate) fn done(&mut self, seq: Seq) {
        let place = usize::try_from(seq.0 - self.first).ok();
        if let Some(count) = place.and_then(|place| self.counts.get_mut(place)) {
            *count = count.saturating_sub(1);
        }
    }

    /// The checkpoint: every message at or below it has no fresh delivery.
    pub(crate) fn checkpoint(&mut self) -> Seq {
        while self.counts.front() == Some(&0) {
            self.counts.pop_front();
            self.first += 1;
        }
        Seq(self.first - 1)
    }

    /// Messages between the checkpoint and the newest.
    pub(crate) fn lag(&self) -> usize {
        self.counts.len()
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
    }
}
