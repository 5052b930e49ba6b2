//! An endpoint, ready to be sent to: its contract, its target and what of each request is the same
//! are worked out once per version of its settings.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use ring::digest::{SHA256, digest};
use watchfire_contracts::manifest::{Https, Instance};
use watchfire_contracts::render::{
    Destination, Event, Prepared, RenderError, Rendered, SignatureHeaders,
};
use watchfire_contracts::{Catalog as Contracts, Contract};
use watchfire_deliver::{Policy as AddressPolicy, Scheme, Spelling, Target};
use watchfire_domain::endpoint::Method;
use watchfire_domain::health::{Decision, Gate, Health, Policy};
use watchfire_domain::id::{ApplicationId, EndpointId, OrganizationId, Uid};
use watchfire_domain::message::{Message, record_hash};
use watchfire_domain::outcome::{Cause, Outcome, SkipReason, SuccessRule, Verdict};
use watchfire_domain::retry::Schedule;
use watchfire_domain::time::Timestamp;
use watchfire_store::{Recipe, Shard, ShardSet, StoredApplication, StoredEndpoint};

use crate::dispatch::{LaneGate, Terms};
use crate::engine::{Config, Parts};
use crate::vault::{Vault, VaultError};

/// An endpoint, ready to be sent to.
#[derive(Debug)]
pub struct Endpoint {
    pub stored: StoredEndpoint,
    pub org: OrganizationId,
    pub application_id: ApplicationId,
    pub application_uid: Option<Uid>,
    pub contract: Arc<Contract>,
    /// Deliveries per second to all endpoints of the application together.
    application_rate: Option<u32>,
    /// The shards of the application's endpoints, one entry for each.
    siblings: Arc<[Shard]>,
    /// As recorded last; newer than the one in `stored`.
    health: RwLock<Health>,
    request: Result<Ready, Unready>,
}

#[derive(Debug)]
struct Ready {
    target: Arc<Target>,
    prepared: Prepared,
    recipe: Recipe,
    /// How the header names are written, where somebody used capital letters.
    spelling: Option<Arc<Spelling>>,
}

/// Why no request can be made to an endpoint.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unready {
    #[error(transparent)]
    Secrets(#[from] VaultError),
    #[error(transparent)]
    Render(#[from] RenderError),
    /// Its URL is refused under the present settings.
    #[error("the endpoint's URL can't be requested")]
    Url,
    #[error("the contract allows https only")]
    Insecure,
}

impl Unready {
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Secrets(_) | Self::Render(_) => Outcome::Skipped {
                reason: SkipReason::RenderFailed,
            },
            Self::Url => Outcome::Unreachable {
                cause: Cause::InvalidUrl,
            },
            Self::Insecure => Outcome::Blocked {
                verdict: Verdict::InsecureScheme,
            },
        }
    }

    /// Whether it is our fault and somebody must look at it.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::Secrets(_) | Self::Render(_))
    }
}

/// A request, ready to be sent.
pub(crate) struct Sendable {
    pub(crate) target: Arc<Target>,
    pub(crate) spelling: Option<Arc<Spelling>>,
    pub(crate) rendered: Rendered,
}

/// What endpoints are prepared with.
pub(crate) struct Workshop {
    vault: Arc<Vault>,
    contracts: Arc<Contracts>,
    default_contract: String,
    policy: Arc<AddressPolicy>,
    signature_headers: SignatureHeaders,
}

impl Workshop {
    pub(crate) fn new(parts: &Parts, config: &Config) -> Self {
        Self {
            vault: Arc::clone(&parts.vault),
            contracts: Arc::clone(&parts.contracts),
            default_contract: config.default_contract.clone(),
            policy: Arc::clone(&parts.policy),
            signature_headers: config.signature_headers,
        }
    }

    /// The contract of an application: the one it names, else the configured default.
    pub(crate) fn contract_of(&self, application: &StoredApplication) -> Arc<Contract> {
        let named = application.application.settings.contract.as_deref();
        let name = named.unwrap_or(&self.default_contract);
        let contract = self.contracts.contract(name).unwrap_or_else(|| {
            // A contract that was removed from its folder; the payload still goes out as posted.
            tracing::error!(
                contract = name,
                "an application names a contract that is not there"
            );
            self.contracts.standard()
        });
        Arc::clone(contract)
    }

