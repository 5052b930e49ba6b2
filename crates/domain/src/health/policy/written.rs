//! The `[health]` table as it is written, its defaults and its checks.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use super::matcher::Matcher;
use super::{Bound, Class, Forget, InvalidPolicy, Meanwhile, Policy, ProbationFrom, Recovery};
use crate::retry::parse_duration;

/// The `[health]` table as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
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
