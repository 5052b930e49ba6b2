//! A few read-only connections for lists and look-ups. Each read sees one commit, whole.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;
use tokio::task;
use watchfire_store::StoreError;

use crate::fault::{Fault, FaultResult};
use crate::open::{Role, configure};
use crate::writer::{Rows, Writer};

/// Where reads are carried out.
#[derive(Clone)]
pub(crate) enum Readers {
    Pool(Arc<Pool>),
    /// A database in memory has one connection, the writer's.
    Writer(Writer),
}

/// Connections that nobody uses at the moment.
pub(crate) struct Pool {
    idle: Mutex<Vec<Connection>>,
    /// As many permits as there are connections.
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn open(file: &Path, count: usize) -> rusqlite::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = |_| {
            let connection = Connection::open_with_flags(file, flags)?;
            configure(&connection, Role::Reader)?;
            Ok(connection)
        };
        let idle: rusqlite::Result<Vec<_>> = (0..count).map(open).collect();
        Ok(Self::Pool(Arc::new(Pool {
            idle: Mutex::new(idle?),
            permits: Arc::new(Semaphore::new(count)),
        })))
    }

    /// Runs `work` against one snapshot. Waits while all connections are in use.
    ///
    /// If the caller goes away, the read ends by itself and its answer is dropped.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> FaultResult<T> + Send + 'static,
    {
        match self {
            Self::Writer(writer) => {
                let run = writer.run::<T, Fault, _>(Rows(0), move |tx| work(tx.connection()));
                Ok(run.await?)
            }
            Self::Pool(pool) => pool.clone().run(work).await,
        }
    }

    /// Takes no more reads, and closes each connection once it is idle.
    pub(crate) fn close(&self) {
        if let Self::Pool(pool) = self {
            pool.permits.close();
            pool.idle.lock().clear();
        }
    }
}

impl Pool {
    async fn run<T, F>(self: Arc<Self>, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> FaultResult<T> + Send + 'static,
    {
        let permits = self.permits.clone();
        let permit = permits
            .acquire_owned()
            .await
            .map_err(|_| StoreError::Closed)?;
        let read = task::spawn_blocking(move || {
            let result = self.read(work);
            drop(permit);
            result
        });
        match read.await {
            Ok(result) => Ok(result?),
            Err(error) => Err(StoreError::Unavailable(Box::new(error))),
        }
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> FaultResult<T>) -> FaultResult<T> {
        let mut lent = Lent {
            connection: Some(self.idle.lock().pop().ok_or(StoreError::Closed)?),
            pool: self,
        };
        let connection = lent.connection.as_mut().ok_or(StoreError::Closed)?;
        // Ends with a rollback, which for a read is the same as a commit.
        let snapshot = connection.transaction()?;
        work(&snapshot)
    }
}

/// A connection that goes back even if the read panics.
struct Lent<'p> {
    connection: Option<Connection>,
    pool: &'p Pool,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && !self.pool.permits.is_closed()
        {
            self.pool.idle.lock().push(connection);
        }
    }
}
