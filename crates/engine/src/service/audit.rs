//! The audit log: who changed what, before and after.
//!
//! A service adds the line to the list of changes it is about, so both are stored or none. Only
//! what may be read back stands in a line: settings, names of headers, kinds of authentication;
//! never a secret or a header's value.

use std::fmt::Display;

use serde::Serialize;
use serde_json::{Map, Value, json};
use watchfire_domain::audit::Action;
use watchfire_domain::endpoint::Auth;
use watchfire_domain::health::Health;
use watchfire_domain::id::{ApplicationId, AuditId, OrganizationId};
use watchfire_domain::limit;
use watchfire_store::{
    ApiKey, Application, AuditEntry, AuditFilter, Change, EventTypeRecord, Range, Task, TaskKind,
};

use super::Result;
use super::endpoints::OpenEndpoint;
use crate::{Engine, Snapshot, notices};

/// Lines of an organization's log.
pub async fn list(
    engine: &Engine,
    org: &OrganizationId,
    filter: &AuditFilter,
    range: Range<AuditId>,
) -> Result<Vec<AuditEntry>> {
    Ok(engine.store().audit(org, filter, range).await?)
}

/// Notes that somebody made a link to an application's portal.
pub async fn note_portal_link(engine: &Engine, app: &Snapshot) -> Result<()> {
    let id = app.stored.application.id;
    let deed = Deed::within(app, Action::PortalLinkCreated, &id);
    let noted = deed.noted(engine, Seen::NOTHING, Seen::NOTHING);
    Ok(engine.apply(vec![noted]).await?)
}

/// What was done, and to what.
pub(super) struct Deed {
    org: OrganizationId,
    application: Option<ApplicationId>,
    action: Action,
    object: String,
}

impl Deed {
    /// Something that belongs to an application.
    pub(super) fn within(app: &Snapshot, action: Action, object: &dyn Display) -> Self {
        let stored = &app.stored;
        // The application of operational webhooks is ours; what it is for is its organization.
        let owner = stored.application.uid.as_ref();
        let owner = owner.filter(|_| notices::is_operational(&stored.org));
        let owner = owner.and_then(|uid| uid.as_str().parse().ok());
        Self {
            application: owner.is_none().then_some(stored.application.id),
            org: owner.unwrap_or_else(|| stored.org.clone()),
            action,
            object: object.to_string(),
        }
    }

    /// Something that belongs to an organization.
    pub(super) fn of(org: &OrganizationId, action: Action, object: &dyn Display) -> Self {
        Self {
            org: org.clone(),
            application: None,
            action,
            object: object.to_string(),
        }
    }

    pub(super) fn about(mut self, application: Option<ApplicationId>) -> Self {
        self.application = application;
        self
    }

    /// The line to write with the change.
    pub(super) fn noted(self, engine: &Engine, before: Seen, after: Seen) -> Change {
        let now = engine.clock().now();
        let (before, after) = differing(before, after);
        Change::Audit(Box::new(AuditEntry {
            id: AuditId::new(now, engine.entropy()),
            org: self.org,
            at: now,
            author: engine.author(),
            action: self.action,
            application: self.application,
            object: self.object,
            before: before.text(),
            after: after.text(),
        }))
    }
}

/// What somebody may see of an object, as members of a JSON object; nothing if there is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Seen(Option<Map<String, Value>>);

impl Seen {
    pub(super) const NOTHING: Self = Self(None);

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0
            .get_or_insert_default()
            .insert(name.to_owned(), value.into());
        self
    }

    fn from(settings: &impl Serialize) -> Self {
        match serde_json::to_value(settings) {
            Ok(Value::Object(members)) => Self(Some(members)),
            Ok(_) | Err(_) => Self(Some(Map::new())),
        }
    }

    /// `None` where nothing is to be said. A value that is too long is named by its size.
    fn text(self) -> Option<String> {
        let mut members = self.0.filter(|members| !members.is_empty())?;
        let size = |value: &Value| value.to_string().len();
        let mut total: usize = members.values().map(size).sum();
        while total > limit::AUDIT_STATE_BYTES_MAX {
            let largest = members.values_mut().max_by_key(|value| size(value))?;
            let bytes = size(largest);
            *largest = Value::String(format!("({bytes} bytes)"));
            let now: usize = members.values().map(size).sum();
            if now >= total {
                break;
            }
            total = now;
        }
        Some(Value::Object(members).to_string())
    }
}

