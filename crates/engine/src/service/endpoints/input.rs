//! Endpoints as somebody typed them.

use std::collections::BTreeMap;

use watchfire_contracts::Contract;
use watchfire_contracts::render::{EndpointFault, RenderError};
use watchfire_domain::endpoint::{Auth, Method};
use watchfire_domain::id::{EndpointId, EventType};
use watchfire_domain::limit;
use watchfire_domain::secret::{SecretText, SigningKey};

use super::super::check::{Faults, Label, deduplicated};
use super::super::{Edit, Result, headers};
use super::OpenEndpoint;
use crate::Engine;

/// A whole endpoint as somebody typed it.
#[derive(Clone, Debug, Default)]
pub struct EndpointInput {
    pub url: String,
    pub description: String,
    pub disabled: bool,
    /// Empty means all.
    pub event_types: Vec<String>,
    /// Empty means all messages.
    pub channels: Vec<String>,
    pub uid: Option<String>,
    pub throttle_rate: Option<u32>,
    pub metadata: BTreeMap<String, String>,
    pub version: Option<u32>,
    /// Used only where the endpoint is created; generated if absent.
    pub secret: Option<SecretText>,
    pub extras: Extras,
}

/// A change of an endpoint as somebody typed it.
#[derive(Clone, Debug, Default)]
pub struct EndpointPatch {
    pub url: Edit<String>,
    pub description: Edit<String>,
    pub disabled: Edit<bool>,
    pub event_types: Edit<Vec<String>>,
    pub channels: Edit<Vec<String>>,
    pub uid: Edit<String>,
    pub throttle_rate: Edit<u32>,
    pub metadata: Edit<BTreeMap<String, String>>,
    pub version: Edit<u32>,
    /// Signs from now on, alone; a rotation lets the old one sign for a while.
    pub secret: Option<SecretText>,
    pub extras: Extras,
}

/// What clients written for other servers do not know: kept unless it is mentioned, even where
/// everything else is replaced.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    pub method: Edit<Method>,
    pub auth: Edit<Auth>,
    pub timeout_ms: Edit<u32>,
    pub ordered: Edit<bool>,
    pub owner: Edit<String>,
    /// All custom headers.
    pub headers: Edit<BTreeMap<String, String>>,
}

impl EndpointInput {
    /// A replacement as a change of every field.
    pub(super) fn into_patch(self) -> EndpointPatch {
        EndpointPatch {
            url: Edit::Set(self.url),
            description: Edit::Set(self.description),
            disabled: Edit::Set(self.disabled),
            event_types: Edit::Set(self.event_types),
            channels: Edit::Set(self.channels),
            uid: Edit::replace(self.uid),
            throttle_rate: Edit::replace(self.throttle_rate),
            metadata: Edit::Set(self.metadata),
            version: self.version.map_or(Edit::Keep, Edit::Set),
            secret: None,
            extras: self.extras,
        }
    }
}

impl EndpointPatch {
    /// The endpoint after the change. `faults` may hold what was found wrong before.
    pub(super) fn applied_to(
        self,
        mut old: OpenEndpoint,
        engine: &Engine,
        contract: &Contract,
        mut faults: Faults,
    ) -> Result<OpenEndpoint> {
        let identity = &mut old.stored.endpoint.identity;
        match self.uid {
            Edit::Keep => {}
            Edit::Clear => identity.uid = None,
            Edit::Set(uid) => identity.uid = faults.uid("uid", Some(uid), EndpointId::PREFIX),
        }
        identity.updated_at = engine.clock().now();
        let settings = &mut old.stored.endpoint.settings;
        match self.url {
            Edit::Keep => {}
            Edit::Clear => faults.add("url", "must not be null"),
            Edit::Set(url) => {
                settings.url = checked_url(engine, &url, &mut faults).unwrap_or_default();
            }
        }
        self.description.apply_or_default(&mut settings.description);
        self.disabled.apply_or_default(&mut settings.disabled);
        let subscription = &mut settings.subscription;
        self.event_types
            .map(deduplicated)
            .apply_or_default(&mut subscription.event_types);
        self.channels
            .map(deduplicated)
            .apply_or_default(&mut subscription.channels);
        self.throttle_rate.apply(&mut settings.throttle_rate);
        self.metadata.apply_or_default(&mut settings.metadata);
        if let Edit::Set(version) = self.version {
            settings.version = version;
        }
        if let Some(secret) = self.secret
            && let Some(key) = faults.keep("secret", SigningKey::parse(secret.expose()))
        {
            old.secrets.key = key;
            old.secrets.old_keys.clear();
        }
        self.extras.method.apply(&mut settings.method);
        self.extras.timeout_ms.apply(&mut settings.timeout_ms);
        self.extras.ordered.apply(&mut settings.ordered);
        self.extras.owner.apply(&mut settings.owner);
        self.extras.auth.apply_or_default(&mut old.secrets.auth);
        self.extras
            .headers
            .map(headers::replaced)
            .apply_or_default(&mut old.secrets.headers);
        if settings.subscription.event_types.is_empty() {
            let default = &contract.manifest().endpoint.default_events;
            settings.subscription.event_types.clone_from(default);
        }
        check(&old, &mut faults);
        check_contract(&old, contract, &mut faults);
        faults.finish()?;
        Ok(old)
    }
}

