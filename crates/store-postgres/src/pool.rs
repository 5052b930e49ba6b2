//! A few connections that take turns. Whoever finds none free waits, within bounds.

use std::sync::Arc;

use deadpool_postgres::{Manager, ManagerConfig, Object, RecyclingMethod, Runtime};
use tokio::sync::RwLock;
use watchfire_domain::limit;

use crate::address::Address;
use crate::fault::FaultResult;
use crate::hints::Board;
use crate::session::{Mode, Turn, Tx};
use crate::tls::MakeTls;

/// Connections for one purpose.
#[derive(Clone)]
pub(crate) struct Pool {
    connections: deadpool_postgres::Pool,
    /// Where commits say whom they concern.
    board: Arc<Board>,
    /// Whoever wants to be alone waits for those who are under way, and lets nobody past.
    turns: Arc<RwLock<()>>,
}

/// What the pools of a process share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) board: Arc<Board>,
    pub(crate) turns: Arc<RwLock<()>>,
}

impl Pool {
    /// Connects to nothing yet.
    pub(crate) fn new(address: &Address, tls: &MakeTls, size: usize, shared: Shared) -> Self {
        let recycle = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_config(address.config().clone(), tls.clone(), recycle);
        let builder = deadpool_postgres::Pool::builder(manager)
            .max_size(size.max(1))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(limit::DATABASE_TIMEOUT))
            .create_timeout(Some(limit::DATABASE_CONNECT_TIMEOUT))
            .recycle_timeout(Some(limit::DATABASE_CONNECT_TIMEOUT));
        match builder.build() {
            Ok(connections) => Self {
                connections,
                board: shared.board,
                turns: shared.turns,
            },
            // Only a timeout without a runtime is refused, and there is one.
            Err(error) => unreachable!("{error}"),
        }
    }

    pub(crate) async fn connection(&self) -> FaultResult<Object> {
        Ok(self.connections.get().await?)
    }

    pub(crate) async fn begin(&self, mode: Mode) -> FaultResult<Tx> {
        let turns = Arc::clone(&self.turns);
        let turn = match mode {
            Mode::Write => Turn::Shared(turns.read_owned().await),
            Mode::Alone => Turn::Alone(turns.write_owned().await),
            Mode::Read | Mode::Background => Turn::None,
        };
        Tx::begin(
            self.connection().await?,
            mode,
            (turn, Arc::clone(&self.board)),
        )
        .await
    }

    /// Hands out no more connections, and closes those that come back.
    pub(crate) fn close(&self) {
        self.connections.close();
    }
}
