//! What people and programs may ask of the server: the one place the HTTP API, the dashboard and
//! the command line go through.
//!
//! A service takes an input as somebody typed it, checks it against every limit, changes the
//! store through the engine (so that this node's caches are fresh when it returns) and answers
//! with stored objects. It knows no HTTP: field names in [`Fault`]s are those of the inputs.
//!
//! Every function takes the owner (organization or application) of what it touches, so that no
//! object of another tenant can be reached by its id.

pub mod activity;
pub mod applications;
pub mod attempts;
pub mod audit;
pub mod cancel;
mod check;
pub mod deliveries;
mod edit;
pub mod endpoints;
mod error;
pub mod event_types;
pub mod headers;
pub mod heads;
pub mod health;
pub mod keys;
pub mod matching;
pub mod messages;
pub mod notices;
mod once;
pub mod records;
pub mod reports;
pub mod requests;
pub mod system;
pub mod tasks;
pub mod tokens;

pub use check::Fault;
use edit::UPDATE_TRIES_MAX;
pub use edit::{Edit, Put};
pub use error::{Error, Existing, Result};
pub use once::{Once, Repeatable};
