//! The shared store: one PostgreSQL for as many nodes as are wanted.
//!
//! # The players
//!
//! - [`Postgres`] is what the binary opens and hands to the engine and the API; it is a
//!   [`watchfire_store::Store`].
//! - The **pools** (`pool`) hold a few connections each: one for the ledger, so that no list of a
//!   person ever delays a delivery, and one for everything else.
//! - A **transaction** (`session`) is short, READ COMMITTED, and bounded in time on both sides.
//!   One that met another is done again.
//! - A **target** (`transfer`) takes in another store whole, before any server runs here.
//! - **Hints** (`hints`) wake other nodes for what was committed for them; nobody relies on them.
//! - **Partitions** (`partition`): messages and attempts lie by the day, so that retention drops
//!   whole days.
//!
//! # What flows
//!
//! A call of a trait is one transaction with a bounded number of round trips, whatever the size of
//! its batch: rows go in and out as arrays. What a batch does to `owed` is worked out in memory
//! (`owed`), on rows that are read under a lock, and written back at once.
//!
//! # Locks
//!
//! Always in this order, and within each kind ascending, so that batches do not deadlock: the
//! node's row; a task; remembered answers and event ids; the endpoints' rows of `endpoint_owed`;
//! endpoints; messages; arrivals; roll-ups. Whoever writes rows of `owed` holds their endpoint's lock.
//!
//! # What this crate must never do
//!
//! No decision about a delivery, no clock, no SQL type or error in a public signature. No state of
//! a connection outlives a transaction (no session settings, no named statements), so that a
//! pooler in transaction mode may stand in between; all that it takes away are the hints. It never
//! answers before the commit was acknowledged.
//!
//! Start reading at `session`, then `ledger`.

mod activity;
mod address;
mod attempt;
mod audit;
mod configuration;
mod doubt;
mod fault;
mod hints;
mod history;
mod ledger;
mod mail;
mod message;
mod migration;
mod nodes;
mod notices;
mod open;
mod owed;
mod parameter;
mod partition;
mod pool;
mod prune;
mod recipes;
mod row;
mod search;
mod session;
mod shards;
mod task;
mod tls;
mod transfer;

pub use address::{Address, AddressError};
pub use open::{OpenError, Options, Postgres};
pub use transfer::{Target, TargetError};
