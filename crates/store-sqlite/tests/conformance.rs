//! Holds the store to the suite, on disk and in memory.

use std::sync::Arc;

use tempfile::TempDir;
use watchfire_store::Store;
use watchfire_store_sqlite::{Options, Sqlite};

mod on_disk {
    use super::*;

    async fn make() -> (TempDir, Arc<dyn Store>) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Sqlite::open(folder.path(), Options::default()).expect("open it");
        (folder, Arc::new(store))
    }

    watchfire_store::conformance!(make);
}

mod in_memory {
    use super::*;

    async fn make() -> ((), Arc<dyn Store>) {
        ((), Arc::new(Sqlite::in_memory().expect("open it")))
    }

    watchfire_store::conformance!(make);
}
