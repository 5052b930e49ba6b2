//! Everything that can be wrong with a data folder, and who may use it when.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use watchfire_store::conformance::world::World;
use watchfire_store::{Nodes, Seq, Store, StoreError};
use watchfire_store_sqlite::{OpenError, Options, Sqlite};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn open(folder: &Path) -> Result<Sqlite, OpenError> {
    Sqlite::open(folder, Options::default())
}

fn error(folder: &Path) -> OpenError {
    match open(folder) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error,
    }
}

/// A store that was used and closed.
async fn used(folder: &Path) -> Seq {
    let store = open(folder).expect("open it");
    let world = World::with_endpoints(Arc::new(store.clone()), 1).await;
    let seqs = world.accept_many(500).await;
    store.close().await;
    seqs[499]
}

fn edit(folder: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(folder.join("watchfire.db")).expect("open it");
    connection.execute_batch(sql).expect("edit it");
}

#[tokio::test]
async fn what_was_stored_is_there_again() {
    let folder = folder();
    let last = used(folder.path()).await;
    let store = open(folder.path()).expect("open it again");
    let world = World::seeded(Arc::new(store), 1, 8).await;
    assert_eq!(world.unfinished().await.len(), 500);
    let next = world.accept_many(1).await[0];
    assert!(next > last, "{next:?} after {last:?}");
}

#[tokio::test]
async fn a_folder_is_made_if_it_is_missing() {
    let folder = folder();
    let deep = folder.path().join("a/b");
    open(&deep)
        .expect("open it")
        .check()
        .await
        .expect("it works");
}

#[tokio::test]
async fn a_folder_has_one_user_at_a_time() {
    let folder = folder();
    let first = open(folder.path()).expect("open it");
    let refused = error(folder.path());
    let own = std::process::id();
    assert!(
        matches!(&refused, OpenError::InUse { pid: Some(pid), .. } if *pid == own),
        "{refused:?}"
    );
    let text = refused.to_string();
    assert!(text.contains(&own.to_string()), "{text}");
    assert!(
        text.contains(&folder.path().display().to_string()),
        "{text}"
    );
    first.close().await;
    open(folder.path()).expect("the folder is free at once");
}

#[tokio::test]
async fn dropping_the_last_clone_frees_the_folder() {
    let folder = folder();
    let store: Arc<dyn Store> = Arc::new(open(folder.path()).expect("open it"));
    store.check().await.expect("it works");
    drop(store);
    let freed = async {
        while open(folder.path()).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), freed)
        .await
        .expect("it is freed");
}

#[tokio::test]
async fn a_closed_store_says_so() {
    let folder = folder();
    let store = open(folder.path()).expect("open it");
    let clone = store.clone();
    store.close().await;
    store.close().await;
    assert!(matches!(clone.check().await, Err(StoreError::Closed)));
    let read = watchfire_store::History::deliveries_of(&clone, watchfire_store::AppKey(1), Seq(1));
    assert!(matches!(read.await, Err(StoreError::Closed)));
    let log = folder.path().join("watchfire.db-wal");
    assert!(!log.exists(), "the file is whole without its log");
}

#[test]
fn a_file_is_no_folder() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, "x").expect("write it");
    assert!(matches!(error(&file), OpenError::NotAFolder(path) if path == file));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, "x").expect("write it");
    let below = file.join("below");
    let refused = error(&below);
    assert!(
        matches!(&refused, OpenError::NotWritable { folder, .. } if *folder == below),
        "{refused:?}"
    );
}

#[test]
fn another_kind_of_file_is_not_touched() {
    let folder = folder();
    let file = folder.path().join("watchfire.db");
    let content = "a shopping list, long enough to be taken for a header\n".repeat(10);
    fs::write(&file, &content).expect("write it");
    assert!(matches!(error(folder.path()), OpenError::NotADatabase(path) if path == file));
    assert_eq!(fs::read_to_string(&file).expect("read it"), content);
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let folder = folder();
    used(folder.path()).await;
    let file = folder.path().join("watchfire.db");
    let mut bytes = fs::read(&file).expect("read it");
    bytes[100..4_096].fill(0xa5);
    fs::write(&file, bytes).expect("write it");
    assert!(matches!(error(folder.path()), OpenError::Damaged(path) if path == file));
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = folder();
    used(folder.path()).await;
    edit(
        folder.path(),
        "INSERT INTO migration VALUES (9999, 'from the future', 'x')",
    );
    let refused = error(folder.path());
    assert!(
        matches!(refused, OpenError::Newer { found: 9_999, .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_migration_that_was_edited_is_refused() {
    let folder = folder();
    used(folder.path()).await;
    edit(
        folder.path(),
        "UPDATE migration SET checksum = 'x' WHERE version = 1",
    );
    let refused = error(folder.path());
    assert!(
        matches!(refused, OpenError::ChangedMigration { version: 1 }),
        "{refused:?}"
    );
}
