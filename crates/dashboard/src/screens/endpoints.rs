//! Endpoints of an application.

pub(crate) mod list;
