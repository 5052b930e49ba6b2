//! The inbox, and the operational application behind the operational webhooks.

use std::sync::Arc;

use watchfire_domain::id::{NoticeId, OrganizationId};
use watchfire_store::{ApplicationRef, InboxLine, Range, Reading};

use super::applications::{self, ApplicationInput};
use super::{Edit, Error, Result};
use crate::notices::MANAGEMENT;
use crate::{Engine, Snapshot};

/// What it is called in lists; nobody but us looks there.
const NAME: &str = "Operational webhooks";

/// An organization's inbox.
pub async fn inbox(
    engine: &Engine,
    org: &OrganizationId,
    reading: Reading,
    range: Range<NoticeId>,
) -> Result<Vec<InboxLine>> {
    Ok(engine.store().inbox(org, reading, range).await?)
}

/// Marks a line as read; what happens after that begins a new one.
pub async fn mark_read(engine: &Engine, org: &OrganizationId, id: NoticeId) -> Result<InboxLine> {
    let now = engine.clock().now();
    let line = engine.store().mark_read(org, id, now).await?;
    line.ok_or(Error::NotFound)
}

/// The application whose endpoints get an organization's operational webhooks; made when somebody
/// first asks for it. It follows our own contract, whatever the default is.
pub async fn operational(engine: &Engine, org: &OrganizationId) -> Result<Arc<Snapshot>> {
    let management = MANAGEMENT.parse().expect("a valid name");
    let uid = org.as_str().parse().map_err(|_| Error::NotFound)?;
    let input = ApplicationInput {
        name: NAME.to_owned(),
        uid: Some(org.to_string()),
        contract: Edit::Set("standard".to_owned()),
        ..ApplicationInput::default()
    };
    let reference = ApplicationRef::Uid(uid);
    applications::find_or_create(engine, &management, &reference, Some(input)).await
}