    pub(crate) fn prepare(
        &self,
        application: &StoredApplication,
        stored: StoredEndpoint,
        siblings: &Arc<[Shard]>,
    ) -> Endpoint {
        let contract = self.contract_of(application);
        let request = self.ready(application, &stored, &contract);
        Endpoint {
            org: application.org.clone(),
            application_id: application.application.id,
            application_uid: application.application.uid.clone(),
            application_rate: application.application.settings.throttle_rate,
            siblings: Arc::clone(siblings),
            health: RwLock::new(stored.health.clone()),
            stored,
            contract,
            request,
        }
    }

    fn ready(
        &self,
        application: &StoredApplication,
        stored: &StoredEndpoint,
        contract: &Contract,
    ) -> Result<Ready, Unready> {
        let settings = &stored.endpoint.settings;
        let target = self
            .policy
            .check_url(&settings.url)
            .map_err(|_| Unready::Url)?;
        let https_only = contract.manifest().endpoint.https == Https::Required;
        if https_only && target.scheme() != Scheme::Https {
            return Err(Unready::Insecure);
        }
        let secrets = self
            .vault
            .open(stored.endpoint.identity.id, &stored.endpoint.sealed)?;
        let said = &application.application.settings.instance;
        let instance = Instance {
            instance_url: said.get("instance_url").cloned(),
            product_version: said.get("product_version").cloned(),
        };
        let prepared = Prepared::new(Destination {
            contract,
            instance: &instance,
            settings,
            secrets: &secrets,
            signature_headers: self.signature_headers,
        })?;
        Ok(Ready {
            target: Arc::new(target),
            recipe: self.recipe(stored.endpoint.identity.id, &prepared),
            spelling: spelling(&prepared),
            prepared,
        })
    }

    fn recipe(&self, endpoint: EndpointId, prepared: &Prepared) -> Recipe {
        let text = prepared.recipe(|secret| self.vault.fingerprint(endpoint, secret.as_bytes()));
        let mut recipe = Recipe {
            digest: [0; 32],
            text,
        };
        let digest = digest(&SHA256, recipe.text.as_bytes());
        recipe.digest.copy_from_slice(digest.as_ref());
        recipe
    }
}

/// The header names of the contract and of the endpoint's owner as they wrote them: names are
/// case-insensitive, but not every receiver knows.
fn spelling(prepared: &Prepared) -> Option<Arc<Spelling>> {
    let mut names = prepared.spelled_names().peekable();
    names.peek()?;
    Some(Arc::new(Spelling::of(names)))
}

/// A message as it is rendered for an attempt.
pub(crate) fn event_of<'m>(message: &'m Message, payload: &'m Bytes, now: Timestamp) -> Event<'m> {
    Event {
        message_id: message.id,
        event_type: &message.event_type,
        payload,
        raw_body: message.details.raw_body.as_ref(),
        now,
    }
}

fn lane_gate(gate: Gate) -> LaneGate {
    match gate {
        Gate::Open | Gate::Skip(_) => LaneGate::Open,
        Gate::Probe => LaneGate::Probe,
        Gate::Hold { .. } => LaneGate::Closed,
    }
}

/// The time between two requests at a rate per second.
fn interval(rate: u32) -> Duration {
    Duration::from_secs(1) / rate.max(1)
}

impl Endpoint {
    pub fn health(&self) -> Health {
        self.health.read().clone()
    }

    pub(crate) fn adopt_health(&self, health: Health) {
        *self.health.write() = health;
    }

    /// What an outcome does to its health.
    pub(crate) fn judge(&self, outcome: &Outcome, now: Timestamp) -> Decision {
        self.health().record(outcome, now, self.health_policy())
    }

    /// What time has done to its health.
    pub(crate) fn tick(&self, now: Timestamp) -> Decision {
        self.health().tick(now, self.health_policy())
    }

    pub(crate) fn next_health_tick_at(&self) -> Option<Timestamp> {
        self.health.read().next_tick_at(self.health_policy())
    }

    fn health_policy(&self) -> &Policy {
        &self.contract.manifest().health
    }

    /// Why its deliveries are to be settled without a request, if so.
    pub(crate) fn skips(&self, now: Timestamp) -> Option<SkipReason> {
        match self.allows(now) {
            Gate::Skip(reason) => Some(reason),
            Gate::Open | Gate::Probe | Gate::Hold { .. } => None,
        }
    }

