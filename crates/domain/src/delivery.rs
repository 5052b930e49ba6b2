//! What becomes of a delivery after an attempt: the one place where this is decided.
//!
//! # Problem
//!
//! An attempt ended with an [`Outcome`]. The delivery is then settled, or owed again at some time.
//! Every caller (first try, retry, resend, probe) must decide alike, and a crash must not be able
//! to separate the outcome from what follows.
//!
//! # Idea
//!
//! [`decide`] is a pure function of the facts; what it returns is data that is recorded together
//! with the attempt in one transaction and only then acted upon.

use std::time::Duration;

use crate::attempt::{AfterAttempt, Settlement};
use crate::outcome::{Cause, Outcome, SkipReason};
use crate::retry::{self, Schedule};
use crate::time::Timestamp;

/// What is known when an attempt has ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    pub outcome: &'a Outcome,
    /// Attempts of this series, the one that ended included.
    pub attempts_made: u32,
    /// The attempt before it failed on a stale connection too.
    pub stale_before: bool,
    pub now: Timestamp,
    /// Drawn from `0.0..1.0`.
    pub jitter: f64,
}

/// What is to be recorded and done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    pub next: AfterAttempt,
    /// Attempts that count against the schedule from now on.
    pub attempts_counted: u32,
}

/// Decides what follows an attempt under a retry schedule.
///
/// A kept-alive connection that the receiver had closed is nobody's fault: it is tried again at
/// once, on a new connection, without counting against the schedule; but not twice in a row.
pub fn decide(ended: Ended<'_>, schedule: &Schedule) -> Decision {
    let settled = |settlement| Decision {
        next: AfterAttempt::Settled { settlement },
        attempts_counted: ended.attempts_made,
    };
    match ended.outcome {
        Outcome::Accepted { .. } => settled(Settlement::Delivered),
        Outcome::Skipped { reason } => settled(settlement_of(*reason)),
        Outcome::Unreachable {
            cause: Cause::StaleConnection,
        } if !ended.stale_before => Decision {
            next: AfterAttempt::Retry { due_at: ended.now },
            attempts_counted: ended.attempts_made.saturating_sub(1),
        },
        Outcome::Refused { retry_after, .. } => retry_or_exhaust(ended, schedule, *retry_after),
        Outcome::TimedOut { .. }
        | Outcome::Unreachable { .. }
        | Outcome::Blocked { .. }
        | Outcome::Oversize
        | Outcome::Malformed => retry_or_exhaust(ended, schedule, None),
    }
}

fn settlement_of(reason: SkipReason) -> Settlement {
    match reason {
        SkipReason::Cancelled | SkipReason::EndpointDeleted => Settlement::Cancelled,
        SkipReason::EndpointDisabled
        | SkipReason::EndpointSuspended
        | SkipReason::Unsubscribed
        | SkipReason::ByOperator
        | SkipReason::PayloadExpired
        | SkipReason::RenderFailed => Settlement::Skipped,
    }
}

fn retry_or_exhaust(ended: Ended<'_>, schedule: &Schedule, hint: Option<Duration>) -> Decision {
    let due_at = retry::next_due_at(schedule, ended.attempts_made, hint, ended.now, ended.jitter);
    let next = match due_at {
        Some(due_at) => AfterAttempt::Retry { due_at },
        None => AfterAttempt::Settled {
            settlement: Settlement::Exhausted,
        },
    };
    Decision {
        next,
        attempts_counted: ended.attempts_made,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Phase, Verdict};

    fn check(outcome: Outcome, attempts_made: u32, expect: AfterAttempt) {
        let ended = Ended {
            outcome: &outcome,
            attempts_made,
            stale_before: false,
            now: Timestamp::EPOCH,
            jitter: 0.0,
        };
        let schedule = "10s,20s".parse().expect("valid");
        assert_eq!(decide(ended, &schedule).next, expect, "{outcome:?}");
    }

    fn after(seconds: u64) -> AfterAttempt {
        AfterAttempt::Retry {
            due_at: Timestamp::EPOCH + Duration::from_secs(seconds),
        }
    }

    fn settled(settlement: Settlement) -> AfterAttempt {
        AfterAttempt::Settled { settlement }
    }

    #[test]
    fn every_failure_follows_the_schedule_to_its_end() {
        let failures = [
            Outcome::Refused {
                status: 500,
                retry_after: None,
            },
            Outcome::TimedOut {
                phase: Phase::FirstByte,
            },
            Outcome::Unreachable {
                cause: Cause::ConnectionRefused,
            },
            Outcome::Blocked {
                verdict: Verdict::Private,
            },
            Outcome::Oversize,
            Outcome::Malformed,
        ];
        for outcome in failures {
            check(outcome, 1, after(10));
            check(outcome, 2, after(20));
            check(outcome, 3, settled(Settlement::Exhausted));
        }
    }

    #[test]
    fn success_and_skips_settle_at_once() {
        check(
            Outcome::Accepted { status: 204 },
            1,
            settled(Settlement::Delivered),
        );
        let skipped = |reason| Outcome::Skipped { reason };
        check(
            skipped(SkipReason::EndpointDisabled),
            1,
            settled(Settlement::Skipped),
        );
        check(
            skipped(SkipReason::Cancelled),
            2,
            settled(Settlement::Cancelled),
        );
    }

    #[test]
    fn a_hint_postpones() {
        let retry_after = Some(Duration::from_mins(1));
        check(
            Outcome::Refused {
                status: 429,
                retry_after,
            },
            1,
            after(60),
        );
    }

    #[test]
    fn a_stale_connection_is_tried_again_once_and_not_counted() {
        let outcome = Outcome::Unreachable {
            cause: Cause::StaleConnection,
        };
        let mut ended = Ended {
            outcome: &outcome,
            attempts_made: 1,
            stale_before: false,
            now: Timestamp::EPOCH,
            jitter: 0.0,
        };
        let schedule = "10s".parse().expect("valid");
        let first = decide(ended, &schedule);
        assert_eq!((first.next, first.attempts_counted), (after(0), 0));
        ended.stale_before = true;
        assert_eq!(decide(ended, &schedule).next, after(10));
    }
}
