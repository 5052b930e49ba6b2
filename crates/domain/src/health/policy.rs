//! The numbers of the machine: what a contract's `[health]` table says.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::outcome::{Cause, Outcome};
use crate::retry::parse_duration;
use crate::time::Timestamp;

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

/// Which failures a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Matcher {
    Status(u16),
    /// 1 for 1xx, and so on.
    StatusClass(u16),
    Refused,
    Timeout,
    Unreachable,
    Cause(Cause),
    Oversize,
    Malformed,
}

impl Matcher {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "refused" => Self::Refused,
            "timeout" => Self::Timeout,
            "unreachable" => Self::Unreachable,
            "oversize" => Self::Oversize,
            "malformed" => Self::Malformed,
            _ => return Self::parse_status(text).or_else(|| Self::parse_cause(text)),
        })
    }

    fn parse_status(text: &str) -> Option<Self> {
        let class = text.strip_suffix("xx").and_then(|class| class.parse().ok());
        if let Some(class @ 1..=5) = class {
            return Some(Self::StatusClass(class));
        }
        let status = text.parse().ok();
        status
            .filter(|status| (100..600).contains(status))
            .map(Self::Status)
    }

    fn parse_cause(text: &str) -> Option<Self> {
        let name = de::value::StrDeserializer::<de::value::Error>::new(text);
        Cause::deserialize(name).ok().map(Self::Cause)
    }

    fn matches(self, outcome: &Outcome) -> bool {
        match self {
            Self::Status(wanted) => {
                matches!(outcome, Outcome::Refused { status, .. } if *status == wanted)
            }
            Self::StatusClass(class) => {
                matches!(outcome, Outcome::Refused { status, .. } if status / 100 == class)
            }
            Self::Refused => matches!(outcome, Outcome::Refused { .. }),
            Self::Timeout => matches!(outcome, Outcome::TimedOut { .. }),
            Self::Unreachable => matches!(outcome, Outcome::Unreachable { .. }),
            Self::Cause(wanted) => {
                matches!(outcome, Outcome::Unreachable { cause } if *cause == wanted)
            }
            Self::Oversize => matches!(outcome, Outcome::Oversize),
            Self::Malformed => matches!(outcome, Outcome::Malformed),
        }
    }

    fn precision(self) -> u8 {
        match self {
            Self::Refused
            | Self::Timeout
            | Self::Unreachable
            | Self::Oversize
            | Self::Malformed => 0,
            Self::StatusClass(_) => 1,
            Self::Status(_) | Self::Cause(_) => 2,
        }
    }
}

/// The `[health]` table as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    transient: Vec<String>,
    permanent: Vec<String>,
    neutral: Vec<String>,
    other_failures: Class,
    suspend_after: Bound<u32>,
    #[serde(deserialize_with = "span")]
    cooldown: Duration,
    cooldown_growth: u32,
    #[serde(deserialize_with = "span")]
    cooldown_max: Duration,
    after_cooldown: Recovery,
    safety_net: Bound<Span>,
    #[serde(deserialize_with = "span")]
    probation: Duration,
    probation_from: ProbationFrom,
    forget_errors: Forget,
    disable_after: Bound<Span>,
    warn_after: Vec<Span>,
    suspended_messages: Meanwhile,
    disabled_messages: Meanwhile,
    drain_per_second: Bound<u32>,
}

impl Default for Written {
    fn default() -> Self {
        let hours = |hours| Span(Duration::from_hours(hours));
        Self {
            transient: Vec::new(),
            permanent: vec!["410".to_owned()],
            neutral: Vec::new(),
            other_failures: Class::Transient,
            suspend_after: Bound::At(5),
            cooldown: Duration::from_secs(10),
            cooldown_growth: 2,
            cooldown_max: Duration::from_hours(1),
            after_cooldown: Recovery::Probe,
            safety_net: Bound::Never,
            probation: Duration::from_mins(5),
            probation_from: ProbationFrom::Start,
            forget_errors: Forget::OnSuccess,
            disable_after: Bound::At(hours(5 * 24)),
            warn_after: vec![hours(1), hours(24), hours(4 * 24)],
            suspended_messages: Meanwhile::Hold,
            disabled_messages: Meanwhile::Hold,
            drain_per_second: Bound::At(25),
        }
    }
}

