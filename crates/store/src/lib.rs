//! What Watchfire asks of a database, and the suite that holds every back end to it.
//!
//! # The players
//!
//! - [`Ledger`]: messages, attempts and what is owed. Writes come in batches: the caller collects
//!   what waits while the last commit runs, so a back end commits once per call and needs no timer.
//! - [`Configuration`]: applications, endpoints, event types. Changes come as a list that is
//!   applied whole or not at all.
//! - [`Credentials`]: API keys, by their hash.
//! - [`Recipes`]: how requests were made, so that what was sent can be shown as it was.
//! - [`History`]: lists for people, keyset-paged on indexes; nothing here grows with the history.
//! - [`Search`]: deliveries by what is known about them, and all about one record.
//! - [`Activity`]: what happened by the minute and hour, and what is owed now, from roll-ups.
//! - [`Audit`]: who changed what, written together with the change.
//! - [`Notices`]: what people are told, written together with what causes it.
//! - [`Mail`]: which of these are yet to be told by e-mail.
//! - [`Tasks`]: work on many deliveries in the background, step by step.
//! - [`Nodes`]: who is running, whose lease has ended, and clean-up.
//! - [`Shards`]: which node makes the deliveries of which endpoints.
//!
//! # Invariant
//!
//! For each message and each endpoint it matched, exactly one is true: it is **settled** (a final
//! attempt row), **owed** (a row in `owed`), or **fresh** (in the memory of the node that accepted
//! it, `seq` above that node's checkpoint, no final row).
//!
//! # What this crate must never do
//!
//! No SQL, no driver types, no clock: every method that needs the time takes `now`.
//!
//! Start reading at [`Ledger`].

#[cfg(feature = "conformance")]
pub mod conformance;

mod activity;
mod audit;
mod configuration;
mod credentials;
pub mod encoding;
mod error;
mod history;
mod keys;
mod ledger;
mod mail;
mod nodes;
mod notices;
mod recipes;
mod retention;
mod search;
pub mod selection;
mod shards;
mod tasks;
pub mod transfer;

pub use activity::{
    Activity, ActivityCounts, ActivityPoint, EndpointHour, EndpointStanding, EventTypeHour,
    OwedNow, Owner, Step,
};
pub use audit::{Audit, AuditEntry, AuditFilter};
pub use configuration::{
    Application, ApplicationFilter, ApplicationRef, ApplicationSettings, ApplyError, Change,
    ChangeNumber, Changed, Configuration, Conflict, Endpoint, EndpointRef, EventTypeRecord,
    EventTypeSettings, Logged, Order, Range, StoredApplication, StoredEndpoint,
};
pub use credentials::{ApiKey, Credentials, StoredApiKey, TokenMark, TokenSet, TokenVoid};
pub use error::{StoreError, StoreResult};
pub use history::{
    AttemptFilter, AttemptedMessage, DeliveryStatus, DeliveryView, EndpointCounts, History,
    MessageFilter, MessageRef, Owed, StoredAttempt,
};
pub use keys::{AppKey, EndpointKey, FenceToken, NodeId, Seq};
pub use ledger::{
    Appended, AttemptRecord, Claim, ClaimedBatch, ClaimedDelivery, DeliveryRef, Elsewhere,
    EndpointDue, HealthChange, InTurn, Ledger, NewMessage, NewOwed, OwedReason, PING_DUE_AT,
    Recorded, Remembered, Series, Standing, StoredMessage, Unfinished, Wanted, Write,
};
pub use mail::{DueMail, Mail, MailClaim, MailEnd, MailResult};
pub use nodes::{
    Beat, Epoch, Footprint, Hint, Joined, Life, Load, Member, Members, Nodes, PruneOrder, Pruned,
};
pub use notices::{InboxLine, InboxPlace, NewNotice, Notices, Reading, Untold};
pub use recipes::{Recipe, Recipes, can_go};
pub use retention::{Retention, Retentions};
pub use search::{
    DeliveryFilter, DeliveryPage, DeliveryPlace, FoundDeliveries, FoundDelivery, RecordHead,
    Search, status_after,
};
pub use shards::{Arrival, Shard, ShardSet, Shards};
pub use tasks::{
    Advanced, Candidate, Candidates, ReportPart, Steering, Subject, Task, TaskArguments,
    TaskFailure, TaskFilter, TaskKind, TaskProgress, TaskState, TaskStep, TaskWrite, Tasks,
};

/// A whole database: what the engine and the API are handed.
pub trait Store:
    Ledger
    + Configuration
    + Credentials
    + Recipes
    + History
    + Search
    + Activity
    + Audit
    + Notices
    + Mail
    + Tasks
    + Nodes
    + Shards
{
}

impl<T> Store for T where
    T: Ledger
        + Configuration
        + Credentials
        + Recipes
        + History
        + Search
        + Activity
        + Audit
        + Notices
        + Mail
        + Tasks
        + Nodes
        + Shards
{
}
