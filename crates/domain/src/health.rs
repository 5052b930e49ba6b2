//! An endpoint's health: whether it may be sent to, and what its failures change.
//!
//! # Problem
//!
//! An endpoint that is down must not be hammered, must not be forgotten, and must not be switched
//! off behind its owner's back. Each product has its own rules for this, DefectDojo's to the second.
//!
//! # Idea
//!
//! One machine of four states serves every contract; its numbers are a [`Policy`].
//!
//! ```text
//!   active ──transient failures──▶ suspended ──cool-down, probe──▶ probation ──time──▶ active
//!      │                              │  ▲                             │
//!      └──permanent failure──▶ disabled ◀─┴── no success for too long ─┘
//! ```
//!
//! Every transition takes the state by value and returns a [`Decision`]: the next state and the
//! notices to send, as data. Nothing here does anything.
//!
//! # Rules that hold for every policy
//!
//! - Health changes only by recorded outcomes, by time and by people.
//! - A fault on our side is never charged to an endpoint. That includes what we refuse to send
//!   because of where a URL leads ([`Outcome::Blocked`]): it is our decision, which the operator can
//!   change, so an endpoint must not have to be activated again after that. Nor does a kept-alive
//!   connection count that the receiver had closed.
//! - Time is judged from stored instants and `now`. A clock that went back makes nothing happen
//!   early: instants in the future are pulled to `now`.
//! - An endpoint is disabled for lack of success only on a recorded failure, and only after the
//!   last of the policy's warnings has been out for as long as the policy promises. A server that
//!   was off for a week disables nobody when it returns.
//!
//! Start reading at [`Health::record`].

use serde::{Deserialize, Serialize};

use crate::outcome::{Outcome, SkipReason};
use crate::time::Timestamp;

mod machine;
mod policy;
mod table;
mod trouble;

pub use policy::{Bound, Class, Forget, InvalidPolicy, Meanwhile, Policy, ProbationFrom, Recovery};
pub use table::{Row, Situation, Trial, transitions};
pub use trouble::{Trouble, Warned};

/// An endpoint's health. Stored as JSON: a field is added as optional, a variant never renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Health {
    /// It is sent to.
    Active {
        /// Failures since the last success, if there are any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<Trouble>,
        /// How it came back, if time brought it back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Note>,
    },
    /// It failed and is left alone for a while.
    Suspended {
        since: Timestamp,
        trouble: Trouble,
        /// How many times in a row it was suspended without getting back to active, less one.
        step: u32,
        /// The end of the cool-down.
        check_at: Timestamp,
    },
    /// It is sent to again, and watched.
    Probation {
        since: Timestamp,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<Trouble>,
        step: u32,
    },
    /// It is not sent to until a person activates it.
    Disabled {
        since: Timestamp,
        cause: DisableCause,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trouble: Option<Trouble>,
        /// What the person wrote who did it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Note>,
    },
}

/// A remark on a state; its text is the one DefectDojo writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// What failed last.
    Failed(Outcome),
    /// Probation was passed.
    Reactivated,
    /// A person's words.
    Person(String),
}

/// Why an endpoint was disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisableCause {
    /// The receiver answered 410 Gone.
    Gone,
    /// A failure the policy calls permanent.
    PermanentFailure,
    /// No success for as long as the policy allows.
    NoSuccess,
    /// A person.
    Person,
}

/// The name of a [`Health`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Active,
    Suspended,
    Probation,
    Disabled,
}

/// What dispatch may do with an endpoint's deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Send.
    Open,
    /// Send one delivery and wait for its outcome, then ask again.
    Probe,
    /// Keep them owed: until then, or until somebody opens the gate.
    Hold { until: Option<Timestamp> },
    /// Settle them without a request.
    Skip(SkipReason),
}

/// What follows from an outcome, from time or from a person's wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub next: Health,
    /// Whether `next` has to be stored.
    pub effect: Effect,
    pub notices: Vec<Notice>,
}

/// Whether a decision changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Unchanged,
    Changed,
}

/// Something people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The endpoint has a new state.
    Moved { from: State, to: State },
    /// It has failed for long, and will be disabled if that goes on.
    Failing {
        since: Timestamp,
        /// The earliest instant at which it can be disabled.
        disabled_from: Option<Timestamp>,
    },
    /// It works again, after a warning but without having been suspended.
    Recovered,
}

impl Default for Health {
    fn default() -> Self {
        Self::Active {
            trouble: None,
            note: None,
        }
    }
}

impl State {
    /// In our words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Probation => "probation",
            Self::Disabled => "disabled",
        }
    }

    /// In DefectDojo's words.
    pub fn contract_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "inactive_tmp",
            Self::Probation => "active_tmp",
            Self::Disabled => "inactive_permanent",
        }
    }
}

impl Health {
    pub fn state(&self) -> State {
        match self {
            Self::Active { .. } => State::Active,
            Self::Suspended { .. } => State::Suspended,
            Self::Probation { .. } => State::Probation,
            Self::Disabled { .. } => State::Disabled,
        }
    }

    /// The state's name in our words.
    pub fn state_name(&self) -> &'static str {
        self.state().as_str()
    }

    /// The state's name in DefectDojo's words.
    pub fn contract_state(&self) -> &'static str {
        self.state().contract_str()
    }

    /// Since when it has been in this state; unknown for an active one.
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Active { .. } => None,
            Self::Suspended { since, .. }
            | Self::Probation { since, .. }
            | Self::Disabled { since, .. } => Some(*since),
        }
    }

    pub fn trouble(&self) -> Option<&Trouble> {
        match self {
            Self::Suspended { trouble, .. } => Some(trouble),
            Self::Active { trouble, .. }
            | Self::Probation { trouble, .. }
            | Self::Disabled { trouble, .. } => trouble.as_ref(),
        }
    }

    pub fn first_error_at(&self) -> Option<Timestamp> {
        self.trouble().map(|trouble| trouble.first_error_at)
    }

    pub fn last_error_at(&self) -> Option<Timestamp> {
        self.trouble().map(|trouble| trouble.last_error_at)
    }

    /// The remark to show: what failed last, or what was written.
    pub fn note(&self) -> Option<Note> {
        let written = match self {
            Self::Active { note, .. } | Self::Disabled { note, .. } => note.clone(),
            Self::Suspended { .. } | Self::Probation { .. } => None,
        };
        let failed = |trouble: &Trouble| Note::Failed(trouble.last_outcome);
        written.or_else(|| self.trouble().map(failed))
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed(Outcome::Refused { status, .. }) => {
                write!(f, "Response status code: {status}")
            }
            Self::Failed(outcome @ Outcome::TimedOut { .. }) => {
                write!(f, "Requests exception: {outcome}")
            }
            Self::Failed(outcome) => write!(f, "Exception: {outcome}"),
            Self::Reactivated => f.write_str("Reactivation from active_tmp"),
            Self::Person(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests;
