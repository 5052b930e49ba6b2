//! A delivery's request, shown to people; and whether a signature is one of ours.
//!
//! Requests are not stored: what they are made of is, the message and the recipe of the attempt, and
//! it is made the same way again. So what is shown is what was sent, whatever became of the endpoint
//! and its contract.

use bytes::Bytes;
use watchfire_contracts::render::{Prepared, Rendered};
use watchfire_contracts::verify::{Received, VerifyingKey, verify};
use watchfire_domain::attempt::Attempt;
use watchfire_domain::outcome::{Cause, Outcome};
use watchfire_domain::secret::SigningKey;
use watchfire_domain::time::Timestamp;
use watchfire_store::{EndpointKey, EndpointRef, MessageRef, StoredMessage};

use super::attempts::AttemptView;
use super::{Error, Result};
use super::{endpoints, messages};
use crate::endpoint::event_of;
use crate::{Engine, Snapshot};

/// The names of the headers that sign a request.
const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

/// A request as it is sent.
#[derive(Clone, Debug)]
pub struct Shown {
    pub method: String,
    pub url: String,
    /// Names and values; no value where it is a secret.
    pub headers: Vec<(String, Option<String>)>,
    /// `None` if the payload was removed: the body is made of it.
    pub body: Option<Bytes>,
    pub made: Made,
}

/// How it is known what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// By the recipe of the attempt.
    AsThen,
    /// With the settings of today: the attempt is of a version that kept no recipes.
    AsToday {
        /// The endpoint or its application was changed after that time, and may have said something
        /// else.
        changed_since: bool,
    },
}

/// Why there is no request to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unshown {
    #[error("the endpoint was deleted")]
    EndpointDeleted,
    #[error("the payload was removed")]
    PayloadGone,
    #[error("no request can be made with the endpoint's settings of today")]
    Unready,
    #[error("none was made")]
    NotMade,
}

impl Shown {
    /// The value of a header, unless it is a secret.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.and_then(|(_, value)| value.as_deref())
    }

    /// What the signature is made over, in front of the body.
    pub fn signed_prefix(&self) -> Option<String> {
        Some(format!("{}.{}.", self.header(ID)?, self.header(TIMESTAMP)?))
    }
}

/// The request of an attempt that was found.
pub async fn of_attempt(
    engine: &Engine,
    app: &Snapshot,
    found: &AttemptView,
) -> Result<Result<Shown, Unshown>> {
    let message = MessageRef::Id(found.stored.message_id);
    let stored = messages::find(engine, app, &message).await?;
    show(
        engine,
        (app, found.stored.endpoint),
        &stored,
        &found.stored.attempt,
    )
    .await
}

/// The request that an attempt made to bring a message to an endpoint.
pub async fn show(
    engine: &Engine,
    (app, endpoint): (&Snapshot, EndpointKey),
    stored: &StoredMessage,
    attempt: &Attempt,
) -> Result<Result<Shown, Unshown>> {
    if !may_have_been_made(&attempt.outcome) {
        return Ok(Err(Unshown::NotMade));
    }
    if let Some(sent) = &attempt.sent {
        let store = engine.store();
        let recipe = store.recipe(app.stored.key, endpoint, sent.recipe).await?;
        if let Some(shown) = recipe.and_then(|recipe| as_then(&recipe, stored, attempt)) {
            return Ok(Ok(shown));
        }
        tracing::error!(attempt.id = %attempt.id, "the recipe of an attempt can't be read");
    }
    let Some(payload) = &stored.message.payload else {
        return Ok(Err(Unshown::PayloadGone));
    };
    Ok(as_today((app, endpoint), stored, payload, attempt))
}

fn may_have_been_made(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Skipped { .. } | Outcome::Blocked { .. } => false,
        Outcome::Unreachable { cause } => *cause != Cause::InvalidUrl,
        Outcome::Accepted { .. }
        | Outcome::Refused { .. }
        | Outcome::TimedOut { .. }
        | Outcome::Oversize
        | Outcome::Malformed => true,
    }
}

