//! Holds the store to the suite, each case in a schema of its own.

use std::sync::{Arc, OnceLock};

use watchfire_store::Store;
use watchfire_store_postgres::{Address, Options, Postgres};
use watchfire_testkit::Postgres as Server;

/// One server for all cases of this process.
static SERVER: OnceLock<Server> = OnceLock::new();

async fn make() -> ((), Arc<dyn Store>) {
    let url = tokio::task::spawn_blocking(|| SERVER.get_or_init(Server::shared).fresh_schema());
    let address: Address = url.await.expect("a schema").parse().expect("an address");
    let store = Postgres::open(&address, Options { connections: 6 }).await;
    ((), Arc::new(store.expect("open it")))
}

watchfire_store::conformance!(make);
