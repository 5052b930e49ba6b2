//! The whole machine as a table: every situation × everything that can happen in it. The snapshot
//! tests and the page `docs/concepts/health.md` are made from it.

use std::fmt;

use super::policy::{Bound, Policy};
use super::{Decision, DisableCause, Health, Trouble, Warned};
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
    Probation,
    /// On probation, with errors for longer than the policy allows, and all warnings out.
    OutOfPatience,
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

const SITUATIONS: [Situation; 7] = [
    Situation::Active,
    Situation::Failing,
    Situation::Suspended,
    Situation::CooledDown,
    Situation::Probation,
    Situation::OutOfPatience,
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
    fn build(self, policy: &Policy, now: Timestamp) -> Health {
        let trouble = Trouble::grown(
            None,
            Outcome::TimedOut {
                phase: Phase::Connect,
            },
            now,
        );
        let suspended = |check_at| Health::Suspended {
            since: now,
            trouble: trouble.clone(),
            step: 0,
            check_at,
        };
        match self {
            Self::Active => Health::default(),
            Self::Failing => failing(policy, trouble),
            Self::Suspended => suspended(now + policy.cooldown(0)),
            Self::CooledDown => suspended(now),
            Self::Probation => Health::Probation {
                since: now,
                trouble: trouble.after_success(policy),
                step: 0,
            },
            Self::OutOfPatience => Health::Probation {
                since: now,
                trouble: Some(out_of_patience(policy, trouble, now)),
                step: 0,
            },
            Self::Disabled => Health::Disabled {
                since: now,
                cause: DisableCause::Person,
                trouble: None,
                note: None,
            },
        }
    }
}

fn failing(policy: &Policy, trouble: Trouble) -> Health {
    let trouble = match policy.suspend_after {
        Bound::At(1) => None,
        Bound::At(count) => Some(trouble.with_failures(count - 1)),
        Bound::Never => Some(trouble),
    };
    Health::Active {
        trouble,
        note: None,
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
            Self::Probation => "probation",
            Self::OutOfPatience => "probation, failing for too long",
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
