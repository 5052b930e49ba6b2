//! The server's own health on the wire.

use serde::Serialize;
use utoipa::ToSchema;

/// Whether the server can do its work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthCheckOut {
    pub(crate) database: PartOut,
    /// Whether deliveries go on.
    pub(crate) queue: PartOut,
    /// Part of the process: there whenever it answers.
    pub(crate) cache: PartOut,
}

/// Whether one part works.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PartOut {
    #[schema(value_type = String, example = "ok")]
    pub(crate) status: &'static str,
}

impl PartOut {
    pub(crate) const OK: Self = Self { status: "ok" };
    pub(crate) const ERROR: Self = Self { status: "error" };
}
