//! The only types that are read from or written to the wire. Each is converted by hand, so that a
//! change of a stored or inner type never changes the API by accident.

pub(crate) mod application;
pub(crate) mod attempt;
pub(crate) mod audit;
pub(crate) mod auth;
pub(crate) mod contract;
pub(crate) mod endpoint;
pub(crate) mod environment;
pub(crate) mod event_type;
pub(crate) mod event_type_import;
pub(crate) mod field;
pub(crate) mod health;
pub(crate) mod key;
pub(crate) mod message;
pub(crate) mod node;
pub(crate) mod notice;
pub(crate) mod record;
pub(crate) mod report;
pub(crate) mod task;
