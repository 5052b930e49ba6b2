//! API keys: what programs prove with who they are.
//!
//! A key is shown once, when it is made. What is stored is its keyed hash.

mod text;

use std::sync::Arc;

use watchfire_domain::audit::Action;
use watchfire_domain::id::{KeyId, OrganizationId};
use watchfire_domain::limit;
use watchfire_domain::scope::{Scope, Scopes};
use watchfire_domain::secret::SecretText;
use watchfire_domain::time::Timestamp;
use watchfire_store::{ApiKey, ApplicationRef, Change, Range, StoredApiKey};

use super::audit::{self, Deed, Seen};
use super::check::Faults;
use super::{Error, Result, applications};
use crate::Engine;
pub use text::PREFIX;
use text::Presented;

/// A key to make, as somebody typed it.
#[derive(Clone, Debug, Default)]
pub struct KeyInput {
    pub name: String,
    /// The one application it reaches; all of the organization if absent.
    pub application: Option<ApplicationRef>,
    pub scopes: Vec<String>,
    /// It is valid until it is revoked if absent.
    pub expires_at: Option<Timestamp>,
}

/// A key that was just made, and the only copy of its text.
#[derive(Clone, Debug)]
pub struct MadeKey {
    pub stored: StoredApiKey,
    pub text: SecretText,
}

/// Makes a key.
///
/// It can't be repeated by an idempotency key: the answer would have to be kept, and with it the
/// key.
pub async fn create(engine: &Engine, org: &OrganizationId, input: KeyInput) -> Result<MadeKey> {
    let now = engine.clock().now();
    let mut faults = Faults::default();
    faults.chars("name", &input.name, 1, limit::NAME_CHARS_MAX);
    let scopes = check_scopes(&input.scopes, &mut faults);
    if input.expires_at.is_some_and(|at| at <= now) {
        faults.add("expiresAt", "must be in the future");
    }
    let application = match &input.application {
        Some(reference) => match applications::find(engine, org, reference).await {
            Ok(found) => Some(found.stored.application.id),
            Err(Error::NotFound) => {
                faults.add("applicationId", "names no application");
                None
            }
            Err(error) => return Err(error),
        },
        None => None,
    };
    faults.finish()?;
    let id = KeyId::new(now, engine.entropy());
    let text = text::draw(id, engine.entropy());
    let key = ApiKey {
        id,
        org: org.clone(),
        application,
        name: input.name,
        scopes,
        created_at: now,
        expires_at: input.expires_at,
        hash: engine.vault().hash(text.expose().as_bytes()),
    };
    let create = Change::CreateApiKey { key: key.clone() };
    let deed = Deed::of(org, Action::KeyCreated, &id).about(application);
    let noted = deed.noted(engine, Seen::NOTHING, audit::key(&key));
    engine.apply(vec![create, noted]).await?;
    tracing::info!(key.id = %id, key.scopes = %scopes, "API key created");
    let stored = StoredApiKey {
        key,
        last_used_at: None,
    };
    Ok(MadeKey { stored, text })
}

fn check_scopes(names: &[String], faults: &mut Faults) -> Scopes {
    if names.is_empty() {
        faults.add("scopes", "must name one scope at least");
    }
    if names.len() > Scope::ALL.len() {
        let most = Scope::ALL.len();
        faults.add("scopes", format_args!("may have at most {most} items"));
        return Scopes::NONE;
    }
    let mut scopes = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match name.parse::<Scope>() {
            Ok(scope) => scopes.push(scope),
            Err(reason) => faults.add_at("scopes", format!("[{index}]"), reason),
        }
    }
    scopes.into_iter().collect()
}

/// Keys of an organization and its applications, expired ones as well.
pub async fn list(
    engine: &Engine,
    org: &OrganizationId,
    range: Range<KeyId>,
) -> Result<Vec<StoredApiKey>> {
    Ok(engine.store().api_keys(org, range).await?)
}

pub async fn find(engine: &Engine, org: &OrganizationId, id: KeyId) -> Result<StoredApiKey> {
    let found = engine.store().api_key(id).await?;
    found
        .filter(|stored| stored.key.org == *org)
        .ok_or(Error::NotFound)
}

/// Revokes a key: on this node it works no more when this returns.
pub async fn revoke(engine: &Engine, org: &OrganizationId, id: KeyId) -> Result<()> {
    let revoke = Change::RevokeApiKey {
        org: org.clone(),
        id,
    };
    let before = find(engine, org, id).await?.key;
    let deed = Deed::of(org, Action::KeyRevoked, &id).about(before.application);
    let noted = deed.noted(engine, audit::key(&before), Seen::NOTHING);
    engine.apply(vec![revoke, noted]).await?;
    tracing::info!(key.id = %id, "API key revoked");
    Ok(())
}

/// The key a caller presents, if it is one of ours and valid. Why it is not is nobody's business.
pub async fn authenticate(engine: &Engine, text: &str) -> Result<Option<Arc<StoredApiKey>>> {
    let Some(Presented { id }) = text::parse(text) else {
        return Ok(None);
    };
    let stored = valid(engine, id).await?;
    let genuine = |stored: &Arc<StoredApiKey>| {
        let vault = engine.vault();
        vault.is_hash_of(&stored.key.hash, text.as_bytes())
    };
    let stored = stored.filter(genuine);
    if let Some(stored) = &stored {
        engine.keyring().note_use(stored, engine.clock().now());
    }
    Ok(stored)
}

/// A key that was neither revoked nor has expired, for a caller who has presented it before.
pub(crate) async fn valid(engine: &Engine, id: KeyId) -> Result<Option<Arc<StoredApiKey>>> {
    let now = engine.clock().now();
    let stored = engine.keyring().find(id, now).await?;
    Ok(stored.filter(|stored| stored.key.expires_at.is_none_or(|at| at > now)))
}
