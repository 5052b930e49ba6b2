//! A full disk, rows from another world, and contents that must leave no trace.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use watchfire_domain::attempt::Settlement;
use watchfire_domain::outcome::{Outcome, Phase};
use watchfire_store::conformance::world::{World, at, settled};
use watchfire_store::{
    Appended, ApplyError, AttemptFilter, Change, MessageFilter, NewMessage, Order, PruneOrder,
    Range, Retention, Retentions, Seq, StoreError, StoreResult,
};
use watchfire_store_sqlite::{Options, Sqlite};

async fn world(folder: &TempDir, options: Options) -> (Sqlite, World) {
    let store = Sqlite::open(folder.path(), options).expect("open it");
    let world = World::with_endpoints(Arc::new(store.clone()), 1).await;
    (store, world)
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn large(world: &World) -> NewMessage {
    world.message_with(|message| message.payload = Some(Bytes::from(vec![b'x'; 50_000])))
}

async fn append(world: &World, batch: Vec<NewMessage>) -> StoreResult<Vec<Appended>> {
    world.store.append(&world.life, batch).await
}

const SMALL: Options = Options {
    readers: 1,
    file_bytes_max: Some(4 * 1024 * 1024),
};

/// Appends until the disk is full, and returns the places that were given.
async fn fill(world: &World) -> Vec<Seq> {
    let mut seqs = Vec::new();
    for _ in 0..1_000 {
        match append(world, vec![large(world), large(world)]).await {
            Ok(appended) => seqs.extend(appended.into_iter().map(|appended| match appended {
                Appended::At { seq, .. } => seq,
                other => panic!("{other:?}"),
            })),
            Err(StoreError::Full) => return seqs,
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("the disk is never full");
}

#[tokio::test]
async fn a_full_disk_refuses_whole_batches_and_keeps_what_it_has() {
    let folder = folder();
    let (store, world) = world(&folder, SMALL).await;
    let seqs = fill(&world).await;
    assert!(
        seqs.len() > 20 && seqs.len().is_multiple_of(2),
        "{} were stored",
        seqs.len()
    );
    let unfinished: Vec<_> = world
        .unfinished()
        .await
        .into_iter()
        .map(|(seq, _)| seq)
        .collect();
    assert_eq!(unfinished, seqs, "reading goes on");
    store.close().await;
    let reopened = Sqlite::open(folder.path(), Options::default()).expect("open it");
    let again = World {
        store: Arc::new(reopened),
        ..world
    };
    assert_eq!(again.unfinished().await.len(), seqs.len());
}

#[tokio::test]
async fn a_full_disk_recovers_when_space_returns() {
    let folder = folder();
    let (_store, world) = world(&folder, SMALL).await;
    let seqs = fill(&world).await;
    for seq in &seqs {
        // Small rows may still fit into the last pages, or not.
        let record = world.fresh(world.endpoints[0], *seq, world.delivered());
        let write = watchfire_store::Write::Attempt(Arc::new(record));
        match world.store.record(&world.life, at(0), vec![write]).await {
            Ok(_) | Err(StoreError::Full) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    let order = PruneOrder {
        now: at(1_000),
        retentions: Arc::new(Retentions::for_all(Retention {
            payloads: Duration::ZERO,
            messages: Duration::from_secs(2_000),
        })),
        rows_max: 10,
    };
    while world
        .store
        .prune(order.clone())
        .await
        .expect("removing needs no space")
        .more
    {}
    let appended = append(&world, vec![large(&world)])
        .await
        .expect("there is space again");
    assert!(matches!(appended[..], [Appended::At { seq, .. }] if seq > seqs[seqs.len() - 1]));
}

#[tokio::test]
async fn changes_on_a_full_disk_are_refused_as_full() {
    let folder = folder();
    let (_store, world) = world(&folder, SMALL).await;
    fill(&world).await;
    for _ in 0..1_000 {
        let create = Change::CreateApplication {
            org: world.org.clone(),
            application: world.application(None),
        };
        match world.store.apply(vec![create]).await {
            Ok(()) => {}
            Err(ApplyError::Store(StoreError::Full)) => return,
            Err(other) => panic!("{other:?}"),
        }
    }
    panic!("the disk is never full");
}

fn edit(folder: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(folder.join("watchfire.db")).expect("open it");
    connection
        .execute_batch("PRAGMA ignore_check_constraints = ON")
        .expect("set it");
    connection.execute_batch(sql).expect("edit it");
}

fn names<T: std::fmt::Debug>(result: StoreResult<T>) -> (&'static str, &'static str, String) {
    match result {
        Err(StoreError::Inconsistent {
            table, column, row, ..
        }) => (table, column, row),
        other => panic!("expected a row that can't be read, got {other:?}"),
    }
}

#[tokio::test]
async fn a_row_this_version_cannot_read_is_named() {
    let folder = folder();
    let (_store, world) = world(&folder, Options::default()).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    let timed_out = Outcome::TimedOut { phase: Phase::Body };
    let attempt = world.attempt(timed_out, settled(Settlement::Exhausted));
    let id = attempt.id;
    world
        .record_attempt(at(0), world.fresh(endpoint, seq, attempt))
        .await;
    world
        .spill(at(0), world.owed(endpoint, seq, Some(at(0))))
        .await;
    let row = seq.0.to_string();
    let attempts = async || {
        let range = Range::from_start(Order::Ascending, 9);
        let filter = AttemptFilter::default();
        world
            .store
            .attempts_of_message(world.app, seq, &filter, range)
            .await
    };
    let messages = async || {
        let range = Range::from_start(Order::Ascending, 9);
        world
            .store
            .messages(world.app, &MessageFilter::default(), range)
            .await
    };
    edit(folder.path(), "UPDATE attempt SET detail = 99");
    assert_eq!(names(attempts().await), ("attempt", "outcome", row.clone()));
    edit(folder.path(), "UPDATE attempt SET detail = 5, trigger = 7");
    assert_eq!(names(attempts().await), ("attempt", "trigger", row.clone()));
    let one = world.store.attempt(world.app, seq, id).await;
    assert_eq!(names(one), ("attempt", "trigger", row.clone()));
    edit(
        folder.path(),
        "UPDATE attempt SET trigger = 0, timing = x'ff'",
    );
    assert_eq!(names(attempts().await), ("attempt", "timing", row.clone()));
    edit(folder.path(), "UPDATE owed SET reason = 42");
    let deliveries = world.store.deliveries_of(world.app, seq).await;
    assert_eq!(names(deliveries), ("owed", "reason", row.clone()));
    edit(folder.path(), "UPDATE message SET urgency = 3");
    assert_eq!(names(messages().await), ("message", "urgency", row.clone()));
    edit(
        folder.path(),
        "UPDATE message SET urgency = 0, matched = x'80'",
    );
    assert_eq!(names(messages().await), ("message", "matched", row));
    edit(
        folder.path(),
        "UPDATE endpoint SET health = '{\"state\":\"merry\"}'",
    );
    let key = endpoint.0.to_string();
    assert_eq!(
        names(world.store.endpoints_of(world.app).await),
        ("endpoint", "health", key)
    );
}

#[tokio::test]
async fn a_damaged_page_is_named_and_the_rest_goes_on() {
    let folder = folder();
    let (store, world) = world(&folder, Options::default()).await;
    world.accept_many(5_000).await;
    store.close().await;
    let file = folder.path().join("watchfire.db");
    let mut bytes = fs::read(&file).expect("read it");
    let middle = bytes.len() / 2 / 4_096 * 4_096;
    bytes[middle..middle + 20 * 4_096].fill(0xa5);
    fs::write(&file, bytes).expect("write it");
    let store = Sqlite::open(folder.path(), Options::default()).expect("its head is well");
    let damaged = World {
        store: Arc::new(store),
        ..world
    };
    let read = damaged
        .store
        .unfinished(&damaged.life, Seq(0), 10_000)
        .await;
    assert_eq!(names(read).0, "sqlite");
    damaged.store.check().await.expect("the rest goes on");
}

const SECRET: &[u8] = b"correct horse battery staple";

/// Whether any file of the store holds the secret.
fn holds_secret(folder: &Path) -> bool {
    fs::read_dir(folder).expect("read it").any(|file| {
        let bytes = fs::read(file.expect("a file").path()).expect("read it");
        bytes.windows(SECRET.len()).any(|window| window == SECRET)
    })
}

fn secret(world: &World, bytes: usize) -> NewMessage {
    world.message_with(|message| {
        let payload = SECRET.repeat(bytes / SECRET.len());
        message.payload = Some(Bytes::from(payload));
    })
}

#[tokio::test]
async fn an_expunged_payload_leaves_no_trace() {
    let folder = folder();
    let (_store, world) = world(&folder, Options::default()).await;
    for bytes in [100, 20_000] {
        world.accept_many(20).await;
        let seq = world.accept(secret(&world, bytes)).await;
        world.accept_many(20).await;
        assert!(holds_secret(folder.path()));
        world
            .store
            .expunge_payloads(world.app, vec![seq])
            .await
            .expect("expunge it");
        // The log is emptied right after the commit that removed it, before the next one.
        world.store.check().await.expect("commit once more");
        assert!(!holds_secret(folder.path()), "{bytes} bytes left a trace");
    }
}

#[tokio::test]
async fn retention_leaves_no_trace_and_gives_space_back() {
    let folder = folder();
    let (store, world) = world(&folder, Options::default()).await;
    for _ in 0..400 {
        let seq = world.accept(secret(&world, 20_000)).await;
        world.deliver(world.endpoints[0], seq).await;
    }
    let order = PruneOrder {
        now: at(1_000),
        retentions: Arc::new(Retentions::for_all(Retention {
            payloads: Duration::ZERO,
            messages: Duration::ZERO,
        })),
        rows_max: 50,
    };
    while world.store.prune(order.clone()).await.expect("prune").more {}
    world.store.check().await.expect("commit once more");
    assert!(!holds_secret(folder.path()));
    store.close().await;
    let left = fs::metadata(folder.path().join("watchfire.db"))
        .expect("it exists")
        .len();
    assert!(left < 7 * 1024 * 1024, "{left} bytes are left of 8 MB");
}

#[tokio::test]
async fn a_deleted_application_leaves_no_trace_of_its_payloads() {
    let folder = folder();
    let (_store, world) = world(&folder, Options::default()).await;
    let other = world.another_application(1).await;
    for bytes in [100, 20_000] {
        other.accept_many(10).await;
        // One is delivered, one is still owed.
        let delivered = world.accept(secret(&world, bytes)).await;
        world.deliver(world.endpoints[0], delivered).await;
        let owed = world.accept(secret(&world, bytes)).await;
        let owed = world.owed(world.endpoints[0], owed, Some(at(1)));
        world.spill(at(0), owed).await;
    }
    assert!(holds_secret(folder.path()));
    let delete = Change::DeleteApplication {
        key: world.app,
        now: at(2),
    };
    world.store.apply(vec![delete]).await.expect("delete it");
    // Retention does not matter: nobody can see it any more.
    let order = PruneOrder {
        now: at(3),
        retentions: Arc::new(Retentions::for_all(Retention {
            payloads: Duration::from_hours(24_000),
            messages: Duration::from_hours(24_000),
        })),
        rows_max: 3,
    };
    while world.store.prune(order.clone()).await.expect("prune").more {}
    world.store.check().await.expect("commit once more");
    assert!(!holds_secret(folder.path()));
    let filter = MessageFilter::default();
    let range = Range::from_start(Order::Ascending, 100);
    let left = world.store.messages(other.app, &filter, range).await;
    let left = left.expect("read them");
    assert_eq!(left.len(), 20, "what is another's is not touched");
}
