//! The state of the store and of the nodes, for whoever runs them.

use std::time::Duration;

use watchfire_store::{Footprint, Members};

use super::Result;
use crate::Engine;

/// How this node and what it stands on are.
#[derive(Clone, Debug)]
pub struct State {
    /// How long the store took to write and read, or why it could not.
    pub store: std::result::Result<Duration, String>,
    /// What the database takes; unknown while it can't be read.
    pub footprint: Option<Footprint>,
    /// Everybody who has joined.
    pub members: Members,
    /// Attempts in flight on this node.
    pub in_flight: usize,
    /// Deliveries queued in this node's memory.
    pub queued: usize,
}

pub async fn state(engine: &Engine) -> Result<State> {
    let store = engine.store();
    let begin = engine.clock().now();
    let checked = store.check().await;
    let took = engine.clock().now().since(begin);
    let (in_flight, queued) = engine.in_memory();
    Ok(State {
        store: checked.map(|()| took).map_err(|error| error.to_string()),
        footprint: store.footprint().await.ok(),
        members: store.members().await?,
        in_flight,
        queued,
    })
}
