//! The embedded store: one SQLite file beside the binary, nothing to install.
//!
//! # The players
//!
//! - [`Sqlite`] is what the binary opens and hands to the engine and the API; it is a
//!   [`watchfire_store::Store`].
//! - The **writer** (`writer`) is one thread with the only connection that writes. Commands that
//!   wait while a commit runs become the next commit, so no timer is needed and the price of a
//!   sync is shared by all who wait for it.
//! - The **checkpointer** (`checkpoint`) moves the write-ahead log into the file meanwhile.
//! - The **readers** (`readers`) are a few read-only connections. They see the last commit and
//!   never hold up the writer.
//! - A **source** (`transfer`) reads all of a store that no server uses, to move it elsewhere.
//! - The **folder** (`folder`) is locked while the store is open, so that two servers can't write
//!   one ledger.
//!
//! # What flows
//!
//! A call of a trait becomes a closure over a transaction (`ledger`, `configuration`, `nodes`,
//! `prune`, `task`) or over a reader (`history`, `search`, `activity`). Rows are written and read in
//! `message`, `attempt` and `owed` only; `watchfire_store::encoding` holds the numbers that stand
//! for our enums.
//!
//! # What this crate must never do
//!
//! No decision about a delivery, no clock, no SQL type or error in a public signature. It never
//! answers before the commit is on disk, and never keeps part of a command that failed.
//!
//! Start reading at `writer`, then `ledger`.

mod activity;
mod attempt;
mod audit;
pub mod backup;
mod checkpoint;
mod configuration;
mod fault;
mod folder;
mod history;
mod ledger;
mod mail;
mod message;
mod migration;
mod nodes;
mod notices;
mod open;
mod owed;
#[cfg(test)]
mod plans;
mod prune;
mod readers;
mod recipes;
mod row;
mod search;
mod shards;
mod task;
pub mod transfer;
mod writer;

pub use open::{OpenError, Options, Sqlite};
