//! What is wrong with an endpoint, and how long its owner has known.

use serde::{Deserialize, Serialize};

use super::Notice;
use super::policy::{Bound, Forget, Policy};
use crate::outcome::Outcome;
use crate::time::Timestamp;

/// What is wrong with an endpoint, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    pub first_error_at: Timestamp,
    pub last_error_at: Timestamp,
    /// Failures in a row.
    pub failures: u32,
    /// What failed last.
    pub last_outcome: Outcome,
    /// The last warning that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned: Option<Warned>,
}

/// The last warning sent about a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warned {
    /// How many of the policy's stages were reached, this one included.
    pub stages: usize,
    pub at: Timestamp,
}

impl Trouble {
    /// A trouble with one more failure.
    pub(super) fn grown(known: Option<Self>, outcome: Outcome, now: Timestamp) -> Self {
        match known {
            Some(known) => Self {
                last_error_at: now,
                failures: known.failures.saturating_add(1),
                last_outcome: outcome,
                ..known
            },
            None => Self {
                first_error_at: now,
                last_error_at: now,
                failures: 1,
                last_outcome: outcome,
                warned: None,
            },
        }
    }

    pub(super) fn with_failures(self, failures: u32) -> Self {
        Self { failures, ..self }
    }

    /// What remains of it after a success.
    pub(super) fn after_success(self, policy: &Policy) -> Option<Self> {
        match policy.forget_errors {
            Forget::OnSuccess => None,
            Forget::AfterProbation => Some(self.with_failures(0)),
        }
    }

    /// Whether it has lasted too long, and its owner has been warned long enough before.
    pub(super) fn is_hopeless(&self, now: Timestamp, policy: &Policy) -> bool {
        let Bound::At(end) = policy.disable_after else {
            return false;
        };
        let warned_enough = match self.warned {
            Some(warned) => {
                warned.stages >= policy.stages() && now.since(warned.at) >= policy.final_notice()
            }
            None => policy.stages() == 0,
        };
        now.since(self.first_error_at) > end && warned_enough
    }

    /// The next warning, if a new stage is reached; stages that were missed are not made up for.
    pub(super) fn warn(&mut self, now: Timestamp, policy: &Policy) -> Option<Notice> {
        let reached = policy.stages_reached(now.since(self.first_error_at));
        if reached <= self.warned.map_or(0, |warned| warned.stages) {
            return None;
        }
        self.warned = Some(Warned {
            stages: reached,
            at: now,
        });
        Some(Notice::Failing {
            since: self.first_error_at,
            disabled_from: self.disabled_from(now, policy),
        })
    }

    fn disabled_from(&self, now: Timestamp, policy: &Policy) -> Option<Timestamp> {
        let Bound::At(end) = policy.disable_after else {
            return None;
        };
        Some((self.first_error_at + end).max(now + policy.final_notice()))
    }

    /// Pulls instants of the future to `now`.
    pub(super) fn repair(&mut self, now: Timestamp) {
        self.first_error_at = now.min(self.first_error_at);
        self.last_error_at = now.min(self.last_error_at);
        if let Some(warned) = &mut self.warned {
            warned.at = now.min(warned.at);
        }
    }
}
