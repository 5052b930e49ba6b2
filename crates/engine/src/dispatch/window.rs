//! How many requests an endpoint gets at a time.
//!
//! It starts small, grows by one with each fast answer and halves when the endpoint is slow, does
//! not answer or says that it is overloaded: an endpoint that hangs soon holds one place, not
//! sixty-four, and a fast one is at its maximum after sixty answers.

use std::time::Duration;

use watchfire_domain::attempt::Timing;
use watchfire_domain::limit;
use watchfire_domain::outcome::Outcome;

/// What an answer says about the pace an endpoint can keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    Fast,
    Steady,
    Struggling,
    /// No request was made.
    Unknown,
}

/// An answer within this time lets the window grow.
const FAST: Duration = Duration::from_secs(1);
/// An answer after this time shrinks it.
const SLOW: Duration = Duration::from_secs(5);

impl Pace {
    pub(crate) fn of(outcome: &Outcome, timing: &Timing) -> Self {
        match outcome {
            Outcome::TimedOut { .. }
            | Outcome::Unreachable { .. }
            | Outcome::Oversize
            | Outcome::Malformed
            | Outcome::Refused {
                status: 429 | 502 | 503 | 504,
                ..
            } => Self::Struggling,
            Outcome::Accepted { .. } | Outcome::Refused { .. } => match timing.total {
                total if total < FAST => Self::Fast,
                total if total < SLOW => Self::Steady,
                _ => Self::Struggling,
            },
            Outcome::Blocked { .. } | Outcome::Skipped { .. } => Self::Unknown,
        }
    }
}

/// The number of places, and its adjustment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window(usize);

impl Default for Window {
    fn default() -> Self {
        Self(limit::CONCURRENCY_PER_ENDPOINT_START)
    }
}

impl Window {
    pub(crate) fn places(self) -> usize {
        self.0
    }

    pub(crate) fn adjust(&mut self, pace: Pace, most: usize) {
        self.0 = match pace {
            Pace::Fast => (self.0 + 1).min(most),
            Pace::Steady | Pace::Unknown => self.0,
            Pace::Struggling => (self.0 / 2).max(1),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hanging_endpoint_ends_with_one_place_and_a_fast_one_with_all() {
        let mut window = Window::default();
        for _ in 0..10 {
            window.adjust(Pace::Struggling, 64);
        }
        assert_eq!(window.places(), 1);
        for _ in 0..100 {
            window.adjust(Pace::Fast, 64);
        }
        assert_eq!(window.places(), 64);
    }

    #[test]
    fn overload_and_silence_are_told_from_refusal() {
        let quick = Timing::default();
        let refused = |status| Outcome::Refused {
            status,
            retry_after: None,
        };
        assert_eq!(Pace::of(&refused(400), &quick), Pace::Fast);
        assert_eq!(Pace::of(&refused(429), &quick), Pace::Struggling);
        let slow = Timing {
            total: Duration::from_secs(9),
            ..quick
        };
        assert_eq!(
            Pace::of(&Outcome::Accepted { status: 200 }, &slow),
            Pace::Struggling
        );
    }
}
