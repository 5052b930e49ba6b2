//! Applications, endpoints and event types.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use watchfire_domain::endpoint::{Identity, Settings};
use watchfire_domain::health::Health;
use watchfire_domain::id::{ApplicationId, EndpointId, EventType, KeyId, OrganizationId, Uid};
use watchfire_domain::mail::Address;
use watchfire_domain::time::Timestamp;

use crate::audit::AuditEntry;
use crate::credentials::{ApiKey, TokenVoid};
use crate::keys::{AppKey, EndpointKey};
use crate::ledger::Remembered;
use crate::notices::NewNotice;
use crate::shards::ShardSet;
use crate::tasks::Task;
use crate::{StoreError, StoreResult};

/// Applications, endpoints and event types.
#[async_trait]
pub trait Configuration: Send + Sync {
    /// Applies all changes or none, in the order given.
    async fn apply(&self, changes: Vec<Change>) -> Result<(), ApplyError>;

    async fn application(
        &self,
        org: &OrganizationId,
        reference: &ApplicationRef,
    ) -> StoreResult<Option<StoredApplication>>;

    async fn application_by_key(&self, key: AppKey) -> StoreResult<Option<StoredApplication>>;

    async fn applications(
        &self,
        org: &OrganizationId,
        filter: &ApplicationFilter,
        range: Range<ApplicationId>,
    ) -> StoreResult<Vec<StoredApplication>>;

    /// Live endpoints of an application, whatever their number; it has a hard limit.
    async fn endpoints_of(&self, app: AppKey) -> StoreResult<Vec<StoredEndpoint>>;

    async fn endpoint(
        &self,
        app: AppKey,
        reference: &EndpointRef,
    ) -> StoreResult<Option<StoredEndpoint>>;

    async fn endpoints(
        &self,
        app: AppKey,
        range: Range<EndpointId>,
    ) -> StoreResult<Vec<StoredEndpoint>>;

    /// Live endpoints of the shards whose health is not [`Health::Active`], ascending by key,
    /// starting after `after`: those that time may change.
    async fn endpoints_unwell(
        &self,
        shards: ShardSet,
        after: Option<EndpointKey>,
        limit: usize,
    ) -> StoreResult<Vec<(EndpointKey, AppKey)>>;

    /// Ids of an application's endpoints, deleted ones too as long as their rows are kept: an
    /// attempt outlives the endpoint it went to. Keys of others are left out.
    async fn endpoint_ids(
        &self,
        app: AppKey,
        keys: Vec<EndpointKey>,
    ) -> StoreResult<BTreeMap<EndpointKey, EndpointId>>;

    /// Each organization with each contract its live applications name (`None`: none is named).
    /// Reads all applications; for the start of a server.
    async fn contracts_in_use(&self) -> StoreResult<Vec<(OrganizationId, Option<String>)>>;

    async fn event_type(
        &self,
        org: &OrganizationId,
        name: &EventType,
    ) -> StoreResult<Option<EventTypeRecord>>;

    /// By name. Archived ones are left out unless asked for.
    async fn event_types(
        &self,
        org: &OrganizationId,
        include_archived: bool,
        range: Range<EventType>,
    ) -> StoreResult<Vec<EventTypeRecord>>;

    /// What other processes must forget, by number, starting after `after`. Numbers rise in the
    /// order of the commits, so none appears below one that was read. Kept for
    /// [`watchfire_domain::limit::CHANGE_LOG_AGE`].
    async fn changed_after(&self, after: ChangeNumber, limit: usize) -> StoreResult<Vec<Logged>>;

    /// The number of the newest change.
    async fn newest_change(&self) -> StoreResult<ChangeNumber>;
}

/// The place of a change in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangeNumber(pub i64);

/// An entry of the log of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logged {
    pub number: ChangeNumber,
    pub changed: Changed,
}

/// What a change made stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The application or its list of endpoints.
    Application(AppKey),
    /// The application is gone, and with it its API keys.
    ApplicationDeleted(AppKey),
    /// The endpoint's settings or secrets, its existence, or its health as set by a person or time.
    Endpoint { app: AppKey, endpoint: EndpointKey },
    /// The key was revoked.
    ApiKey(KeyId),
    /// Some signed tokens are void.
    Tokens,
}

