//! Contracts on the wire.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use watchfire_contracts::manifest::Variant;
use watchfire_contracts::{Contract, EventType};
use watchfire_domain::retry::format_duration;

/// All contracts; there are too few for pages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContractListOut {
    pub(crate) data: Vec<ContractSummaryOut>,
}

/// A contract in a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContractSummaryOut {
    #[schema(example = "defectdojo")]
    name: String,
    title: String,
    /// One sentence.
    summary: String,
}

/// How one product's webhooks look and behave.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContractOut {
    #[serde(flatten)]
    summary: ContractSummaryOut,
    links: Vec<LinkOut>,
    event_types: Vec<ContractEventTypeOut>,
    /// Delays between attempts, such as `1m`; empty never retries.
    #[schema(example = json!(["1m", "2m"]))]
    retry: Vec<String>,
    /// Deadline of a whole attempt.
    #[schema(example = "10s")]
    timeout: String,
    /// What an endpoint is pinged before; absent if it never is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    ping: Option<Value>,
    /// The keys of `[health]` in the contract's file; others have their defaults.
    #[schema(value_type = Object)]
    health: Value,
    /// The keys of `[request]` in the contract's file; others have their defaults.
    #[schema(value_type = Object)]
    request: Value,
    /// The keys of `[endpoint]` in the contract's file; others have their defaults.
    #[schema(value_type = Object)]
    endpoint: Value,
    /// The keys of `[messages]` in the contract's file; others have their defaults.
    #[schema(value_type = Object)]
    messages: Value,
    /// The keys of `[delivery]` in the contract's file; others have their defaults.
    #[schema(value_type = Object)]
    delivery: Value,
    /// Who is told by e-mail: `admins` or `nobody`, of messages that were given up and of the
    /// health of endpoints.
    #[schema(value_type = Object)]
    notify: Value,
    /// Known other ways in which the product sends.
    variants: Vec<VariantOut>,
}

/// A known other way in which the product sends.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContractVariant)]
pub(crate) struct VariantOut {
    #[schema(example = "as-coded")]
    name: String,
    description: String,
    /// What `variant` in the configuration overrides; empty where the payload alone differs.
    #[schema(value_type = Object)]
    overrides: Value,
}

/// Where to read more.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContractLink)]
pub(crate) struct LinkOut {
    title: String,
    url: String,
}

/// An event type of a contract.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ContractEventType)]
pub(crate) struct ContractEventTypeOut {
    name: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<String>,
    /// How serious the product says it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "CRITICAL")]
    level: Option<String>,
    deprecated: bool,
    version: u32,
    #[schema(value_type = Object)]
    schema: Value,
    /// An example payload.
    #[schema(value_type = Object)]
    sample: Value,
}

impl From<&Contract> for ContractSummaryOut {
    fn from(contract: &Contract) -> Self {
        Self {
            name: contract.name().to_owned(),
            title: contract.manifest().title.clone(),
            summary: contract.manifest().summary.clone(),
        }
    }
}

impl From<&Contract> for ContractOut {
    fn from(contract: &Contract) -> Self {
        let manifest = contract.manifest();
        let delays = manifest.delivery.retry.delays().iter();
        let links = manifest.links.iter().map(|link| LinkOut {
            title: link.title.clone(),
            url: link.url.clone(),
        });
        let ping = manifest.ping.as_ref().map(|_| contract.section("ping"));
        Self {
            summary: contract.into(),
            links: links.collect(),
            event_types: contract.event_types().map(Into::into).collect(),
            retry: delays.map(|delay| format_duration(*delay)).collect(),
            timeout: format_duration(manifest.delivery.timeout),
            ping,
            health: contract.section("health"),
            request: contract.section("request"),
            endpoint: contract.section("endpoint"),
            messages: contract.section("messages"),
            delivery: contract.section("delivery"),
            notify: serde_json::to_value(manifest.notify).unwrap_or_default(),
            variants: manifest.variants.iter().map(Into::into).collect(),
        }
    }
}

impl From<&Variant> for VariantOut {
    fn from(variant: &Variant) -> Self {
        Self {
            name: variant.name.clone(),
            description: variant.description.clone(),
            overrides: serde_json::to_value(&variant.overrides).unwrap_or_default(),
        }
    }
}

impl From<&EventType> for ContractEventTypeOut {
    fn from(event_type: &EventType) -> Self {
        let about = &event_type.about;
        Self {
            name: event_type.name.clone(),
            description: about.description.clone(),
            group_name: about.group.clone(),
            level: about.level.clone(),
            deprecated: about.deprecated,
            version: about.version,
            schema: event_type.schema.clone(),
            sample: serde_json::from_str(&event_type.sample).unwrap_or_default(),
        }
    }
}
