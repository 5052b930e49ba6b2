//! The routes, one file a resource.
#![expect(
    unused_qualifications,
    reason = "the macro that documents handlers writes them"
)]

mod applications;
mod attempts;
mod audit;
mod auth;
mod batch;
mod contracts;
mod endpoint_health;
mod endpoints;
mod event_types;
mod fallback;
mod health;
mod imports;
mod keys;
mod messages;
mod needs;
mod nodes;
mod notices;
mod operational;
mod records;
mod reports;
mod secrets;
mod table;
mod tasks;

pub use needs::scopes_reference;
pub(crate) use needs::{named_scope, scope_of};
pub(crate) use table::collected;
pub use table::router;
