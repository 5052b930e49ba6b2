//! Why a service did not do what was asked.

use std::sync::Arc;

use watchfire_domain::limit;
use watchfire_store::{ApplyError, Conflict, Remembered, StoreError};

use super::check::Fault;
use crate::{AcceptError, VaultError};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a service did not do what was asked. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's input, field by field.
    #[error("accept the input: {} of its fields are not valid", .0.len())]
    Invalid(Vec<Fault>),
    /// There is no such object, or it is another tenant's.
    #[error("find it")]
    NotFound,
    #[error("create it: {0} exists")]
    Exists(Existing),
    #[error("add another: there are as many as there may be ({max} {of})")]
    LimitReached { of: &'static str, max: usize },
    #[error(
        "accept it: a payload may have at most {} bytes",
        limit::PAYLOAD_BYTES_MAX
    )]
    TooLarge,
    /// The message's payload expired or was expunged.
    #[error("send it again: its payload is gone")]
    PayloadGone,
    /// A request with the same idempotency key was answered before.
    #[error("do it twice: it was done before")]
    Repeated(Remembered),
    /// Others changed the object faster than this change could be made.
    #[error("change it: others change it all the time")]
    Contended,
    /// It is being sent: nobody can take that back.
    #[error("change it: it is being sent")]
    InFlight,
    /// It has ended: nothing of it is pending.
    #[error("cancel it: it has ended")]
    Ended,
    #[error("accept it: too much is waiting")]
    Overloaded,
    #[error("accept it: the server is stopping")]
    Stopping,
    #[error("accept it: this node has lost touch with the database")]
    NoLease,
    #[error(transparent)]
    Store(Arc<StoreError>),
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// What stands in the way of something new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Existing {
    #[error("an application with this uid")]
    ApplicationUid,
    #[error("an endpoint with this uid")]
    EndpointUid,
    #[error("an event type with this name")]
    EventType,
    #[error("a message with this event id")]
    EventId,
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<ApplyError> for Error {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Store(error) => error.into(),
            ApplyError::Conflict(conflict) => conflict.into(),
        }
    }
}

impl From<Conflict> for Error {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::ApplicationUid => Self::Exists(Existing::ApplicationUid),
            Conflict::EndpointUid => Self::Exists(Existing::EndpointUid),
            Conflict::EventTypeExists => Self::Exists(Existing::EventType),
            Conflict::EndpointLimit => Self::LimitReached {
                of: "endpoints of an application",
                max: limit::ENDPOINTS_PER_APPLICATION_MAX,
            },
            Conflict::ApiKeyLimit => Self::LimitReached {
                of: "API keys of one owner",
                max: limit::API_KEYS_PER_OWNER_MAX,
            },
            Conflict::TokenVoidLimit => Self::LimitReached {
                of: "sets of tokens that were ended; end all of the organization's",
                max: limit::TOKEN_VOIDS_PER_ORGANIZATION_MAX,
            },
            Conflict::TaskLimit => Self::LimitReached {
                of: "running tasks of an application",
                max: limit::TASKS_PER_APPLICATION_MAX,
            },
            Conflict::Changed => Self::Contended,
            Conflict::Missing => Self::NotFound,
            Conflict::Repeated(remembered) => Self::Repeated(remembered),
        }
    }
}

impl From<AcceptError> for Error {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::EventIdTaken(_) => Self::Exists(Existing::EventId),
            AcceptError::Repeated(remembered) => Self::Repeated(remembered),
            AcceptError::Invalid(faults) => {
                Self::Invalid(faults.into_iter().map(Fault::from).collect())
            }
            AcceptError::Overloaded => Self::Overloaded,
            AcceptError::Stopping => Self::Stopping,
            AcceptError::NoLease => Self::NoLease,
            stalled @ AcceptError::Stalled => StoreError::Unavailable(stalled.into()).into(),
            AcceptError::Store(error) => Self::Store(error),
        }
    }
}
