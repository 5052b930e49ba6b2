//! Nodes on the wire.

use serde::Serialize;
use utoipa::ToSchema;
use watchfire_domain::time::Timestamp;
use watchfire_store::{Member, Members};

/// The servers that share the database.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeListOut {
    /// By name.
    data: Vec<NodeOut>,
    /// The time by the clock that judges leases.
    #[schema(value_type = String, format = DateTime)]
    now: Timestamp,
}

/// A server.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NodeOut {
    name: String,
    /// The one that answers.
    answers: bool,
    /// Counts lives: it rises when the server starts, and when it joins again.
    epoch: i64,
    version: String,
    /// `alive`; `lost`: its lease has ended; or `dying`: another takes over what it left.
    #[schema(value_type = String, example = "alive")]
    state: &'static str,
    #[schema(value_type = String, format = DateTime)]
    joined_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_beat_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    lease_until: Timestamp,
    /// How far its clock is ahead of the one that judges leases.
    clock_ahead_micros: i64,
    /// The number of shards, of 256, whose endpoints it sends to.
    shards: usize,
    /// Attempts in flight, as of the last beat.
    in_flight: u32,
    /// Deliveries queued in its memory, as of the last beat.
    queued: u32,
    /// Messages it has accepted of which a delivery is neither settled nor owed, and those behind
    /// them, as of the last beat.
    lag: u32,
}

impl NodeListOut {
    pub(crate) fn new(members: &Members, own: &str) -> Self {
        let nodes = members.members.iter();
        Self {
            data: nodes
                .map(|member| NodeOut::new(member, members.now, own))
                .collect(),
            now: members.now,
        }
    }
}

impl NodeOut {
    fn new(member: &Member, now: Timestamp, own: &str) -> Self {
        let state = if member.dying {
            "dying"
        } else if member.lease_until <= now {
            "lost"
        } else {
            "alive"
        };
        Self {
            name: member.life.node.0.clone(),
            answers: member.life.node.0 == own,
            epoch: member.life.epoch.0,
            version: member.version.clone(),
            state,
            joined_at: member.joined_at,
            last_beat_at: member.beaten_at,
            lease_until: member.lease_until,
            clock_ahead_micros: member.clock_ahead_micros,
            shards: member.shards.len(),
            in_flight: member.load.in_flight,
            queued: member.load.queued,
            lag: member.load.lag,
        }
    }
}
