//! A few connections that take turns. Whoever finds none free waits, within bounds.

use deadpool_postgres::{Manager, ManagerConfig, Object, RecyclingMethod, Runtime};
use watchfire_domain::limit;

use crate::address::Address;
use crate::fault::FaultResult;
use crate::session::{Mode, Tx};
use crate::tls::MakeTls;

/// Connections for one purpose.
#[derive(Clone)]
pub(crate) struct Pool(deadpool_postgres::Pool);

impl Pool {
    /// Connects to nothing yet.
    pub(crate) fn new(address: &Address, tls: &MakeTls, size: usize) -> Self {
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
            Ok(pool) => Self(pool),
            // Only a timeout without a runtime is refused, and there is one.
            Err(error) => unreachable!("{error}"),
        }
    }

    pub(crate) async fn connection(&self) -> FaultResult<Object> {
        Ok(self.0.get().await?)
    }

    pub(crate) async fn begin(&self, mode: Mode) -> FaultResult<Tx> {
        Tx::begin(self.connection().await?, mode).await
    }

    /// Hands out no more connections, and closes those that come back.
    pub(crate) fn close(&self) {
        self.0.close();
    }
}
