//! The audit log: who changed what, written together with the change.

use async_trait::async_trait;
use watchfire_domain::audit::{Action, Author};
use watchfire_domain::id::{ApplicationId, AuditId, OrganizationId};
use watchfire_domain::time::Timestamp;

use crate::StoreResult;
use crate::configuration::Range;

/// The audit log. Its lines are written with [`crate::Change::Audit`] and removed by retention
/// after [`crate::Retentions::audit`].
#[async_trait]
pub trait Audit: Send + Sync {
    /// Lines of an organization by id.
    async fn audit(
        &self,
        org: &OrganizationId,
        filter: &AuditFilter,
        range: Range<AuditId>,
    ) -> StoreResult<Vec<AuditEntry>>;
}

/// One line of the audit log. Secrets never stand in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    pub id: AuditId,
    pub org: OrganizationId,
    pub at: Timestamp,
    pub author: Author,
    pub action: Action,
    /// The application it belongs to, if it belongs to one.
    pub application: Option<ApplicationId>,
    /// The id or name of what was changed.
    pub object: String,
    /// JSON objects of what differs; absent where there was nothing, or is nothing left.
    pub before: Option<String>,
    pub after: Option<String>,
}

/// Which lines to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    pub application: Option<ApplicationId>,
    /// The id or name of what was changed.
    pub object: Option<String>,
}
