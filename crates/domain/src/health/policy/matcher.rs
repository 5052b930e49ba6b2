//! Which failures a rule of a policy is about.

use serde::{Deserialize as _, de};

use crate::outcome::{Cause, Outcome};

/// Which failures a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matcher {
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
    pub(super) fn parse(text: &str) -> Option<Self> {
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

    pub(super) fn matches(self, outcome: &Outcome) -> bool {
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

    pub(super) fn precision(self) -> u8 {
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
