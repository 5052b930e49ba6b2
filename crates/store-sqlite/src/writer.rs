//! The one thread that writes.
//!
//! # Problem
//!
//! A sync of the disk costs from 0.05 ms to several milliseconds, and every accepted message must
//! be synced before it is answered.
//!
//! # Idea
//!
//! Whatever waits when the last commit ends becomes the next commit. Each job runs under its own
//! savepoint, so that one that fails takes nothing with it; all are answered after the commit.
//!
//! # Limits
//!
//! A group ends at [`limit::COMMIT_ROWS_MAX`] rows, so that a commit stays short. The queue holds
//! [`QUEUE_JOBS_MAX`] jobs; callers beyond that wait their turn.
//!
//! # What can go wrong
//!
//! - A job fails: its savepoint is rolled back, its caller is told, the others go on.
//! - The commit fails (disk full, I/O): everything is rolled back and every caller is told.
//! - A job panics: the same as failing. The thread goes on.
//! - A caller goes away: its job runs to its end, and nobody reads the answer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use rusqlite::{CachedStatement, Connection, Params};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task;
use tracing::{error, warn};
use watchfire_domain::limit;
use watchfire_store::{Seq, StoreError};

use crate::checkpoint::Checkpointer;
use crate::fault::{Fault, FaultResult, repeat};
use crate::open::BUSY_TIMEOUT;

/// Jobs waiting for the writer. A job is a batch, so few are needed; the callers' own queues are
/// where load is refused.
const QUEUE_JOBS_MAX: usize = 256;

/// Says how much of a commit a job is likely to take, so that groups stay bounded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows(pub(crate) usize);

/// What a job may use: the connection within a transaction, and what the writer remembers.
pub(crate) struct Tx<'c> {
    connection: &'c Connection,
    next_seq: &'c mut i64,
    scrub_log: &'c mut bool,
}

impl<'c> Tx<'c> {
    pub(crate) fn connection(&self) -> &'c Connection {
        self.connection
    }

    pub(crate) fn prepare(&self, sql: &str) -> FaultResult<CachedStatement<'c>> {
        Ok(self.connection.prepare_cached(sql)?)
    }

    /// Runs a statement and returns the number of rows it changed.
    pub(crate) fn execute(&self, sql: &str, params: impl Params) -> FaultResult<usize> {
        Ok(self.prepare(sql)?.execute(params)?)
    }

    /// Asks for the write-ahead log to be emptied soon: it still holds what was just removed.
    pub(crate) fn scrub_log(&mut self) {
        *self.scrub_log = true;
    }

    /// The last place that was drawn.
    pub(crate) fn last_seq(&self) -> Seq {
        Seq(*self.next_seq - 1)
    }

    /// Draws the next place in the ledger. One that is drawn in vain stays empty.
    pub(crate) fn draw_seq(&mut self) -> Seq {
        let seq = Seq(*self.next_seq);
        *self.next_seq += 1;
        seq
    }
}

/// Hands jobs to the writer thread.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Order>,
    /// Its sender is dropped when the thread has ended.
    ended: watch::Receiver<()>,
    holds_time: bool,
}

enum Order {
    Job(Rows, Box<dyn Job>),
    Close,
}

impl Writer {
    /// Starts the thread. `at_end` is dropped after the connection was closed.
    pub(crate) fn start(work: WriterThread, at_end: impl Send + 'static) -> std::io::Result<Self> {
        let (queue, orders) = mpsc::channel(QUEUE_JOBS_MAX);
        let (running, ended) = watch::channel(());
        thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                work.run(orders);
                drop(at_end);
                drop(running);
            })?;
        Ok(Self {
            queue,
            ended,
            holds_time: false,
        })
    }

    /// Simulated time stands still while this writer is at work, for tests. Otherwise it would leap
    /// ahead, because to the runtime nothing seems to happen.
    pub(crate) fn holding_time(self) -> Self {
        Self {
            holds_time: true,
            ..self
        }
    }

    /// Runs `work` in a transaction and returns what it returned once that is on disk.
    ///
    /// If the caller goes away before the job was queued, nothing happens; afterwards it is
    /// carried out whole.
    pub(crate) async fn run<T, E, F>(&self, rows: Rows, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Fault> + Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Pending {
            work: Some(work),
            result: None,
            reply,
        });
        let closed = || E::from(Fault::Store(StoreError::Closed));
        let queued = self.queue.send(Order::Job(rows, job)).await;
        queued.map_err(|_| closed())?;
        let answered = if self.holds_time {
            let waiting = task::spawn_blocking(move || answer.blocking_recv());
            waiting.await.map_err(|_| closed())?
        } else {
            answer.await
        };
        answered.map_err(|_| closed())?
    }

    /// Carries out what is queued and ends the thread. Returns when all is closed and released.
    pub(crate) async fn close(&self) {
        // An error means that somebody else has closed it already.
        drop(self.queue.send(Order::Close).await);
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
    }
}

