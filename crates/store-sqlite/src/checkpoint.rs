//! Moves the write-ahead log into the file without holding up the writer.
//!
//! # Problem
//!
//! Commits append to the log; from time to time its pages must be copied into the file and synced,
//! so that the log can begin anew. For a log of some megabytes that takes tens of milliseconds,
//! and whoever does it makes everybody behind it wait.
//!
//! # Idea
//!
//! A second thread copies while the writer goes on appending. When it has caught up with where the
//! log ended when it began, only the little that was appended meanwhile is left: that the writer
//! copies itself, between two commits, and its next commit begins the log anew.
//!
//! # Limits
//!
//! The copying begins at [`START_FRAMES`]. If the log reaches [`FULL_FRAMES`] all the same, because
//! the disk is slow or a reader holds an old snapshot, the writer copies what it can, however long
//! that takes, each time so many frames were added.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tracing::warn;

use crate::open::{Role, configure};

/// 8 MiB: small enough to be read back in a moment after a crash, large enough that pages which
/// change with every commit are copied once for hundreds of commits.
const START_FRAMES: i64 = 2_048;
/// 64 MiB.
const FULL_FRAMES: i64 = 16_384;

/// Looks after the log; owned by the writer.
pub(crate) struct Checkpointer {
    /// `None` for a database in memory, which has no log.
    copier: Option<Copier>,
    /// The log's length when the writer last had to copy it alone.
    full_at: i64,
}

/// The other thread.
struct Copier {
    /// The thread ends when this is dropped.
    begin: SyncSender<()>,
    state: Arc<State>,
    thread: JoinHandle<()>,
}

impl Copier {
    fn begin(&self) {
        if self.begin.try_send(()).is_err() {
            warn!("the thread that moves the write-ahead log into the file has ended");
        }
    }
}

#[derive(Default)]
struct State {
    copying: AtomicBool,
    copied: AtomicBool,
}

impl Checkpointer {
    /// For a database without a log.
    pub(crate) fn none() -> Self {
        Self {
            copier: None,
            full_at: 0,
        }
    }

    /// Starts the thread with its own connection.
    pub(crate) fn start(file: &Path) -> rusqlite::Result<std::io::Result<Self>> {
        let connection = Connection::open(file)?;
        configure(&connection, Role::Checkpointer)?;
        let (begin, orders) = sync_channel(1);
        let state = Arc::new(State::default());
        let shared = state.clone();
        let spawned = thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || copy_when_asked(&connection, &orders, &shared));
        Ok(spawned.map(|thread| Self {
            copier: Some(Copier {
                begin,
                state,
                thread,
            }),
            full_at: 0,
        }))
    }

    /// Ends the thread and waits for it, so that nobody but the caller has the file open.
    pub(crate) fn stop(&mut self) {
        if let Some(Copier { begin, thread, .. }) = self.copier.take() {
            drop(begin);
            if thread.join().is_err() {
                warn!("the thread that moved the write-ahead log into the file had panicked");
            }
        }
    }

    /// Called by the writer between two commits.
    pub(crate) fn tend(&mut self, writer: &Connection) -> rusqlite::Result<()> {
        let Some(copier) = &self.copier else {
            return Ok(());
        };
        if copier.state.copied.swap(false, Ordering::Acquire) {
            return copy(writer);
        }
        let frames = log_frames(writer)?;
        if frames < START_FRAMES {
            self.full_at = 0;
        } else if frames >= self.full_at + FULL_FRAMES {
            self.full_at = frames;
            return copy(writer);
        } else if !copier.state.copying.swap(true, Ordering::AcqRel) {
            copier.begin();
        }
        Ok(())
    }
}

fn copy_when_asked(connection: &Connection, orders: &Receiver<()>, state: &State) {
    while orders.recv().is_ok() {
        match copy(connection) {
            Ok(()) => state.copied.store(true, Ordering::Release),
            Err(error) => warn!(error = %error, "write-ahead log was not moved into the file"),
        }
        state.copying.store(false, Ordering::Release);
    }
}

/// Copies what no reader holds back, without waiting for anybody.
fn copy(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")?
        .query_row([], |_| Ok(()))
}

/// The length of the log, copied or not.
fn log_frames(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("PRAGMA wal_checkpoint(NOOP)")?
        .query_row([], |row| row.get(1))
}
