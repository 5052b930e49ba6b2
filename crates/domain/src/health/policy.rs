//! The numbers of the machine: what a contract's `[health]` table says.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::outcome::{Cause, Outcome};
use crate::time::Timestamp;
use matcher::Matcher;
use written::Written;

mod matcher;
mod written;

/// How an endpoint's outcomes change its health. Made from a contract's `[health]` table, where
/// each key that is absent has the value of [`Policy::default`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub struct Policy {
    rules: Vec<(Matcher, Class)>,
    other_failures: Class,
    /// Transient failures in a row that suspend.
    pub suspend_after: Bound<u32>,
    /// How long the first suspension lasts.
    cooldown: Duration,
    /// Each further one lasts this many times longer,
    cooldown_growth: u32,
    /// but no longer than this.
    cooldown_max: Duration,
    pub after_cooldown: Recovery,
    /// The cool-down ends at the latest when the last error is older than this.
    safety_net: Bound<Duration>,
    probation: Duration,
    probation_from: ProbationFrom,
    pub forget_errors: Forget,
    /// Without success for longer than this, the next failure disables.
    pub disable_after: Bound<Duration>,
    /// Warnings are sent after this long without success; ascending.
    warn_after: Vec<Duration>,
    /// Messages while suspended.
    pub suspended_messages: Meanwhile,
    /// Messages while disabled.
    pub disabled_messages: Meanwhile,
    /// Deliveries per second on probation, so that what was held does not bury the endpoint.
    pub drain_per_second: Bound<u32>,
}

/// A number, or `"never"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound<T> {
    Never,
    At(T),
}

impl<T: PartialOrd + Copy> Bound<T> {
    /// Whether `value` has come to the bound.
    pub fn is_reached_by(self, value: T) -> bool {
        match self {
            Self::Never => false,
            Self::At(bound) => value >= bound,
        }
    }
}

/// What an outcome means for health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Success,
    /// Likely to pass.
    Transient,
    /// Disables at once.
    Permanent,
    /// Says nothing about the endpoint.
    Neutral,
}

/// What the end of the cool-down leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// One real message is sent, and its success leads to probation.
    Probe,
    /// Probation, at once.
    Probation,
}

/// From when the length of probation counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbationFrom {
    /// Its start, or the last error after that.
    Start,
    /// The last error, also if it was before.
    LastError,
}

/// When errors on probation are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forget {
    OnSuccess,
    AfterProbation,
}

/// What becomes of messages to an endpoint that is not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meanwhile {
    /// They are owed until it is back.
    Hold,
    /// Each follows its own schedule.
    Attempt,
    /// They are recorded as skipped and can be replayed.
    Skip,
}

/// Why a policy can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    #[error(
        "{0:?} is no outcome; use a status such as 410 or 5xx, or refused, timeout, unreachable, \
         oversize, malformed or a cause such as connection_refused"
    )]
    Outcome(String),
    #[error("the outcome {0:?} is listed twice")]
    Repeated(String),
    #[error("other_failures must be transient, permanent or neutral")]
    OtherFailures,
    #[error("{key} must be at least {min}")]
    TooSmall {
        key: &'static str,
        min: &'static str,
    },
    #[error("cooldown_max must not be shorter than cooldown")]
    CooldownMax,
    #[error("warn_after must rise, and end before disable_after")]
    WarnAfter,
    #[error("disabled_messages must be hold or skip: a disabled endpoint is not sent to")]
    DisabledMessages,
}

impl Policy {
    /// What an outcome means. What we refused or failed to send says nothing about the endpoint,
    /// whatever the policy.
    pub fn class_of(&self, outcome: &Outcome) -> Class {
        match outcome {
            Outcome::Accepted { .. } => Class::Success,
            Outcome::Blocked { .. }
            | Outcome::Skipped { .. }
            | Outcome::Unreachable {
                cause: Cause::StaleConnection,
            } => Class::Neutral,
            Outcome::Refused { .. }
            | Outcome::TimedOut { .. }
            | Outcome::Unreachable { .. }
            | Outcome::Oversize
            | Outcome::Malformed => self.class_of_failure(outcome),
        }
    }

    /// The most specific rule decides.
    fn class_of_failure(&self, outcome: &Outcome) -> Class {
        let matching = self.rules.iter().filter(|(rule, _)| rule.matches(outcome));
        let best = matching.max_by_key(|(rule, _)| rule.precision());
        best.map_or(self.other_failures, |(_, class)| *class)
    }

    /// How long the suspension lasts that follows `step` others.
    pub(super) fn cooldown(&self, step: u32) -> Duration {
        let factor = self.cooldown_growth.saturating_pow(step);
        self.cooldown.saturating_mul(factor).min(self.cooldown_max)
    }

    /// The end of a cool-down: its time, or the safety net's if that comes first.
    pub(super) fn cooldown_end(&self, check_at: Timestamp, last_error_at: Timestamp) -> Timestamp {
        match self.safety_net {
            Bound::Never => check_at,
            Bound::At(net) => check_at.min(just_after(last_error_at + net)),
        }
    }

    /// The first instant at which probation is passed.
    pub(super) fn probation_end(
        &self,
        since: Timestamp,
        last_error_at: Option<Timestamp>,
    ) -> Timestamp {
        let from = match (self.probation_from, last_error_at) {
            (_, None) => since,
            (ProbationFrom::Start, Some(error_at)) => since.max(error_at),
            (ProbationFrom::LastError, Some(error_at)) => error_at,
        };
        just_after(from + self.probation)
    }

    /// How many stages of warning a trouble of that length has reached.
    pub(super) fn stages_reached(&self, length: Duration) -> usize {
        let reached = self.warn_after.iter().take_while(|stage| **stage <= length);
        reached.count()
    }

    pub(super) fn stages(&self) -> usize {
        self.warn_after.len()
    }

    /// How long the last warning is out before the endpoint can be disabled.
    pub(super) fn final_notice(&self) -> Duration {
        match (self.disable_after, self.warn_after.last()) {
            (Bound::At(end), Some(last)) => end.saturating_sub(*last),
            (Bound::Never, _) | (_, None) => Duration::ZERO,
        }
    }
}

/// "Older than" is strict: the instant itself is not yet older.
fn just_after(at: Timestamp) -> Timestamp {
    at + Duration::from_micros(1)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Bound<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Never {
            Never,
        }
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected \"never\", or a number or duration such as 5 or \"60s\""
        )]
        enum Either<T> {
            Never(Never),
            At(T),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Never(Never::Never) => Self::Never,
            Either::At(bound) => Self::At(bound),
        })
    }
}