impl Default for Policy {
    /// Our own: messages are held, the cool-down grows from 10 s to 1 h, one real message is the
    /// probe, warnings go out after 1 h, 1 day and 4 days, and after 5 days it is disabled.
    fn default() -> Self {
        Self::try_from(Written::default()).expect("the default policy is valid, as a test shows")
    }
}

impl TryFrom<Written> for Policy {
    type Error = InvalidPolicy;

    fn try_from(written: Written) -> Result<Self, InvalidPolicy> {
        written.check()?;
        Ok(Self {
            rules: written.rules()?,
            other_failures: written.other_failures,
            suspend_after: written.suspend_after,
            cooldown: written.cooldown,
            cooldown_growth: written.cooldown_growth,
            cooldown_max: written.cooldown_max,
            after_cooldown: written.after_cooldown,
            safety_net: written.safety_net.into_duration(),
            probation: written.probation,
            probation_from: written.probation_from,
            forget_errors: written.forget_errors,
            disable_after: written.disable_after.into_duration(),
            warn_after: written.warn_after.iter().map(|stage| stage.0).collect(),
            suspended_messages: written.suspended_messages,
            disabled_messages: written.disabled_messages,
            drain_per_second: written.drain_per_second,
        })
    }
}

impl Written {
    fn check(&self) -> Result<(), InvalidPolicy> {
        let too_small = |key, min| Err(InvalidPolicy::TooSmall { key, min });
        if self.suspend_after == Bound::At(0) {
            return too_small("suspend_after", "1");
        }
        if self.cooldown.is_zero() {
            return too_small("cooldown", "1ms");
        }
        if self.cooldown_growth == 0 {
            return too_small("cooldown_growth", "1");
        }
        if self.drain_per_second == Bound::At(0) {
            return too_small("drain_per_second", "1");
        }
        if self.cooldown_max < self.cooldown {
            return Err(InvalidPolicy::CooldownMax);
        }
        if self.other_failures == Class::Success {
            return Err(InvalidPolicy::OtherFailures);
        }
        if self.disabled_messages == Meanwhile::Attempt {
            return Err(InvalidPolicy::DisabledMessages);
        }
        self.check_warnings()
    }

    fn check_warnings(&self) -> Result<(), InvalidPolicy> {
        let rises = self.warn_after.is_sorted_by(|a, b| a < b);
        let ends_before = match (self.disable_after, self.warn_after.last()) {
            (Bound::At(end), Some(last)) => *last < end,
            (Bound::Never, _) | (_, None) => true,
        };
        if rises && ends_before {
            Ok(())
        } else {
            Err(InvalidPolicy::WarnAfter)
        }
    }

    fn rules(&self) -> Result<Vec<(Matcher, Class)>, InvalidPolicy> {
        let lists = [
            (&self.transient, Class::Transient),
            (&self.permanent, Class::Permanent),
            (&self.neutral, Class::Neutral),
        ];
        let mut rules: Vec<(Matcher, Class)> = Vec::new();
        for (list, class) in lists {
            for text in list {
                let matcher =
                    Matcher::parse(text).ok_or_else(|| InvalidPolicy::Outcome(text.clone()))?;
                if rules.iter().any(|(known, _)| *known == matcher) {
                    return Err(InvalidPolicy::Repeated(text.clone()));
                }
                rules.push((matcher, class));
            }
        }
        Ok(rules)
    }
}

/// A duration as it is written: `60s`, `24h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
struct Span(Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_duration(&text).map(Self).map_err(de::Error::custom)
    }
}

fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    Span::deserialize(deserializer).map(|span| span.0)
}

impl Bound<Span> {
    fn into_duration(self) -> Bound<Duration> {
        match self {
            Self::Never => Bound::Never,
            Self::At(span) => Bound::At(span.0),
        }
    }
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