fn checked_url(engine: &Engine, url: &str, faults: &mut Faults) -> Option<String> {
    if url.chars().count() > limit::URL_CHARS_MAX {
        let max = limit::URL_CHARS_MAX;
        faults.add("url", format_args!("may have at most {max} characters"));
        return None;
    }
    faults.keep("url", engine.check_url(url))
}

fn check(endpoint: &OpenEndpoint, faults: &mut Faults) {
    let settings = &endpoint.stored.endpoint.settings;
    faults.chars(
        "description",
        &settings.description,
        0,
        limit::DESCRIPTION_CHARS_MAX,
    );
    faults.rate("throttleRate", settings.throttle_rate);
    check_timeout(settings.timeout_ms, faults);
    faults.texts("metadata", &settings.metadata);
    faults.labels(
        Label::Channel,
        &settings.subscription.channels,
        limit::CHANNELS_PER_ENDPOINT_MAX,
    );
    if settings.version == 0 {
        faults.add("version", "must be at least 1");
    }
    if let Some(owner) = &settings.owner {
        faults.chars("owner", owner, 1, limit::NAME_CHARS_MAX);
    }
    check_event_types(&settings.subscription.event_types, faults);
}

fn check_timeout(timeout_ms: Option<u32>, faults: &mut Faults) {
    let Some(timeout_ms) = timeout_ms else { return };
    let max = limit::ATTEMPT_TIMEOUT_MAX.as_millis();
    if timeout_ms == 0 || u128::from(timeout_ms) > max {
        faults.add("timeoutMs", format_args!("must be between 1 and {max}"));
    }
}

fn check_event_types(names: &[String], faults: &mut Faults) {
    if names.len() > limit::EVENT_TYPES_PER_ENDPOINT_MAX {
        let max = limit::EVENT_TYPES_PER_ENDPOINT_MAX;
        faults.add(
            "eventTypes",
            format_args!("may have at most {max} items; use a prefix such as threat.*"),
        );
        return;
    }
    for (index, name) in names.iter().enumerate() {
        let plain = name.strip_suffix('*').unwrap_or(name);
        let all = plain.is_empty() && !name.is_empty();
        if let (false, Err(reason)) = (all, plain.parse::<EventType>()) {
            faults.add_at("eventTypes", format!("[{index}]"), reason);
        }
    }
}

/// Whether the application's contract can serve the endpoint: what could keep its messages from
/// being rendered is refused when it is saved.
pub(super) fn check_contract(endpoint: &OpenEndpoint, contract: &Contract, faults: &mut Faults) {
    let settings = &endpoint.stored.endpoint.settings;
    let Err(fault) = contract.check_endpoint(settings, &endpoint.secrets) else {
        return;
    };
    match &fault {
        EndpointFault::InsecureUrl => faults.add("url", &fault),
        EndpointFault::Headers(fault) => headers::note(fault, faults),
        EndpointFault::Render(fault) => match fault {
            RenderError::Method(_) => faults.add("method", fault),
            RenderError::Auth(_) | RenderError::Credentials | RenderError::CustomHeader(_) => {
                faults.add("auth", fault);
            }
            RenderError::Key(_) => faults.add("secret", fault),
            RenderError::ContractHeader { .. } | RenderError::ContentType => {
                faults.add("contract", fault);
            }
        },
    }
}
