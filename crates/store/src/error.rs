//! Operating faults of a database. Callers' mistakes have their own types.

/// The result of asking a store.
pub type StoreResult<T> = Result<T, StoreError>;

/// Why a store could not do what was asked. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No space left; deliveries go on, accepting must wait.
    #[error("write: the disk is full")]
    Full,
    /// Out of reach or overloaded; the same call may succeed later.
    #[error("reach the database")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A row that this version can't read: a bug or a damaged file.
    #[error("read {table}.{column} of row {row}")]
    Inconsistent {
        table: &'static str,
        column: &'static str,
        row: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another node has taken over; this one's results no longer count.
    #[error("write: this node's lease was taken over")]
    Fenced,
    /// The store has been closed.
    #[error("reach the database: it is closed")]
    Closed,
}
