//! What `contract.toml` says, key by key. The same shape is read from `[contracts.<name>]` of the
//! configuration file, where each key given overrides the contract's.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::de::{self, IntoDeserializer as _};
use serde::{Deserialize, Deserializer, Serialize};
use watchfire_domain::endpoint::{Auth, Method};
use watchfire_domain::health::Policy;
use watchfire_domain::limit;
use watchfire_domain::outcome::SuccessRule;
use watchfire_domain::retry::{self, Schedule};

use crate::text::Text;

/// `contract.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub title: String,
    /// One sentence for the list of contracts.
    pub summary: String,
    #[serde(default)]
    pub links: Vec<Link>,
    #[serde(default)]
    pub instance: Instance,
    #[serde(default)]
    pub messages: Messages,
    #[serde(default)]
    pub request: Request,
    #[serde(default)]
    pub endpoint: Endpoint,
    #[serde(default)]
    pub delivery: Delivery,
    #[serde(default)]
    pub health: Policy,
    #[serde(default)]
    pub notify: Notify,
    #[serde(default)]
    pub ping: Option<Ping>,
    /// Event types by name.
    #[serde(default)]
    pub events: BTreeMap<String, Event>,
    #[serde(default)]
    pub variants: Vec<Variant>,
}

/// Where to read more about the product's webhooks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    pub title: String,
    pub url: String,
}

/// What the product says about itself in its requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Instance {
    /// The product's own address, without a slash at the end.
    pub instance_url: Option<String>,
    pub product_version: Option<String>,
}

impl Instance {
    /// This instance, with what it leaves open taken from `fallback`.
    #[must_use]
    pub fn or(&self, fallback: &Self) -> Self {
        let pick = |own: &Option<String>, other: &Option<String>| own.clone().or(other.clone());
        Self {
            instance_url: pick(&self.instance_url, &fallback.instance_url),
            product_version: pick(&self.product_version, &fallback.product_version),
        }
    }
}

/// How messages are read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Messages {
    /// JSON pointers into the payload; what they point to, joined by `/`, is the record key.
    pub record: Vec<Pointer>,
    /// JSON pointers into the payload; the texts they point to, or lists of texts, are the users a
    /// message is for.
    pub recipients: Vec<Pointer>,
    pub urgent: Urgent,
    /// Whether event types that are not listed are accepted.
    #[serde(deserialize_with = "word")]
    pub unlisted: Unlisted,
    /// Whether messages about one record wait for each other, unless the endpoint says otherwise.
    pub ordered: bool,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            record: Vec::new(),
            recipients: Vec::new(),
            urgent: Urgent::Fixed(UrgentFixed::Never),
            unlisted: Unlisted::Refuse,
            ordered: true,
        }
    }
}

/// Which messages go first.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "expected \"always\", \"never\" or a table such as { pointer = \"/risk\", values = [\"high\"] }"
)]
pub enum Urgent {
    Fixed(UrgentFixed),
    ByValue(UrgentValues),
}

/// All messages, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UrgentFixed {
    Always,
    Never,
}

/// Messages whose payload says so.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UrgentValues {
    pub pointer: Pointer,
    /// The texts at `pointer` that make a message urgent.
    pub values: Vec<String>,
}

/// What becomes of a message whose event type is not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unlisted {
    Accept,
    #[default]
    Refuse,
}

/// How the request looks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    #[serde(deserialize_with = "word")]
    pub method: Method,
    /// Methods an endpoint may choose instead.
    pub methods: Vec<Method>,
    pub body: Body,
    /// In the order and spelling given.
    pub headers: Vec<Header>,
    pub content_type: String,
    /// Ours if absent.
    pub user_agent: Option<Text>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: Method::Post,
            methods: Vec::new(),
            body: Body::default(),
            headers: Vec::new(),
            content_type: "application/json".to_owned(),
            user_agent: None,
        }
    }
}

/// What is around the posted payload.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(
    untagged,
    expecting = "expected \"payload\", or a list such as [{ key = \"event\", value = \"{payload}\" }]"
)]
pub enum Body {
    /// Nothing: the bytes go out as they were posted.
    Payload(PayloadOnly),
    /// An object with these members, in this order.
    Object(Vec<Member>),
}

impl Default for Body {
    fn default() -> Self {
        Self::Payload(PayloadOnly::Payload)
    }
}

/// The word `payload`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PayloadOnly {
    Payload,
}

/// A member of the body: `{payload}` as it was posted, any other text as a JSON string.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub key: String,
    pub value: Text,
}

/// A header field of every request. Left out where its value depends on something absent.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub name: String,
    pub value: Text,
}

/// What an endpoint may be.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Endpoint {
    #[serde(deserialize_with = "word")]
    pub https: Https,
    pub auth: Vec<AuthKind>,
    /// Event types, or prefixes that end in `*`, an endpoint gets that names none; empty means all.
    pub default_events: Vec<String>,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self {
            https: Https::Optional,
            auth: vec![
                AuthKind::None,
                AuthKind::Basic,
                AuthKind::Bearer,
                AuthKind::Header,
            ],
            default_events: Vec::new(),
        }
    }
}

