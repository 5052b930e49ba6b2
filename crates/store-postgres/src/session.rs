//! Transactions: short, bounded in time, and done again if they met another.
//!
//! # Bounds
//!
//! The server ends a statement after [`limit::DATABASE_STATEMENT_TIMEOUT`], and a transaction whose
//! next statement does not come after [`limit::DATABASE_IDLE_TIMEOUT`], so that a node that hangs or
//! has lost its network holds locks no longer; we stop waiting for a
//! whole call after [`limit::DATABASE_TIMEOUT`], because a server that hangs ends nothing. Both are
//! said in each transaction, since settings of a session get lost behind a pooler.
//!
//! # What can go wrong
//!
//! - The work fails: the transaction is rolled back and the connection goes back to its pool.
//! - The caller goes away: the same, in the background.
//! - The connection breaks or hangs: it is closed, and so are those that rest in its pool, since
//!   they go the same way. Before the commit was sent nothing stands; after that the commit is
//!   [`Fault::Doubtful`].
//! - The server only reads: it was the primary once. The connection is closed, and the next one
//!   looks for the primary anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::Object;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard};
use tokio_postgres::Row;
use tokio_postgres::error::{DbError, Severity, SqlState};
use watchfire_domain::limit;

use crate::fault::{Ending, Fault, FaultResult};
use crate::hints::{Board, Told};
use crate::parameter::Parameter;

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Sees each statement's own moment, and what it has locked.
    Write,
    /// The same, while no other [`Mode::Write`] of this process is under way. Whoever wants a row of
    /// which the others hold weak locks, one after the other, would not get it before a lull.
    Alone,
    /// Like [`Mode::Write`], for what may take long and writes in no node's name: nobody who wants to
    /// be alone waits for it.
    Background,
    /// Sees one moment throughout.
    Read,
}

/// A transaction that is under way.
pub(crate) struct Tx {
    /// Taken when the transaction has ended.
    connection: Option<Object>,
    /// The server said that it only reads.
    only_reads: AtomicBool,
    /// Whom it concerns once it has committed.
    told: Mutex<Told>,
    board: Arc<Board>,
    _turn: Turn,
}

/// Among the writes of this process.
#[expect(dead_code, reason = "they are held, not read")]
pub(crate) enum Turn {
    Shared(OwnedRwLockReadGuard<()>),
    Alone(OwnedRwLockWriteGuard<()>),
    None,
}

impl Tx {
    pub(crate) async fn begin(
        connection: Object,
        mode: Mode,
        (turn, board): (Turn, Arc<Board>),
    ) -> FaultResult<Self> {
        let tx = Self {
            connection: Some(connection),
            only_reads: AtomicBool::new(false),
            told: Mutex::new(Told::NOBODY),
            board,
            _turn: turn,
        };
        let characteristics = match mode {
            Mode::Write | Mode::Alone | Mode::Background => "BEGIN ISOLATION LEVEL READ COMMITTED",
            Mode::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        let statement = limit::DATABASE_STATEMENT_TIMEOUT.as_millis();
        let idle = limit::DATABASE_IDLE_TIMEOUT.as_millis();
        let begin = format!(
            "{characteristics}; SET LOCAL statement_timeout = {statement}; \
             SET LOCAL idle_in_transaction_session_timeout = {idle}"
        );
        tx.batch(&begin).await?;
        Ok(tx)
    }

    fn connection(&self) -> FaultResult<&Object> {
        self.connection.as_ref().ok_or(Fault::Late)
    }

    pub(crate) async fn query(
        &self,
        sql: &str,
        parameters: &[&dyn Parameter],
    ) -> FaultResult<Vec<Row>> {
        let typed: Vec<_> = parameters.iter().map(|value| value.typed()).collect();
        self.noted(self.connection()?.query_typed(sql, &typed).await)
    }

    /// The first row, if there is one.
    pub(crate) async fn first(
        &self,
        sql: &str,
        parameters: &[&dyn Parameter],
    ) -> FaultResult<Option<Row>> {
        Ok(self.query(sql, parameters).await?.into_iter().next())
    }

    /// Whether a query yields a row.
    pub(crate) async fn exists(
        &self,
        sql: &str,
        parameters: &[&dyn Parameter],
    ) -> FaultResult<bool> {
        Ok(!self.query(sql, parameters).await?.is_empty())
    }

    /// Runs a statement and returns the number of rows it changed.
    pub(crate) async fn execute(
        &self,
        sql: &str,
        parameters: &[&dyn Parameter],
    ) -> FaultResult<usize> {
        let typed: Vec<_> = parameters.iter().map(|value| value.typed()).collect();
        let changed = self.noted(self.connection()?.execute_typed(sql, &typed).await)?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    /// Runs statements that have no parameters.
    pub(crate) async fn batch(&self, sql: &str) -> FaultResult<()> {
        self.noted(self.connection()?.batch_execute(sql).await)
    }

    /// Notes whom the transaction concerns, for a hint once it has committed.
    pub(crate) fn concerns(&self, note: impl FnOnce(&mut Told)) {
        note(&mut self.told.lock());
    }

    /// Notes what an answer says of the server.
    fn noted<T>(&self, answer: Result<T, tokio_postgres::Error>) -> FaultResult<T> {
        if let Err(error) = &answer
            && error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
        {
            self.only_reads.store(true, Ordering::Relaxed);
        }
        Ok(answer?)
    }

    /// Makes the work last. [`Fault::Doubtful`] if nobody can tell whether it does.
    pub(crate) async fn commit(mut self) -> FaultResult<()> {
        let connection = self.connection.take().ok_or(Fault::Late)?;
        // If the caller goes away here, the commit stands or falls whole; the connection is not
        // used again.
        let mut sent = Discarded(Some(connection));
        let result = sent.run("COMMIT").await;
        match result {
            Ok(()) => {
                sent.keep();
                self.board.tell(*self.told.lock());
                Ok(())
            }
            // The server has said that it did not commit. One that ends the connection with its
            // answer may have: it says the same while it waits for a replica.
            Err(error) if error.as_db_error().is_some_and(goes_on) => {
                sent.keep();
                Err(error.into())
            }
            Err(_) => Err(Fault::Doubtful),
        }
    }

    /// Undoes the work and hands the connection back.
    pub(crate) async fn roll_back(mut self) {
        if let Some(connection) = self.connection.take() {
            undo(connection, self.only_reads.load(Ordering::Relaxed)).await;
        }
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        match Handle::try_current() {
            Ok(runtime) => {
                let only_reads = self.only_reads.load(Ordering::Relaxed);
                drop(runtime.spawn(undo(connection, only_reads)));
            }
            Err(_) => drop(Object::take(connection)),
        }
    }
}

/// Whether a server that reports this goes on with the connection.
fn goes_on(error: &DbError) -> bool {
    error.parsed_severity() == Some(Severity::Error)
}

/// How long a rollback may take before the connection is given up.
const UNDO_WAIT: Duration = Duration::from_secs(1);

async fn undo(connection: Object, only_reads: bool) {
    let mut open = Discarded(Some(connection));
    let rolled_back = tokio::time::timeout(UNDO_WAIT, open.run("ROLLBACK")).await;
    if let (Ok(Ok(())), false) = (rolled_back, only_reads) {
        open.keep();
    }
}

/// A connection that is closed when it is dropped, unless it is kept; and with it those that rest in
/// its pool. A pool notices a closed connection, but not one that leads nowhere: each would cost a
/// call its whole time.
struct Discarded(Option<Object>);

impl Discarded {
    async fn run(&mut self, sql: &str) -> Result<(), tokio_postgres::Error> {
        match &self.0 {
            Some(connection) => connection.batch_execute(sql).await,
            None => Ok(()),
        }
    }

    /// Hands the connection back to its pool.
    fn keep(&mut self) {
        drop(self.0.take());
    }
}

impl Drop for Discarded {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            if let Some(pool) = Object::pool(&connection) {
                pool.retain(|_, _| false);
            }
            drop(Object::take(connection));
        }
    }
}

