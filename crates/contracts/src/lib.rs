//! Contracts: how one product's webhooks look and behave, as data, and how a message becomes a
//! request under one.
//!
//! # The players
//!
//! - A **source** ([`Source`]) is the name and text of one file of a contract's folder. Folders are
//!   read by the binary; the ones that ship with it are embedded ([`source::embedded`]).
//! - A **contract** ([`Contract`]) is a checked folder: what `contract.toml` says ([`manifest`]) and
//!   the event types with their schemas and samples.
//! - The **catalog** ([`Catalog`]) holds all contracts by name.
//! - A **destination** ([`render::Destination`]) is a contract and the endpoint that speaks it; it is
//!   prepared once ([`render::Prepared`]) and then turns each message into method, headers and body
//!   bytes, signed over exactly those bytes ([`signature`]).
//!
//! # What this crate must never do
//!
//! No async, no I/O, no clock, no random numbers, no SQL. It never changes a posted payload's bytes,
//! and a secret reaches nothing but a header value that is marked sensitive.
//!
//! Start reading at [`mod@render`].

pub mod render;
pub mod signature;
pub mod verify;

mod header;
mod text;

pub mod catalog;
pub mod contract;
pub mod error;
pub mod facts;
pub mod manifest;
pub mod payload;
mod ping;
pub mod schema;
pub mod source;
pub mod yaml;

pub use catalog::Catalog;
pub use contract::{Contract, EventType};
pub use error::LoadError;
pub use facts::Facts;
pub use header::{HeaderFault, check_header, check_headers};
pub use render::render;
pub use schema::check_schema;
pub use source::Source;
