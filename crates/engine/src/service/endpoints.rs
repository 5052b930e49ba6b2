//! Endpoints: where an application's messages go.

mod input;
mod listing;
mod preview;
mod secrets;

use watchfire_contracts::manifest::PingOn;
use watchfire_domain::audit::Action;
use watchfire_domain::endpoint::{Identity, Secrets, Settings};
use watchfire_domain::filter::Subscription;
use watchfire_domain::health::{Health, State};
use watchfire_domain::id::{EndpointId, EventType, NoticeId};
use watchfire_domain::notice::NoticeKind;
use watchfire_domain::secret::SigningKey;
use watchfire_store::{AppKey, Change, Endpoint, EndpointRef, Range, StoredEndpoint};

pub use self::input::{EndpointInput, EndpointPatch, Extras};
pub use self::listing::{Condition, EndpointQuery, ListedEndpoint, Sort, search};
pub use self::preview::{Preview, preview};
pub use self::secrets::{
    Rotation, headers, patch_headers, put_headers, rotate, secret, secret_after_rotation,
};
use super::audit::{self, Deed, Seen};
use super::check::Faults;
use super::{Edit, Error, Put, Repeatable, Result, UPDATE_TRIES_MAX, health};
use crate::{Engine, Snapshot, notices};

/// An endpoint with its secrets open, for whoever may see part of them.
#[derive(Clone, Debug)]
pub struct OpenEndpoint {
    pub stored: StoredEndpoint,
    pub secrets: Secrets,
}

/// Creates an endpoint.
///
/// # Errors
///
/// [`Error::Exists`] if its uid is taken, [`Error::LimitReached`] if the application is full.
pub async fn create(
    engine: &Engine,
    app: &Snapshot,
    input: EndpointInput,
    repeatable: Option<Repeatable<'_, OpenEndpoint>>,
) -> Result<OpenEndpoint> {
    let now = engine.clock().now();
    let mut faults = Faults::default();
    let given = input.secret.as_ref();
    let key = given.map(|text| faults.keep("secret", SigningKey::parse(text.expose())));
    let key = key
        .flatten()
        .unwrap_or_else(|| SigningKey::generate(engine.entropy()));
    let blank = OpenEndpoint {
        stored: blank(app.stored.key, EndpointId::new(now, engine.entropy()), now),
        secrets: Secrets::with_key(key),
    };
    let made = input
        .into_patch()
        .applied_to(blank, engine, &app.contract, faults)?;
    known_event_types(engine, app, made.subscription()).await?;
    let remember = repeatable.map(|r| r.remember(now, &made));
    let create = Change::CreateEndpoint {
        application: app.stored.application.id,
        endpoint: made.sealed(engine),
    };
    let identity = &made.stored.endpoint.identity;
    let told = told(engine, app, identity, NoticeKind::EndpointCreated);
    let deed = Deed::within(app, Action::EndpointCreated, &identity.id);
    let noted = deed.noted(engine, Seen::NOTHING, audit::endpoint(&made));
    let changes = remember.into_iter().chain([create, noted]).chain(told);
    engine.apply(changes.collect()).await?;
    health::ping_saved(
        engine,
        app,
        made.stored.endpoint.identity.id,
        PingOn::Create,
    )
    .await;
    Ok(made)
}

/// An endpoint before anything was set. The key is the back end's to give.
fn blank(app: AppKey, id: EndpointId, now: watchfire_domain::time::Timestamp) -> StoredEndpoint {
    StoredEndpoint {
        key: watchfire_store::EndpointKey(0),
        app,
        revision: 0,
        endpoint: Endpoint {
            identity: Identity {
                id,
                uid: None,
                created_at: now,
                updated_at: now,
            },
            settings: Settings {
                url: String::new(),
                description: String::new(),
                disabled: false,
                subscription: Subscription::default(),
                throttle_rate: None,
                metadata: std::collections::BTreeMap::new(),
                version: 1,
                method: None,
                timeout_ms: None,
                ordered: None,
                owner: None,
            },
            sealed: Vec::new(),
        },
        health: Health::default(),
        health_revision: 0,
    }
}

/// Opens a stored endpoint's secrets.
pub(super) fn open(engine: &Engine, stored: StoredEndpoint) -> Result<OpenEndpoint> {
    let id = stored.endpoint.identity.id;
    let secrets = engine.vault().open(id, &stored.endpoint.sealed)?;
    Ok(OpenEndpoint { stored, secrets })
}

impl OpenEndpoint {
    fn subscription(&self) -> &Subscription {
        &self.stored.endpoint.settings.subscription
    }

    fn sealed(&self, engine: &Engine) -> Endpoint {
        let id = self.stored.endpoint.identity.id;
        Endpoint {
            sealed: engine.vault().seal(id, &self.secrets, engine.entropy()),
            ..self.stored.endpoint.clone()
        }
    }
}