/// How often work is done again because it met another transaction.
const TRIES_MAX: u32 = 8;

/// Counts how often some work was done.
#[derive(Debug, Default)]
pub(crate) struct Tries(u32);

impl Tries {
    /// Whether the work is to be done again after this.
    pub(crate) fn again(&mut self, ending: &impl Ending) -> bool {
        self.0 += 1;
        self.0 < TRIES_MAX && ending.fault().is_some_and(Fault::is_overtaken)
    }
}

/// Gives up on a call after [`limit::DATABASE_TIMEOUT`], or [`limit::DATABASE_READ_TIMEOUT`].
pub(crate) async fn within_bounds<T, E: Ending>(
    mode: Mode,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let most = match mode {
        Mode::Write | Mode::Alone | Mode::Background => limit::DATABASE_TIMEOUT,
        Mode::Read => limit::DATABASE_READ_TIMEOUT,
    };
    match tokio::time::timeout(most, call).await {
        Ok(result) => result,
        Err(_) => Err(Fault::Late.into()),
    }
}

/// Does work in a transaction of `$pool`, gives up in time, and leaves the transaction open: the
/// value is a [`Tx`] and what the work yielded.
///
/// The work is an expression of a future that may use `$tx`, a [`Tx`], by reference.
macro_rules! in_open_transaction {
    ($pool:expr, $mode:expr, $tx:ident => $work:expr) => {
        $crate::session::within_bounds($mode, async {
            let $tx = $pool.begin($mode).await?;
            match $work.await {
                Ok(value) => Ok(($tx, value)),
                Err(end) => {
                    $tx.roll_back().await;
                    Err(end)
                }
            }
        })
    };
}
pub(crate) use in_open_transaction;

/// Does work in a transaction of `$pool`, again if it met another one, and gives up in time.
///
/// The work is an expression of a future that may use `$tx`, a [`Tx`], by reference.
macro_rules! in_transaction {
    ($pool:expr, $mode:expr, $tx:ident => $work:expr) => {
        $crate::session::within_bounds($mode, async {
            let mut tries = $crate::session::Tries::default();
            loop {
                let $tx = $pool.begin($mode).await?;
                let end = match $work.await {
                    Ok(value) => match $tx.commit().await {
                        Ok(()) => break Ok(value),
                        Err(fault) => fault.into(),
                    },
                    Err(end) => {
                        $tx.roll_back().await;
                        end
                    }
                };
                if !tries.again(&end) {
                    break Err(end);
                }
            }
        })
    };
}
pub(crate) use in_transaction;