/// One change of the configuration.
#[derive(Clone, Debug)]
pub enum Change {
    CreateApplication {
        org: OrganizationId,
        application: Application,
    },
    /// Refused with [`Conflict::Changed`] unless the stored revision is `revision`.
    UpdateApplication {
        key: AppKey,
        revision: i64,
        application: Application,
    },
    /// Its id and uid are free and its API keys gone at once; its rows are removed by retention.
    DeleteApplication { key: AppKey, now: Timestamp },
    CreateEndpoint {
        /// By id, so that an application can be created in the same list.
        application: ApplicationId,
        endpoint: Endpoint,
    },
    /// Refused with [`Conflict::Changed`] unless the stored revision is `revision`. Leaves the
    /// health alone.
    UpdateEndpoint {
        key: EndpointKey,
        revision: i64,
        endpoint: Endpoint,
    },
    /// Its uid is free at once; what it owes is settled by the engine.
    DeleteEndpoint { key: EndpointKey, now: Timestamp },
    /// With a `revision`, refused with [`Conflict::Changed`] unless it is the stored
    /// [`StoredEndpoint::health_revision`], which stays: that is time passing. Without one it
    /// rises: that is a person.
    SetHealth {
        key: EndpointKey,
        health: Health,
        revision: Option<i64>,
    },
    /// Refused with [`Conflict::EventTypeExists`] if a live one has the name; an archived one is
    /// revived with the new content.
    CreateEventType {
        org: OrganizationId,
        event_type: EventTypeRecord,
    },
    PutEventType {
        org: OrganizationId,
        event_type: EventTypeRecord,
    },
    /// Removes it; archiving is a `PutEventType`.
    DeleteEventType {
        org: OrganizationId,
        name: EventType,
    },
    /// Refused with [`Conflict::Missing`] if its application is not the organization's.
    CreateApiKey { key: ApiKey },
    /// It is gone at once. A key of another organization is [`Conflict::Missing`].
    RevokeApiKey { org: OrganizationId, id: KeyId },
    /// Moves the last use forward. One that was revoked meanwhile is passed over.
    NoteApiKeyUse { id: KeyId, at: Timestamp },
    /// Signed tokens are not valid any more, now or from a later time on.
    VoidTokens(Box<TokenVoid>),
    /// What people are told about the changes of the same list.
    Tell(NewNotice),
    /// Who makes the changes of the same list, and what they change.
    Audit(Box<AuditEntry>),
    /// Refused with [`Conflict::TaskLimit`] if the application has as many running as it may, and
    /// with [`Conflict::Missing`] if the endpoint is gone.
    CreateTask(Box<Task>),
    /// Refused with [`Conflict::Repeated`] if the key is remembered at `now`.
    Remember { answer: Remembered, now: Timestamp },
}

/// An application as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    pub id: ApplicationId,
    pub uid: Option<Uid>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub settings: ApplicationSettings,
}

/// What an application's owner set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationSettings {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle_rate: Option<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The contract its webhooks follow; the configured default if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// Values a contract's headers take from the product's installation.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub instance: BTreeMap<String, String>,
    /// Who is told by e-mail where the contract says that administrators are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub administrators: Vec<Address>,
}

/// An endpoint as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub identity: Identity,
    pub settings: Settings,
    /// [`watchfire_domain::endpoint::Secrets`], encrypted by the caller.
    pub sealed: Vec<u8>,
}

/// An application and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredApplication {
    pub key: AppKey,
    pub org: OrganizationId,
    pub revision: i64,
    pub application: Application,
}

/// An endpoint, its key and its health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEndpoint {
    pub key: EndpointKey,
    pub app: AppKey,
    pub revision: i64,
    pub endpoint: Endpoint,
    pub health: Health,
    /// Counts how often a person has set the health.
    pub health_revision: i64,
}

/// An event type as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTypeRecord {
    pub name: EventType,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub archived: bool,
    pub settings: EventTypeSettings,
}

/// What an event type says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeSettings {
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub deprecated: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature_flag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_name: Option<String>,
    /// JSON Schemas by version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schemas: Option<serde_json::Value>,
    /// The contract it came from, if it follows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// Archived because its contract does not list it any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dropped: bool,
}

/// Names an application by our id or the caller's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ApplicationRef {
    Id(ApplicationId),
    Uid(Uid),
}

/// Which applications to list; all unless something is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationFilter {
    /// Leave out those without an endpoint.
    pub with_endpoints: bool,
    /// Leave out those that have endpoints, all of them switched off, by their owner or by their
    /// health.
    pub with_enabled_endpoints: bool,
    /// Leave out those that have endpoints, all of them with URLs that begin with one of these.
    pub with_endpoints_elsewhere: Vec<String>,
}

impl ApplicationFilter {
    /// Whether it leaves out what has endpoints, but none that counts.
    pub fn asks_for_endpoints_that_count(&self) -> bool {
        self.with_enabled_endpoints || !self.with_endpoints_elsewhere.is_empty()
    }
}

/// Names an endpoint by our id or the caller's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EndpointRef {
    Id(EndpointId),
    Uid(Uid),
}

/// A stretch of a list that is ordered by `C`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range<C> {
    /// Only what is greater than this.
    pub after: Option<C>,
    /// Only what is less than this.
    pub before: Option<C>,
    pub order: Order,
    pub limit: usize,
}

/// The direction a list is read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

impl<C> Range<C> {
    /// From one end, without bounds.
    pub fn from_start(order: Order, limit: usize) -> Self {
        Self {
            after: None,
            before: None,
            order,
            limit,
        }
    }
}

/// Why changes were not applied. Nothing was.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error(transparent)]
    Conflict(#[from] Conflict),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A change that contradicts what is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    #[error("another application has this uid")]
    ApplicationUid,
    #[error("another endpoint of the application has this uid")]
    EndpointUid,
    #[error("the application has as many endpoints as it may")]
    EndpointLimit,
    #[error("the owner has as many API keys as it may")]
    ApiKeyLimit,
    #[error("the organization has as many sets of void tokens as it may")]
    TokenVoidLimit,
    #[error("the application has as many running tasks as it may")]
    TaskLimit,
    #[error("an event type with this name exists")]
    EventTypeExists,
    /// Somebody else changed it since it was read.
    #[error("it was changed meanwhile")]
    Changed,
    /// It does not exist, or not any more.
    #[error("it does not exist")]
    Missing,
    #[error("a request with the same idempotency key was answered before")]
    Repeated(Remembered),
}
