//! Turns SQLite's errors into the store's. No decision reads an error's text.

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
use watchfire_store::{ApplyError, Conflict, StoreError};

/// Why work in a transaction or on a reader ended.
#[derive(Debug)]
pub(crate) enum Fault {
    Sql(rusqlite::Error),
    Store(StoreError),
}

pub(crate) type FaultResult<T> = Result<T, Fault>;

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Sql(error) => from_sqlite(error),
            Fault::Store(error) => error,
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

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Fault(error.into())
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

fn from_sqlite(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error().copied() {
        Some(cause) if is_full(cause) => StoreError::Full,
        Some(cause) if is_damage(cause) => StoreError::Inconsistent {
            table: "sqlite",
            column: "page",
            row: format!("(code {})", cause.extended_code),
            source: Box::new(error),
        },
        Some(_) | None => StoreError::Unavailable(Box::new(error)),
    }
}

/// The shared-memory file grows without data being written: its only way to fail is a full disk.
fn is_full(cause: rusqlite::ffi::Error) -> bool {
    cause.code == ErrorCode::DiskFull || cause.extended_code == SQLITE_IOERR_SHMSIZE
}

fn is_damage(cause: rusqlite::ffi::Error) -> bool {
    matches!(
        cause.code,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase
    )
}

/// Says the same as `error` to each of several callers: the driver's errors can't be cloned.
pub(crate) fn repeat(error: &rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqliteFailure(cause, text) => {
            rusqlite::Error::SqliteFailure(*cause, text.clone())
        }
        other => rusqlite::Error::ToSqlConversionFailure(other.to_string().into()),
    }
}