/// Something to do in a transaction, and somebody to tell.
trait Job: Send {
    /// Does the work. An `Err` says that what it wrote is to be rolled back.
    fn work(&mut self, tx: &mut Tx<'_>) -> Result<(), Undo>;

    /// Tells the caller: what the work returned, or why the commit failed.
    fn answer(self: Box<Self>, commit: Result<(), &rusqlite::Error>);
}

/// What a job wrote is to be rolled back.
#[derive(Debug)]
struct Undo;

struct Pending<F, T, E> {
    work: Option<F>,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Job for Pending<F, T, E>
where
    T: Send,
    E: From<Fault> + Send,
    F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send,
{
    fn work(&mut self, tx: &mut Tx<'_>) -> Result<(), Undo> {
        let work = self.work.take().ok_or(Undo)?;
        let result = work(tx);
        let end = if result.is_ok() { Ok(()) } else { Err(Undo) };
        self.result = Some(result);
        end
    }

    fn answer(self: Box<Self>, commit: Result<(), &rusqlite::Error>) {
        let result = match (self.result, commit) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            // Its own reason says more than the group's.
            (Some(Err(error)), Ok(()) | Err(_)) => Err(error),
            (Some(Ok(_)) | None, Err(failure)) => Err(Fault::Sql(repeat(failure)).into()),
            (None, Ok(())) => {
                let bug = StoreError::Unavailable(Box::new(Panicked));
                Err(Fault::Store(bug).into())
            }
        };
        // An error means that the caller has gone away; what was committed stands all the same.
        drop(self.reply.send(result));
    }
}

/// A bug in this crate ended a job; what it wrote was rolled back.
#[derive(Debug, thiserror::Error)]
#[error("the work in the transaction panicked")]
struct Panicked;

/// What the thread owns.
pub(crate) struct WriterThread {
    connection: Connection,
    next_seq: i64,
    checkpointer: Checkpointer,
    /// Something was removed that the write-ahead log still holds.
    scrub_log: bool,
}

impl WriterThread {
    pub(crate) fn new(connection: Connection, next_seq: i64, checkpointer: Checkpointer) -> Self {
        Self {
            connection,
            next_seq,
            checkpointer,
            scrub_log: false,
        }
    }

    fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        while let Some(first) = orders.blocking_recv() {
            let mut group = collect(&mut orders, first);
            let commit = self.commit(&mut group);
            if let Err(error) = &commit {
                error!(error = %error, jobs = group.len(), "commit failed; nothing of it was stored");
            }
            for job in group {
                job.answer(commit.as_ref().copied());
            }
            self.tend_log();
        }
        self.close();
    }

    fn tend_log(&mut self) {
        if self.scrub_log {
            self.empty_log();
        } else if let Err(error) = self.checkpointer.tend(&self.connection) {
            warn!(error = %error, "write-ahead log was not moved into the file");
        }
    }

    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
        if group.is_empty() {
            return Ok(());
        }
        let result = self.transaction(group);
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            error!(error = %error, "rollback failed");
        }
        result
    }

    fn transaction(&mut self, group: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
        let alone = group.len() == 1;
        run_cached(&self.connection, "BEGIN IMMEDIATE")?;
        for job in group {
            if alone {
                if self.work(job.as_mut()).is_err() {
                    return run_cached(&self.connection, "ROLLBACK");
                }
            } else {
                self.work_under_savepoint(job.as_mut())?;
            }
        }
        run_cached(&self.connection, "COMMIT")
    }

    /// Fails only if the whole transaction is lost.
    fn work_under_savepoint(&mut self, job: &mut dyn Job) -> rusqlite::Result<()> {
        run_cached(&self.connection, "SAVEPOINT job")?;
        if self.work(job).is_err() {
            // Fails if SQLite has rolled back everything, as it does on a full disk.
            run_cached(&self.connection, "ROLLBACK TO job")?;
        }
        run_cached(&self.connection, "RELEASE job")
    }

    fn work(&mut self, job: &mut dyn Job) -> Result<(), Undo> {
        let mut tx = Tx {
            connection: &self.connection,
            next_seq: &mut self.next_seq,
            scrub_log: &mut self.scrub_log,
        };
        // Nothing the job touched outlives it but the transaction, which is rolled back.
        catch_unwind(AssertUnwindSafe(|| job.work(&mut tx))).unwrap_or_else(|_| {
            error!("a job of the store panicked; what it wrote was rolled back");
            Err(Undo)
        })
    }

    /// Moves the write-ahead log into the file and cuts it to nothing. Readers can stand in the
    /// way; then it is tried again after the next commit, and at the end.
    fn empty_log(&mut self) {
        match self.truncate_log() {
            Ok(busy) => self.scrub_log = busy,
            Err(error) => warn!(error = %error, "write-ahead log was not emptied"),
        }
    }

    /// Returns whether somebody stood in the way, for whom it does not wait.
    fn truncate_log(&self) -> rusqlite::Result<bool> {
        self.connection.busy_timeout(Duration::ZERO)?;
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy = self.connection.query_row(sql, [], |row| row.get(0));
        self.connection.busy_timeout(BUSY_TIMEOUT)?;
        busy
    }

    /// Leaves one file without a log, so that a copy of it is whole.
    fn close(mut self) {
        self.checkpointer.stop();
        self.empty_log();
        if let Err((_, error)) = self.connection.close() {
            warn!(error = %error, "database was not closed cleanly");
        }
    }
}

/// Takes what waits, up to a bounded number of rows.
fn collect(orders: &mut mpsc::Receiver<Order>, first: Order) -> Vec<Box<dyn Job>> {
    let mut group = Vec::new();
    let mut rows = 0;
    let mut next = Some(first);
    while let Some(order) = next {
        match order {
            Order::Job(Rows(more), job) => {
                rows += more;
                group.push(job);
            }
            // What was queued before is still carried out; nothing more is taken in.
            Order::Close => orders.close(),
        }
        let room = rows < limit::COMMIT_ROWS_MAX;
        next = if room { orders.try_recv().ok() } else { None };
    }
    group
}

fn run_cached(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

#[cfg(test)]
mod tests;