/// `None` if the recipe, or the signature, is damaged.
fn as_then(recipe: &str, stored: &StoredMessage, attempt: &Attempt) -> Option<Shown> {
    let signature = attempt.sent.as_ref()?.signature.parse().ok()?;
    let prepared = Prepared::from_recipe(recipe).ok()?;
    // Of all that was sent, only the body is made of the payload.
    let (payload, is_there) = match &stored.message.payload {
        Some(payload) => (payload, true),
        None => (&STAND_IN, false),
    };
    let event = event_of(&stored.message, payload, attempt.attempted_at);
    let rendered = prepared.render_again(&event, signature).ok()?;
    let mut shown = shown(&prepared, rendered, attempt, Made::AsThen);
    shown.body.take_if(|_| !is_there);
    Some(shown)
}

/// In place of a payload that was removed.
static STAND_IN: Bytes = Bytes::from_static(b"null");

fn as_today(
    (app, endpoint): (&Snapshot, EndpointKey),
    stored: &StoredMessage,
    payload: &Bytes,
    attempt: &Attempt,
) -> Result<Shown, Unshown> {
    let at = attempt.attempted_at;
    let endpoint = app.endpoint(endpoint).ok_or(Unshown::EndpointDeleted)?;
    let rendered = endpoint.rendered(&stored.message, payload, at);
    let (prepared, rendered) = rendered.ok_or(Unshown::Unready)?;
    let changed_at = endpoint.stored.endpoint.identity.updated_at;
    let changed_at = changed_at.max(app.stored.application.updated_at);
    let changed_since = changed_at > at;
    Ok(shown(
        prepared,
        rendered,
        attempt,
        Made::AsToday { changed_since },
    ))
}

fn shown(prepared: &Prepared, rendered: Rendered, attempt: &Attempt, made: Made) -> Shown {
    let headers = rendered.headers.iter().map(|(name, value)| {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let name = prepared.name_as_written(name).to_owned();
        (name, (!value.is_sensitive()).then_some(text))
    });
    Shown {
        method: rendered.method.to_string(),
        url: attempt.url.clone(),
        headers: headers.collect(),
        body: Some(rendered.body),
        made,
    }
}

/// What is to be said about a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureVerdict {
    /// It was made with the endpoint's present secret.
    Genuine,
    /// It was made with a secret that was replaced, and still signs along.
    GenuineOld,
    /// It is what was sent, with a secret that is gone since.
    Recorded,
    /// It was made with neither, or over something else.
    Wrong,
}

/// Judges a signature that a receiver got, over the request that is shown. Without its body, all that
/// can be said is whether it is what was sent.
pub async fn judge(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    shown: &Shown,
    signature: &str,
) -> Result<SignatureVerdict> {
    let (Some(id), Some(timestamp)) = (shown.header(ID), shown.header(TIMESTAMP)) else {
        return Err(Error::NotFound);
    };
    let signature = signature.trim();
    let signature = signature
        .strip_prefix(SIGNATURE)
        .map_or(signature, |rest| rest.trim_start_matches([':', ' ']));
    let recorded = shown.made == Made::AsThen
        && shown
            .header(SIGNATURE)
            .is_some_and(|sent| has_in_common(sent, signature));
    let Some(body) = &shown.body else {
        return Ok(without_secret(recorded));
    };
    let received = Received {
        id,
        timestamp,
        signature,
        body,
    };
    let seconds = timestamp.parse().unwrap_or_default();
    let then = Timestamp::from_unix_seconds(seconds);
    let secrets = match endpoints::find(engine, app, reference).await {
        Ok(endpoint) => endpoint.secrets,
        // The endpoint is gone, and its secrets with it: what was sent is all there is to compare.
        Err(Error::NotFound) if shown.made == Made::AsThen => return Ok(without_secret(recorded)),
        Err(error) => return Err(error),
    };
    let signs = |key: &SigningKey| {
        let key = VerifyingKey::parse(&key.shareable());
        key.is_ok_and(|key| verify(received, &[key], then).is_ok())
    };
    let old = secrets.old_keys.iter().any(|old| signs(&old.key));
    Ok(if signs(&secrets.key) {
        SignatureVerdict::Genuine
    } else if old {
        SignatureVerdict::GenuineOld
    } else {
        without_secret(recorded)
    })
}

/// What is to be said of a signature that no secret of today made, or that can't be made again.
fn without_secret(recorded: bool) -> SignatureVerdict {
    if recorded {
        SignatureVerdict::Recorded
    } else {
        SignatureVerdict::Wrong
    }
}

/// Whether two lists of signatures have one in common.
fn has_in_common(sent: &str, received: &str) -> bool {
    received
        .split(' ')
        .any(|one| !one.is_empty() && sent.split(' ').any(|other| other == one))
}
