//! One HTTP request for a delivery, as it is kept.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::AttemptId;
use crate::outcome::{Outcome, SkipReason};
use crate::time::Timestamp;

/// Why an attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The message was accepted, or its retry schedule said so.
    Scheduled,
    /// A person or a program asked for a resend, recover or replay.
    Manual,
    /// The server asked whether a suspended endpoint is back.
    Probe,
}

/// How long the parts of an attempt took. A part that did not happen is `None`: a reused
/// connection has no `resolve`, `connect` and `tls`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolve: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Duration>,
    /// From the request's first byte to the answer's head.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_byte: Option<Duration>,
    /// The whole attempt.
    pub total: Duration,
}

/// What came back, cut to [`crate::limit::RESPONSE_BODY_BYTES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// Names and values in the order received; values that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    /// The body went on beyond what was kept.
    pub truncated: bool,
}

/// By which of an endpoint's recipes a request was made: a recipe is what shapes requests besides
/// the message, the time and secrets. Numbers begin at 1 with each endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecipeNumber(pub i64);

/// What tells how a request looked, beyond its message and its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub recipe: RecipeNumber,
    /// The signature it carried, which nobody can make again once the secret is gone.
    pub signature: String,
}

/// One attempt as it stands in the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub id: AttemptId,
    pub attempted_at: Timestamp,
    /// 1 for the first attempt of a series.
    pub number: u32,
    pub trigger: Trigger,
    /// The URL at the time of the attempt.
    pub url: String,
    /// The address that was dialled.
    pub address: Option<SocketAddr>,
    pub outcome: Outcome,
    /// Absent if no request could be made, and of attempts by versions that did not keep it.
    pub sent: Option<Sent>,
    pub response: Option<Response>,
    pub timing: Timing,
    pub next: AfterAttempt,
}

impl Attempt {
    /// What stands in the history of a delivery that a person settled without a request.
    pub fn settled_by_hand(
        (id, now): (AttemptId, Timestamp),
        url: String,
        (reason, settlement): (SkipReason, Settlement),
    ) -> Self {
        Self {
            id,
            attempted_at: now,
            number: 1,
            trigger: Trigger::Manual,
            url,
            address: None,
            outcome: Outcome::Skipped { reason },
            sent: None,
            response: None,
            timing: Timing::default(),
            next: AfterAttempt::Settled { settlement },
        }
    }
}

/// What becomes of the delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AfterAttempt {
    /// The next attempt is due then.
    Retry { due_at: Timestamp },
    /// This was the last one.
    Settled { settlement: Settlement },
}

/// The final outcome of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settlement {
    Delivered,
    /// The retry schedule ended without success.
    Exhausted,
    /// Settled without (another) request; the outcome says why.
    Skipped,
    Cancelled,
}
