//! Deliveries across an application: found, followed live, sent again, cancelled, taken along.

pub(crate) mod act;
pub(crate) mod export;
mod filter;
pub(crate) mod list;

pub(crate) use self::filter::moment;
