//! What signs an endpoint's deliveries, and the headers it gets.

use std::collections::BTreeMap;
use std::time::Duration;

use watchfire_domain::audit::Action;
use watchfire_domain::limit;
use watchfire_domain::notice::NoticeKind;
use watchfire_domain::secret::{OldKey, SecretText, SigningKey};
use watchfire_domain::time::Timestamp;
use watchfire_store::{Change, EndpointRef};

use super::super::audit::{self, Deed, Seen};
use super::super::check::Faults;
use super::super::headers::{self, Headers};
use super::super::{Edit, Error, Repeatable, Result, UPDATE_TRIES_MAX};
use super::input::check_contract;
use super::{OpenEndpoint, find, told, update};
use crate::{Engine, Snapshot};

/// A new signing key, and how long the old one goes on signing.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Generated if absent.
    pub key: Option<SecretText>,
    /// At most [`limit::SECRET_OVERLAP_MAX`].
    pub overlap: Duration,
}

/// The secret as its owner may see it. That somebody saw it stands in the audit log first.
pub async fn secret(engine: &Engine, app: &Snapshot, reference: &EndpointRef) -> Result<String> {
    let endpoint = find(engine, app, reference).await?;
    let id = endpoint.stored.endpoint.identity.id;
    let deed = Deed::within(app, Action::EndpointSecretRead, &id);
    let noted = deed.noted(engine, Seen::NOTHING, Seen::NOTHING);
    engine.apply(vec![noted]).await?;
    Ok(endpoint.secrets.key.shareable())
}

/// The secret for who has just replaced it, which stands in the audit log already.
pub async fn secret_after_rotation(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
) -> Result<String> {
    Ok(find(engine, app, reference).await?.secrets.key.shareable())
}

/// Replaces the signing key. The old one signs along with it until the overlap ends.
///
/// # Errors
///
/// [`Error::LimitReached`] if too many replaced keys still sign.
pub async fn rotate(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    rotation: Rotation,
    repeatable: Option<Repeatable<'_, ()>>,
) -> Result<()> {
    let mut faults = Faults::default();
    if rotation.overlap > limit::SECRET_OVERLAP_MAX {
        let max = limit::SECRET_OVERLAP_MAX.as_secs();
        faults.add(
            "gracePeriodSeconds",
            format_args!("must be between 0 and {max}"),
        );
    }
    let key = match &rotation.key {
        Some(text) => faults.keep("key", SigningKey::parse(text.expose())),
        None => Some(SigningKey::generate(engine.entropy())),
    };
    let Some(key) = key else {
        return Err(faults.into_error());
    };
    faults.finish()?;
    let now = engine.clock().now();
    let remember = repeatable.map(|r| r.remember(now, &()));
    let deed = (Action::EndpointSecretRotated, remember);
    change(engine, app, reference, deed, |endpoint| {
        replace_key(endpoint, key.clone(), rotation.overlap, now)
    })
    .await
}

fn replace_key(
    endpoint: &mut OpenEndpoint,
    key: SigningKey,
    overlap: Duration,
    now: Timestamp,
) -> Result<()> {
    let secrets = &mut endpoint.secrets;
    secrets.old_keys.retain(|old| old.expires_at > now);
    let old = std::mem::replace(&mut secrets.key, key);
    if overlap.is_zero() {
        return Ok(());
    }
    if secrets.old_keys.len() >= limit::OLD_SECRETS_MAX {
        return Err(Error::LimitReached {
            of: "replaced secrets that still sign",
            max: limit::OLD_SECRETS_MAX,
        });
    }
    secrets.old_keys.push(OldKey {
        key: old,
        expires_at: now + overlap,
    });
    Ok(())
}

/// The custom headers; sensitive values are for the caller to leave out.
pub async fn headers(engine: &Engine, app: &Snapshot, reference: &EndpointRef) -> Result<Headers> {
    Ok(find(engine, app, reference).await?.secrets.headers)
}

pub async fn put_headers(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    wanted: BTreeMap<String, String>,
) -> Result<()> {
    let wanted = headers::replaced(wanted);
    let deed = (Action::EndpointHeadersChanged, None);
    change(engine, app, reference, deed, |endpoint| {
        endpoint.secrets.headers.clone_from(&wanted);
        Ok(())
    })
    .await
}

pub async fn patch_headers(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    changes: BTreeMap<String, Edit<String>>,
) -> Result<()> {
    let deed = (Action::EndpointHeadersChanged, None);
    change(engine, app, reference, deed, |endpoint| {
        let old = std::mem::take(&mut endpoint.secrets.headers);
        endpoint.secrets.headers = headers::merged(old, changes.clone());
        Ok(())
    })
    .await
}

/// Reads, changes and writes an endpoint's secrets, together with `first`; people are told that it
/// was updated.
async fn change(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    (action, first): (Action, Option<Change>),
    edit: impl Fn(&mut OpenEndpoint) -> Result<()>,
) -> Result<()> {
    let mut tries = 0;
    loop {
        tries += 1;
        let mut endpoint = find(engine, app, reference).await?;
        let before = audit::endpoint(&endpoint);
        edit(&mut endpoint)?;
        let mut faults = Faults::default();
        check_contract(&endpoint, &app.contract, &mut faults);
        faults.finish()?;
        endpoint.stored.endpoint.identity.updated_at = engine.clock().now();
        let write = update(
            engine,
            endpoint.stored.key,
            endpoint.stored.revision,
            &endpoint,
        );
        let identity = &endpoint.stored.endpoint.identity;
        let told = told(engine, app, identity, NoticeKind::EndpointUpdated);
        let deed = Deed::within(app, action, &identity.id);
        let noted = deed.noted(engine, before, audit::endpoint(&endpoint));
        let changes = first.clone().into_iter().chain([write, noted]).chain(told);
        let changes = changes.collect();
        match engine.apply(changes).await.map_err(Error::from) {
            Err(Error::Contended) if tries < UPDATE_TRIES_MAX => {}
            result => return result,
        }
    }
}
