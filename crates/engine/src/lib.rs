//! The engine: accept, dispatch, deliver, record, react.
//!
//! # The players
//!
//! - [`Engine`] is the handle everyone else holds.
//! - `accept` turns an event into a row on disk and answers after the commit; `catalog` tells it
//!   which endpoints subscribe.
//! - `dispatch` decides, without I/O, which delivery is sent next: a lane per endpoint, fair among
//!   them, bounded per endpoint and in all, in order per record.
//! - `send` renders one job and makes one request through the transport.
//! - `record` writes outcomes in batches, together with what follows from them, and only then
//!   tells the others.
//! - `notices` says what people are told about a record, in the same transaction, and hands it to
//!   the operational applications.
//! - `mail` tells administrators what `notices` wrote, without a flood.
//! - `owed` brings back what is due; `recover` brings back what the last run left; `upkeep` moves
//!   the checkpoint and removes what has outlived its retention.
//! - `cluster` is about the other nodes: who is alive, who sends to which endpoints, and what
//!   happens when one is lost.
//! - `keyring` knows the API keys in use, and forgets one the moment it is revoked; `revocations`
//!   knows which signed tokens were ended.
//! - `echo` is a receiver that is built in, for a first event.
//! - `identity` turns credentials into callers, for the API and the dashboard alike.
//! - `jobs` carries out background tasks: recover, replay, cancel.
//! - `service` is what the API and the dashboard call.
//!
//! # What this crate must never do
//!
//! No SQL, no HTTP types of the API, no sockets: it asks the store, the contracts and the
//! transport. It reads the time only through the clock it was given.
//!
//! Start reading at `dispatch`, then `record`.

mod accept;
mod apply;
mod catalog;
mod cluster;
mod dispatch;
pub mod echo;
mod endpoint;
mod engine;
mod event;
mod head;
mod health_watch;
pub mod identity;
mod inner;
mod jobs;
mod keyring;
mod mail;
mod metrics;
mod notices;
mod owed;
mod recipes;
mod record;
mod recover;
mod revocations;
mod send;
pub mod service;
mod timers;
mod upkeep;
mod vault;

pub use accept::{AcceptError, Accepted, Audience, NewEvent, Patience, Validation};
pub use catalog::Snapshot;
pub use cluster::{Company, Rhythm};
pub use dispatch::Bounds;
pub use endpoint::Endpoint;
pub use engine::{Config, Engine, Parts, StartError};
pub use event::{Attempted, Event};
pub use mail::Post;
pub use metrics::{Metrics, RouteClass};
pub use vault::{Vault, VaultError};

#[cfg(test)]
mod tests;
