//! The HTTP API: what other programs say to Watchfire.
//!
//! # The players
//!
//! - [`router`] builds the routes; [`ApiState`] is what they share.
//! - `auth` says who is calling: each route names the permission it asks for by the extractor it
//!   takes, and `routes/needs.rs` the scope.
//! - `wire` holds the only types that are read from or written to the wire; `routes` hands them to
//!   the engine's services, one file a resource.
//! - `page` pages lists both ways, `once` recognizes repeated requests, `error` words what went
//!   wrong, `openapi` describes all of it from the same code, `reference` shows that to people.
//!
//! The paths, bodies, errors, paging and tokens are those of the Svix server's open API, so that
//! its clients in all languages are ours. What we add is optional.
//!
//! # What this crate must never do
//!
//! Open an outbound connection, decide anything about a delivery, keep state of its own, or build
//! SQL. A secret leaves only through the routes that are for reading it.
//!
//! Start reading at `routes/messages.rs`: one event's way in.

mod auth;
mod error;
mod extract;
mod once;
mod openapi;
mod page;
mod reference;
mod routes;
mod shell;
mod state;
mod throttle;
mod wire;

pub use error::errors_reference;
pub use openapi::document;
pub use routes::{router, scopes_reference};
pub use state::{ApiConfig, ApiState};
pub use throttle::RateLimits;
pub use watchfire_engine::identity::ClientAddress;
pub use watchfire_engine::identity::{DEFAULT_ORGANIZATION, Tokens};