/// Leaves out what is the same before and after.
fn differing(mut before: Seen, mut after: Seen) -> (Seen, Seen) {
    if let (Some(old), Some(new)) = (&mut before.0, &mut after.0) {
        old.retain(|name, value| match new.get(name) {
            Some(same) if same == value => {
                new.remove(name);
                false
            }
            Some(_) | None => true,
        });
    }
    (before, after)
}

impl<'a> FromIterator<(&'a str, Value)> for Seen {
    fn from_iter<I: IntoIterator<Item = (&'a str, Value)>>(members: I) -> Self {
        let members = members.into_iter();
        Self(Some(
            members
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        ))
    }
}

pub(super) fn application(application: &Application) -> Seen {
    Seen::from(&application.settings).with("uid", json!(application.uid))
}

pub(super) fn endpoint(endpoint: &OpenEndpoint) -> Seen {
    let stored = &endpoint.stored.endpoint;
    let secrets = &endpoint.secrets;
    let headers: Vec<_> = secrets.headers.iter().map(|(name, _)| name).collect();
    Seen::from(&stored.settings)
        .with("uid", json!(stored.identity.uid))
        .with("headers", json!(headers))
        .with("auth", auth_kind(&secrets.auth))
}

fn auth_kind(auth: &Auth) -> &'static str {
    match auth {
        Auth::None => "none",
        Auth::Basic { .. } => "basic",
        Auth::Bearer { .. } => "bearer",
        Auth::Header { .. } => "header",
    }
}

pub(super) fn health(endpoint: &OpenEndpoint, health: &Health) -> Seen {
    let disabled = endpoint.stored.endpoint.settings.disabled;
    Seen::from_iter([
        ("health", json!(health.state_name())),
        ("disabled", json!(disabled)),
    ])
}

pub(super) fn event_type(record: &EventTypeRecord) -> Seen {
    Seen::from(&record.settings).with("archived", record.archived)
}

pub(super) fn key(key: &ApiKey) -> Seen {
    Seen::from_iter([
        ("name", json!(key.name)),
        ("scopes", json!(key.scopes.to_string())),
        ("application", json!(key.application)),
        ("expiresAt", json!(key.expires_at)),
    ])
}

pub(super) fn task(task: &Task) -> Seen {
    let kind = match task.kind {
        TaskKind::Recover => "recover",
        TaskKind::ReplayMissing => "replay missing",
        TaskKind::BulkReplay => "replay",
        TaskKind::CancelMessages => "cancel",
        TaskKind::PurgeContent => "remove payloads",
        TaskKind::Usage => "report usage",
        TaskKind::Subscriptions => "report subscriptions",
    };
    Seen::from(&task.arguments).with("kind", kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(members: &[(&str, Value)]) -> Seen {
        members
            .iter()
            .map(|(name, value)| (*name, value.clone()))
            .collect()
    }

    #[test]
    fn only_what_differs_is_noted() {
        let before = state(&[("a", json!(1)), ("b", json!([1])), ("gone", json!(true))]);
        let after = state(&[("a", json!(1)), ("b", json!([2])), ("new", json!("x"))]);
        let (before, after) = differing(before, after);
        assert_eq!(before.text().as_deref(), Some(r#"{"b":[1],"gone":true}"#));
        assert_eq!(after.text().as_deref(), Some(r#"{"b":[2],"new":"x"}"#));
    }

    #[test]
    fn what_was_not_there_is_noted_whole() {
        let after = state(&[("a", json!(1))]);
        let (before, after) = differing(Seen::NOTHING, after);
        assert_eq!(before.text(), None);
        assert_eq!(after.text().as_deref(), Some(r#"{"a":1}"#));
    }

    #[test]
    fn what_is_too_long_is_named_by_its_size() {
        let most = limit::AUDIT_STATE_BYTES_MAX;
        let fits = state(&[("a", json!("x".repeat(most - 2)))]);
        assert!(fits.text().is_some_and(|text| text.len() > most));
        let long = state(&[("a", json!("x".repeat(most - 1))), ("b", json!(1))]);
        let bytes = most + 1;
        let expected = format!(r#"{{"a":"({bytes} bytes)","b":1}}"#);
        assert_eq!(long.text(), Some(expected));
    }
}