/// Event types an endpoint lists one by one must exist; prefixes may match what is yet to come.
async fn known_event_types(
    engine: &Engine,
    app: &Snapshot,
    subscription: &Subscription,
) -> Result<()> {
    let mut faults = Faults::default();
    for name in &subscription.event_types {
        let Ok(exact) = name.parse::<EventType>() else {
            continue;
        };
        if notices::is_operational(&app.stored.org) {
            let known = NoticeKind::ALL.iter().any(|kind| kind.event_type() == name);
            if !known {
                faults.add("eventTypes", format_args!("there is no notice {name}"));
            }
            continue;
        }
        let store = engine.store();
        if app.contract.event_type(name).is_none()
            && store.event_type(&app.stored.org, &exact).await?.is_none()
        {
            faults.add("eventTypes", format_args!("no event type is named {name}"));
        }
    }
    faults.finish()
}

pub async fn list(
    engine: &Engine,
    app: &Snapshot,
    range: Range<EndpointId>,
) -> Result<Vec<OpenEndpoint>> {
    let stored = engine.store().endpoints(app.stored.key, range).await?;
    stored
        .into_iter()
        .map(|stored| open(engine, stored))
        .collect()
}

pub async fn find(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
) -> Result<OpenEndpoint> {
    let stored = engine.store().endpoint(app.stored.key, reference).await?;
    open(engine, stored.ok_or(Error::NotFound)?)
}

/// Replaces an endpoint's settings, or creates it. Secrets are left alone.
pub async fn put(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    input: EndpointInput,
) -> Result<(OpenEndpoint, Put)> {
    match patch(engine, app, reference, input.clone().into_patch()).await {
        Ok(endpoint) => Ok((endpoint, Put::Updated)),
        Err(Error::NotFound) => {
            let mut input = input;
            if let (None, EndpointRef::Uid(uid)) = (&input.uid, reference) {
                input.uid = Some(uid.to_string());
            }
            Ok((create(engine, app, input, None).await?, Put::Created))
        }
        Err(error) => Err(error),
    }
}

pub async fn patch(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    patch: EndpointPatch,
) -> Result<OpenEndpoint> {
    let checks_types = !matches!(patch.event_types, Edit::Keep);
    let enables = patch.disabled == Edit::Set(false);
    let mut tries = 0;
    loop {
        tries += 1;
        let old = find(engine, app, reference).await?;
        let (key, revision) = (old.stored.key, old.stored.revision);
        let before = audit::endpoint(&old);
        let mut new = patch
            .clone()
            .applied_to(old, engine, &app.contract, Faults::default())?;
        if checks_types {
            known_event_types(engine, app, new.subscription()).await?;
        }
        let identity = &new.stored.endpoint.identity;
        let deed = Deed::within(app, Action::EndpointUpdated, &identity.id);
        let noted = deed.noted(engine, before, audit::endpoint(&new));
        let mut changes = vec![update(engine, key, revision, &new), noted];
        changes.extend(told(engine, app, identity, NoticeKind::EndpointUpdated));
        if patch.secret.is_some() {
            let deed = Deed::within(app, Action::EndpointSecretRotated, &identity.id);
            changes.push(deed.noted(engine, Seen::NOTHING, Seen::NOTHING));
        }
        // A person who switches it on overrules what its failures said.
        if enables && new.stored.health.state() != State::Active {
            new.stored.health = new.stored.health.activate().next;
            let health = new.stored.health.clone();
            changes.push(Change::SetHealth {
                key,
                health,
                revision: None,
            });
        }
        match engine.apply(changes).await.map_err(Error::from) {
            Ok(()) => {
                let id = new.stored.endpoint.identity.id;
                health::ping_saved(engine, app, id, PingOn::Edit).await;
                return Ok(new);
            }
            Err(Error::Contended) if tries < UPDATE_TRIES_MAX => {}
            Err(error) => return Err(error),
        }
    }
}

pub(super) fn update(
    engine: &Engine,
    key: watchfire_store::EndpointKey,
    revision: i64,
    new: &OpenEndpoint,
) -> Change {
    Change::UpdateEndpoint {
        key,
        revision,
        endpoint: new.sealed(engine),
    }
}

/// Deletes an endpoint; what it owes is settled by the engine.
pub async fn delete(engine: &Engine, app: &Snapshot, reference: &EndpointRef) -> Result<()> {
    let endpoint = find(engine, app, reference).await?;
    let delete = Change::DeleteEndpoint {
        key: endpoint.stored.key,
        now: engine.clock().now(),
    };
    let identity = &endpoint.stored.endpoint.identity;
    let told = told(engine, app, identity, NoticeKind::EndpointDeleted);
    let deed = Deed::within(app, Action::EndpointDeleted, &identity.id);
    let noted = deed.noted(engine, audit::endpoint(&endpoint), Seen::NOTHING);
    let changes = [delete, noted].into_iter().chain(told);
    Ok(engine.apply(changes.collect()).await?)
}

/// What people are told about an edit.
fn told(engine: &Engine, app: &Snapshot, identity: &Identity, kind: NoticeKind) -> Option<Change> {
    let now = engine.clock().now();
    let id = NoticeId::new(now, engine.entropy());
    notices::of_edit(id, app, identity, kind, now).map(Change::Tell)
}
