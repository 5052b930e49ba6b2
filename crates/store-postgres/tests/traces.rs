//! What is erased leaves no trace in the database's files, and when.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use watchfire_store::conformance::world::{World, at};
use watchfire_store::{Change, PruneOrder, Retention, Retentions, Seq};
use watchfire_store_postgres::{Options, Postgres};
use watchfire_testkit::Postgres as Server;

const SECRET: &[u8] = b"correct horse battery staple";
const DAY: u64 = 86_400;

async fn world() -> (Server, String, World) {
    let server = tokio::task::spawn_blocking(|| Server::private(&["autovacuum = off"])).await;
    let server = server.expect("a server");
    let url = server.fresh_database();
    let address = url.parse().expect("an address");
    let store = Postgres::open(&address, Options::default()).await;
    let world = World::with_endpoints(Arc::new(store.expect("open it")), 1).await;
    let name = url.rsplit('/').next().expect("a name").to_owned();
    (server, name, world)
}

/// Whether a file of a table or an index holds the secret, once all that is known is in the files.
fn is_in_files(server: &Server, database: &str) -> bool {
    server.run(database, "CHECKPOINT");
    holds_secret(&server.data().join("base"))
}

fn holds_secret(folder: &Path) -> bool {
    fs::read_dir(folder).expect("read it").any(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            return holds_secret(&path);
        }
        // One that was dropped meanwhile holds nothing.
        let bytes = fs::read(&path).unwrap_or_default();
        bytes.windows(SECRET.len()).any(|window| window == SECRET)
    })
}

/// Messages with the secret in them: one delivered and, if it may be, one owed.
async fn tell_secrets(world: &World, owed: bool) -> Seq {
    let secret = || {
        world.message_with(|message| {
            message.payload = Some(Bytes::from_static(SECRET));
            message.record_key = None;
        })
    };
    let delivered = world.accept(secret()).await;
    world.deliver(world.endpoints[0], delivered).await;
    if owed {
        let seq = world.accept(secret()).await;
        let owed = world.owed(world.endpoints[0], seq, Some(at(1)));
        world.spill(at(0), owed).await;
    }
    delivered
}

async fn prune(world: &World, now: u64, days: u64) {
    let age = Duration::from_secs(days * DAY);
    let order = PruneOrder {
        now: at(now),
        retentions: Arc::new(Retentions::for_all(Retention {
            payloads: age,
            messages: age,
        })),
        rows_max: 100,
    };
    while world.store.prune(order.clone()).await.expect("prune").more {}
}

#[tokio::test]
async fn a_day_that_was_dropped_leaves_no_trace() {
    let (server, database, world) = world().await;
    let seq = tell_secrets(&world, false).await;
    let moved = world.store.move_checkpoint(&world.life, seq).await;
    moved.expect("all of it is settled");
    assert!(is_in_files(&server, &database), "the test can see it");
    prune(&world, 5 * DAY, 2).await;
    assert_eq!(server.run(&database, "SELECT count(*) FROM day"), "0");
    assert!(!is_in_files(&server, &database));
}

#[tokio::test]
async fn an_application_that_was_erased_leaves_no_trace_once_its_table_is_rewritten() {
    let (server, database, world) = world().await;
    let other = world.another_application(1).await;
    other.accept_many(10).await;
    tell_secrets(&world, true).await;
    other.accept_many(10).await;
    let delete = Change::DeleteApplication {
        key: world.app,
        now: at(2),
    };
    world.store.apply(vec![delete]).await.expect("delete it");
    prune(&world, 3, 1_000).await;
    let seen = "SELECT count(*) FROM message WHERE payload = 'correct horse battery staple'";
    assert_eq!(server.run(&database, seen), "0", "nobody sees it any more");
    server.run(&database, "VACUUM FULL message");
    assert!(!is_in_files(&server, &database));
    assert_eq!(server.run(&database, "SELECT count(*) FROM message"), "20");
}
