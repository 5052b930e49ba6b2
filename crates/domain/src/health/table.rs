//! The whole machine as a table: every situation × everything that can happen in it. The snapshot
//! tests and the page `docs/concepts/health.md` are made from it.

use std::fmt;

use super::policy::{Bound, Policy};
use super::{Decision, DisableCause, Health, State, Trouble, Warned};
use crate::outcome::{Cause, Outcome, Phase, SkipReason, Verdict};
use crate::time::Timestamp;

/// One cell of the table.
#[derive(Clone, Debug)]
pub struct Row {
    pub from: Situation,
    pub trial: Trial,
    pub decision: Decision,
}

/// A state, with what decides between its ways out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation {
    Active,
    /// One failure short of being suspended; the same as active where one failure suspends.
    Failing,
    Suspended,
    CooledDown,
    /// The same, with errors for longer than the policy allows, and all warnings out.
    CooledDownTooLong,
    Probation,
    /// One failure short of being suspended again.
    Relapsing,
    /// With errors for longer than the policy allows, and all warnings out.
    ProbationTooLong,
    Disabled,
}

/// Something that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    Outcome(Outcome),
    /// The time at which the situation changes by itself.
    Time,
    Activate,
    Deactivate,
}

const SITUATIONS: [Situation; 9] = [
    Situation::Active,
    Situation::Failing,
    Situation::Suspended,
    Situation::CooledDown,
    Situation::CooledDownTooLong,
    Situation::Probation,
    Situation::Relapsing,
    Situation::ProbationTooLong,
    Situation::Disabled,
];

const fn refused(status: u16) -> Trial {
    Trial::Outcome(Outcome::Refused {
        status,
        retry_after: None,
    })
}

const fn unreachable(cause: Cause) -> Trial {
    Trial::Outcome(Outcome::Unreachable { cause })
}

const TRIALS: [Trial; 18] = [
    Trial::Outcome(Outcome::Accepted { status: 204 }),
    refused(302),
    refused(404),
    refused(410),
    refused(429),
    refused(503),
    Trial::Outcome(Outcome::TimedOut {
        phase: Phase::FirstByte,
    }),
    unreachable(Cause::NameNotFound),
    unreachable(Cause::ConnectionRefused),
    unreachable(Cause::TlsUnknownIssuer),
    unreachable(Cause::StaleConnection),
    Trial::Outcome(Outcome::Oversize),
    Trial::Outcome(Outcome::Malformed),
    Trial::Outcome(Outcome::Blocked {
        verdict: Verdict::Private,
    }),
    Trial::Outcome(Outcome::Skipped {
        reason: SkipReason::RenderFailed,
    }),
    Trial::Time,
    Trial::Activate,
    Trial::Deactivate,
];

/// The table of a policy, at an instant that stands for all.
pub fn transitions(policy: &Policy) -> Vec<Row> {
    let now = Timestamp::from_unix_seconds(1_800_000_000);
    let row = |from: Situation, trial: Trial| Row {
        from,
        trial,
        decision: trial.run(from.build(policy, now), policy, now),
    };
    let rows = SITUATIONS
        .iter()
        .flat_map(|from| TRIALS.iter().map(move |trial| row(*from, *trial)));
    rows.collect()
}

impl Situation {
    pub fn state(self) -> State {
        match self {
            Self::Active | Self::Failing => State::Active,
            Self::Suspended | Self::CooledDown | Self::CooledDownTooLong => State::Suspended,
            Self::Probation | Self::Relapsing | Self::ProbationTooLong => State::Probation,
            Self::Disabled => State::Disabled,
        }
    }

    fn build(self, policy: &Policy, now: Timestamp) -> Health {
        let outcome = Outcome::TimedOut {
            phase: Phase::Connect,
        };
        let trouble = Trouble::grown(None, outcome, now);
        let suspended = |trouble, check_at| Health::Suspended {
            since: now,
            trouble,
            step: 0,
            check_at,
        };
        let probation = |trouble| Health::Probation {
            since: now,
            trouble,
            step: 0,
        };
        match self {
            Self::Active => Health::default(),
            Self::Failing => Health::Active {
                trouble: nearly_suspended(policy, trouble),
                note: None,
            },
            Self::Suspended => suspended(trouble, now + policy.cooldown(0)),
            Self::CooledDown => suspended(trouble, now),
            Self::CooledDownTooLong => suspended(out_of_patience(policy, trouble, now), now),
            Self::Probation => probation(trouble.after_success(policy)),
            Self::Relapsing => probation(nearly_suspended(policy, trouble)),
            Self::ProbationTooLong => probation(Some(out_of_patience(policy, trouble, now))),
            Self::Disabled => Health::Disabled {
                since: now,
                cause: DisableCause::Person,
                trouble: None,
                note: None,
            },
        }
    }
}

fn nearly_suspended(policy: &Policy, trouble: Trouble) -> Option<Trouble> {
    match policy.suspend_after {
        Bound::At(1) => None,
        Bound::At(count) => Some(trouble.with_failures(count - 1)),
        Bound::Never => Some(trouble),
    }
}

fn out_of_patience(policy: &Policy, trouble: Trouble, now: Timestamp) -> Trouble {
    let Bound::At(patience) = policy.disable_after else {
        return trouble;
    };
    let over = std::time::Duration::from_micros(1);
    Trouble {
        first_error_at: now - patience - over,
        warned: Some(Warned {
            stages: policy.stages(),
            at: now - policy.final_notice(),
        }),
        ..trouble
    }
}

impl Trial {
    fn run(self, health: Health, policy: &Policy, now: Timestamp) -> Decision {
        match self {
            Self::Outcome(outcome) => health.record(&outcome, now, policy),
            Self::Time => {
                let due = health.next_tick_at(policy).unwrap_or(now);
                health.tick(due, policy)
            }
            Self::Activate => health.activate(),
            Self::Deactivate => health.deactivate(now, "Deactivate from UI"),
        }
    }
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Failing => "active, one failure from the limit",
            Self::Suspended => "suspended",
            Self::CooledDown => "suspended, cool-down over",
            Self::CooledDownTooLong => "suspended, cool-down over, failing for too long",
            Self::Probation => "probation",
            Self::Relapsing => "probation, one failure from the limit",
            Self::ProbationTooLong => "probation, failing for too long",
            Self::Disabled => "disabled",
        })
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome(outcome) => match outcome {
                Outcome::Accepted { .. } => f.write_str("success"),
                Outcome::Refused { status, .. } => write!(f, "{status}"),
                Outcome::TimedOut { .. } => f.write_str("timeout"),
                Outcome::Unreachable { cause } => write!(f, "unreachable ({cause})"),
                Outcome::Blocked { .. } => f.write_str("blocked by us"),
                Outcome::Oversize => f.write_str("oversize"),
                Outcome::Malformed => f.write_str("malformed"),
                Outcome::Skipped { .. } => f.write_str("not sent"),
            },
            Self::Time => f.write_str("time"),
            Self::Activate => f.write_str("activate"),
            Self::Deactivate => f.write_str("deactivate"),
        }
    }
}