/// Whether the URL must begin with `https://`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Https {
    Required,
    #[default]
    Optional,
}

/// The kinds of [`Auth`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthKind {
    None,
    Basic,
    Bearer,
    Header,
}

impl AuthKind {
    pub fn of(auth: &Auth) -> Self {
        match auth {
            Auth::None => Self::None,
            Auth::Basic { .. } => Self::Basic,
            Auth::Bearer { .. } => Self::Bearer,
            Auth::Header { .. } => Self::Header,
        }
    }
}

/// One of several words. Read as a text first: what else may stand there is then said plainly.
fn word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    T::deserialize(text.into_deserializer())
}

/// How a delivery is made and repeated.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// Deadline over a whole attempt.
    #[serde(deserialize_with = "attempt_timeout")]
    pub timeout: Duration,
    #[serde(deserialize_with = "word")]
    pub success: SuccessRule,
    /// Delays between attempts, with their share of chance; empty never retries.
    pub retry: Schedule,
    /// That share, in thousandths (0 to 1000); part of `retry` once the contract is loaded.
    pub jitter_permille: u16,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            timeout: limit::ATTEMPT_TIMEOUT,
            success: SuccessRule::Success2xx,
            retry: Schedule::default(),
            jitter_permille: 100,
        }
    }
}

fn attempt_timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let timeout = retry::parse_duration(&text).map_err(de::Error::custom)?;
    if timeout.is_zero() || timeout > limit::ATTEMPT_TIMEOUT_MAX {
        let max = retry::format_duration(limit::ATTEMPT_TIMEOUT_MAX);
        return Err(de::Error::custom(format_args!("must be 1ms to {max}")));
    }
    Ok(timeout)
}

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Notify {
    /// When a delivery is exhausted.
    #[serde(deserialize_with = "word")]
    pub exhausted: Audience,
    /// When an endpoint changes its state, or is about to.
    #[serde(deserialize_with = "word")]
    pub health: Audience,
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            exhausted: Audience::Admins,
            health: Audience::Admins,
        }
    }
}

/// The people a notice goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    Admins,
    Nobody,
}

/// The message that asks an endpoint whether it works.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ping {
    /// One of the contract's event types; its sample is the payload.
    pub event_type: String,
    /// What must be pinged with success before it is done.
    #[serde(default)]
    pub on: Vec<PingOn>,
    #[serde(default, deserialize_with = "word")]
    pub success: SuccessRule,
    /// How the owner of a personal endpoint stands in the payload.
    #[serde(default)]
    pub owner: Option<PingOwner>,
}

/// How a ping names the owner of the endpoint it asks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PingOwner {
    /// The member of the sample that the owner replaces.
    pub pointer: Pointer,
    /// The owner stands there as an object with the user's name in this member.
    pub name: String,
    /// The entry of the endpoint's metadata that holds further members, as a JSON object.
    pub metadata: String,
}

/// What a ping comes before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PingOn {
    Create,
    Edit,
    Activate,
}

/// An event type.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    pub description: String,
    #[serde(default)]
    pub group: Option<String>,
    /// The product's own word for how grave it is.
    #[serde(default)]
    pub level: Option<String>,
    /// File of the JSON Schema; `schemas/<name>.json` if absent.
    #[serde(default)]
    pub schema: Option<String>,
    /// File of an example payload; `samples/<name>.json` if absent.
    #[serde(default)]
    pub sample: Option<String>,
    #[serde(default = "first_version")]
    pub version: u32,
    #[serde(default)]
    pub deprecated: bool,
    /// In place of the contract's `messages.record`.
    #[serde(default)]
    pub record: Option<Vec<Pointer>>,
    /// In place of the contract's `messages.urgent`.
    #[serde(default)]
    pub urgent: Option<Urgent>,
    /// Members of the payload with a fixed text; narrows a schema that several event types share.
    #[serde(default, rename = "const")]
    pub constants: BTreeMap<String, String>,
    /// Members that must be there, beyond those the schema requires.
    #[serde(default)]
    pub required: Vec<String>,
}

fn first_version() -> u32 {
    1
}

/// A known other way in which the product sends.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    pub name: String,
    pub description: String,
    /// What to override to get it; empty where the variant is in the payload alone.
    #[serde(default)]
    pub overrides: toml::Table,
}

/// A JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer(String);

impl Pointer {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        //= https://www.rfc-editor.org/rfc/rfc6901#section-3
        //# json-pointer    = *( "/" reference-token )
        if text.is_empty() || text.starts_with('/') {
            Ok(Self(text))
        } else {
            Err(de::Error::custom(
                "a JSON pointer begins with a slash, such as /event/id",
            ))
        }
    }
}
