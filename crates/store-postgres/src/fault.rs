//! Turns the driver's errors into the store's. No decision reads an error's text.

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;
use watchfire_store::{ApplyError, Conflict, StoreError};

/// Why work with the database ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Sql(#[from] tokio_postgres::Error),
    #[error(transparent)]
    Pool(#[from] PoolError),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another transaction came in between; the same work may succeed now.
    #[error("another transaction came in between")]
    Overtaken,
    /// The database did not answer in time.
    #[error("the database did not answer in time")]
    Late,
    /// The commit was sent and not acknowledged: it may stand or not.
    #[error("the commit was not acknowledged")]
    Doubtful,
    #[error("encode a column")]
    Encode(#[from] serde_json::Error),
}

pub(crate) type FaultResult<T> = Result<T, Fault>;

impl Fault {
    fn state(&self) -> Option<&SqlState> {
        match self {
            Self::Sql(error) | Self::Pool(PoolError::Backend(error)) => error.code(),
            Self::Pool(_)
            | Self::Store(_)
            | Self::Overtaken
            | Self::Late
            | Self::Doubtful
            | Self::Encode(_) => None,
        }
    }

    /// Whether the same work may succeed if it is done again at once.
    pub(crate) fn is_overtaken(&self) -> bool {
        matches!(self, Self::Overtaken)
            || self.state().is_some_and(|state| {
                *state == SqlState::T_R_SERIALIZATION_FAILURE
                    || *state == SqlState::T_R_DEADLOCK_DETECTED
            })
    }

    /// Whether a row found no partition to lie in.
    pub(crate) fn is_without_partition(&self) -> bool {
        let violated = match self {
            Self::Sql(error) => error.as_db_error(),
            _ => None,
        };
        // A check of ours has a name; that of a missing partition has none.
        violated.is_some_and(|error| {
            *error.code() == SqlState::CHECK_VIOLATION && error.constraint().is_none()
        })
    }

    /// Whether somebody else holds a lock we did not want to wait for.
    pub(crate) fn is_locked_out(&self) -> bool {
        self.state() == Some(&SqlState::LOCK_NOT_AVAILABLE)
    }

    /// The unique index that was in the way.
    pub(crate) fn violated_unique(&self) -> Option<&str> {
        match self {
            Self::Sql(error) => error
                .as_db_error()
                .filter(|error| *error.code() == SqlState::UNIQUE_VIOLATION)
                .and_then(|error| error.constraint()),
            _ => None,
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        if fault.state() == Some(&SqlState::DISK_FULL) {
            return Self::Full;
        }
        match fault {
            Fault::Store(error) => error,
            Fault::Pool(PoolError::Closed) => Self::Closed,
            other => Self::Unavailable(Box::new(other)),
        }
    }
}

/// Why changes of the configuration were not applied.
#[derive(Debug)]
pub(crate) enum Refusal {
    Conflict(Conflict),
    Fault(Fault),
}

impl From<Conflict> for Refusal {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict)
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Refusal> for ApplyError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Conflict(conflict) => Self::Conflict(conflict),
            Refusal::Fault(fault) => Self::Store(fault.into()),
        }
    }
}

/// What ends the work of a transaction early.
pub(crate) trait Ending: From<Fault> {
    /// The fault of the database, if that is what it was.
    fn fault(&self) -> Option<&Fault>;
}

impl Ending for Fault {
    fn fault(&self) -> Option<&Fault> {
        Some(self)
    }
}

impl Ending for Refusal {
    fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Conflict(_) => None,
            Self::Fault(fault) => Some(fault),
        }
    }
}
