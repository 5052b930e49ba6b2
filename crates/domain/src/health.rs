//! An endpoint's health: whether it may be sent to, and what its failures change.
//!
//! Health is stored, and changed only by recorded outcomes and by people. A fault on our side is
//! never charged to an endpoint.

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;
use crate::time::Timestamp;

/// An endpoint's health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Health {
    /// It is sent to.
    #[default]
    Active,
    /// It is not sent to until a person activates it.
    Disabled {
        since: Timestamp,
        cause: DisableCause,
    },
}

/// Why an endpoint was disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisableCause {
    /// The receiver answered 410 Gone.
    Gone,
    /// A person.
    Person,
}

/// What dispatch may do with an endpoint's deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Send.
    Open,
    /// Keep them owed until somebody opens the gate.
    Hold,
}

impl Health {
    /// The state's name in our words.
    pub fn state_name(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled { .. } => "disabled",
        }
    }

    pub fn gate(&self) -> Gate {
        match self {
            Self::Active => Gate::Open,
            Self::Disabled { .. } => Gate::Hold,
        }
    }

    /// The health after an outcome, or `None` where the outcome does not change it.
    #[must_use]
    pub fn after(&self, outcome: &Outcome, now: Timestamp) -> Option<Self> {
        match (self, outcome) {
            (Self::Active, Outcome::Refused { status: 410, .. }) => Some(Self::Disabled {
                since: now,
                cause: DisableCause::Gone,
            }),
            _ => None,
        }
    }
}
