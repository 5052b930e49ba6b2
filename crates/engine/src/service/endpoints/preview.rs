//! The request a message would become, before the endpoint is saved.

use bytes::Bytes;
use watchfire_contracts::manifest::Instance;
use watchfire_contracts::render::{Destination, Event, render};
use watchfire_domain::endpoint::Secrets;
use watchfire_domain::id::{EndpointId, EventType, MessageId};
use watchfire_domain::secret::SigningKey;
use watchfire_store::EndpointRef;

use super::super::check::Faults;
use super::super::{Result, messages};
use super::{EndpointInput, OpenEndpoint, blank, find};
use crate::{Engine, Snapshot};

/// A request as it would go out; a value is absent where it is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    pub event_type: EventType,
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, Option<String>)>,
    pub body: Bytes,
}

/// The request that an example of an event type would become at an endpoint as it was typed, or at
/// an existing one with these changes. Nothing is stored or sent.
///
/// # Errors
///
/// `Error::Invalid` with everything that would keep the endpoint from being saved.
pub async fn preview(
    engine: &Engine,
    app: &Snapshot,
    existing: Option<&EndpointRef>,
    input: EndpointInput,
    event_type: &EventType,
) -> Result<Preview> {
    let now = engine.clock().now();
    let old = match existing {
        Some(reference) => find(engine, app, reference).await?,
        None => OpenEndpoint {
            stored: blank(app.stored.key, EndpointId::new(now, engine.entropy()), now),
            secrets: Secrets::with_key(SigningKey::generate(engine.entropy())),
        },
    };
    let endpoint = input
        .into_patch()
        .applied_to(old, engine, &app.contract, Faults::default())?;
    let payload = messages::sample(engine, app, event_type).await?;
    let said = &app.stored.application.settings.instance;
    let instance = Instance {
        instance_url: said.get("instance_url").cloned(),
        product_version: said.get("product_version").cloned(),
    };
    let settings = &endpoint.stored.endpoint.settings;
    let destination = Destination {
        contract: &app.contract,
        instance: &instance,
        settings,
        secrets: &endpoint.secrets,
        signature_headers: engine.config().signature_headers,
    };
    let event = Event {
        message_id: MessageId::new(now, engine.entropy()),
        event_type,
        payload: &payload,
        raw_body: None,
        now,
    };
    let rendered = render(destination, &event).map_err(|error| {
        let mut faults = Faults::default();
        faults.add("contract", error);
        faults.into_error()
    })?;
    let shown = |value: &http::HeaderValue| {
        let plain = (!value.is_sensitive()).then(|| value.to_str().ok());
        plain.flatten().map(ToOwned::to_owned)
    };
    let headers = rendered.headers.iter();
    Ok(Preview {
        event_type: event_type.clone(),
        method: rendered.method.to_string(),
        url: settings.url.clone(),
        headers: headers
            .map(|(name, value)| (name.as_str().to_owned(), shown(value)))
            .collect(),
        body: rendered.body,
    })
}