    /// What its settings and its health allow with its deliveries.
    pub fn allows(&self, now: Timestamp) -> Gate {
        if self.stored.endpoint.settings.disabled {
            return Gate::Skip(SkipReason::EndpointDisabled);
        }
        self.health.read().gate(self.health_policy(), now)
    }

    /// What settings and health allow its lane. What is skipped passes through an open one.
    pub(crate) fn terms(&self, now: Timestamp, held: ShardSet) -> Terms {
        let health = self.health.read();
        let drain = health.rate_limit(self.health_policy());
        let rate = self
            .stored
            .endpoint
            .settings
            .throttle_rate
            .into_iter()
            .chain(drain)
            .min();
        Terms {
            interval: rate.map(interval),
            application_interval: self.application_interval(held),
            gate: lane_gate(health.gate(self.health_policy(), now)),
        }
    }

    pub(crate) fn gate(&self, now: Timestamp) -> LaneGate {
        lane_gate(self.health.read().gate(self.health_policy(), now))
    }

    /// The time between two requests to the application, of which this node makes its part: as
    /// much of the rate as of the endpoints. So all nodes together keep the rate.
    pub(crate) fn application_interval(&self, held: ShardSet) -> Option<Duration> {
        let rate = self.application_rate?;
        let own = self.siblings.iter().filter(|shard| held.contains(**shard));
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).max(1);
        Some(interval(rate) * count(self.siblings.len()) / count(own.count()))
    }

    /// The record this endpoint keeps in order, for this message.
    pub(crate) fn record_of(&self, message: &Message) -> Option<i64> {
        let key = message.record_key.as_deref()?;
        let ordered = self.stored.endpoint.settings.ordered;
        ordered
            .unwrap_or(self.contract.manifest().messages.ordered)
            .then(|| record_hash(key))
    }

    pub(crate) fn method(&self) -> Method {
        let chosen = self.stored.endpoint.settings.method;
        chosen.unwrap_or(self.contract.manifest().request.method)
    }

    /// Which answers to this message count as success.
    pub(crate) fn success_of(&self, message: &Message) -> SuccessRule {
        let manifest = self.contract.manifest();
        let ping = manifest.ping.as_ref().filter(|_| message.details.ping);
        ping.map_or(manifest.delivery.success, |ping| ping.success)
    }

    pub(crate) fn schedule(&self) -> &Schedule {
        &self.contract.manifest().delivery.retry
    }

    pub(crate) fn timeout(&self) -> Duration {
        let own = self.stored.endpoint.settings.timeout_ms;
        let own = own.map(|milliseconds| Duration::from_millis(milliseconds.into()));
        own.unwrap_or(self.contract.manifest().delivery.timeout)
    }

    /// The request for one message, or why there can be none.
    pub(crate) fn render(
        &self,
        message: &Message,
        payload: &Bytes,
        now: Timestamp,
    ) -> Result<Sendable, Outcome> {
        let ready = self
            .request
            .as_ref()
            .map_err(|unready| self.report(unready))?;
        let event = event_of(message, payload, now);
        match ready.prepared.render(&event) {
            Ok(rendered) => Ok(Sendable {
                target: Arc::clone(&ready.target),
                spelling: ready.spelling.clone(),
                rendered,
            }),
            Err(error) => Err(self.report(&Unready::Render(error))),
        }
    }

    /// The same, to be looked at: by what it is made, too.
    pub(crate) fn rendered(
        &self,
        message: &Message,
        payload: &Bytes,
        now: Timestamp,
    ) -> Option<(&Prepared, Rendered)> {
        let prepared = &self.request.as_ref().ok()?.prepared;
        let rendered = prepared.render(&event_of(message, payload, now)).ok()?;
        Some((prepared, rendered))
    }

    /// What shapes its requests; absent if none can be made.
    pub(crate) fn recipe(&self) -> Option<&Recipe> {
        self.request.as_ref().ok().map(|ready| &ready.recipe)
    }

    fn report(&self, unready: &Unready) -> Outcome {
        if unready.is_ours() {
            let error = unready as &dyn std::error::Error;
            tracing::error!(error, endpoint.id = %self.stored.endpoint.identity.id, "no request can be made");
        }
        unready.outcome()
    }
}
