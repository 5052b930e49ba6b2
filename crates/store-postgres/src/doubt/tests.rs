//! The server commits, and its answer gets lost on the way.

use std::sync::Arc;

use watchfire_store::conformance::world::{World, at};
use watchfire_store::{Appended, Seq, ShardSet};
use watchfire_testkit::{Held, Postgres as Server, Relay};

use crate::{Address, Options, Postgres};

async fn world() -> (Server, Relay, World) {
    let server = tokio::task::spawn_blocking(Server::shared).await;
    let server = server.expect("a server");
    let relay = Relay::to(server.port()).await;
    let url = server.fresh_schema();
    let url = url.replace(
        &format!(":{}/", server.port()),
        &format!(":{}/", relay.port()),
    );
    let address: Address = url.parse().expect("an address");
    let store = Postgres::open(&address, Options { connections: 6 }).await;
    let world = World::with_endpoints(Arc::new(store.expect("open it")), 1).await;
    (server, relay, world)
}

/// Does something while the answer to its commit gets lost.
async fn in_doubt<T>(held: Held, work: impl Future<Output = T>) -> T {
    let lose = async {
        held.stands().await;
        held.cut();
    };
    tokio::join!(work, lose).0
}

#[tokio::test]
async fn a_message_whose_commit_stands_is_known() {
    let (_server, relay, world) = world().await;
    let held = relay.hold_commit_of("INSERT INTO message");
    let new = world.message();
    let append = world.store.append(&world.life, vec![new.clone()]);
    let appended = in_doubt(held, append).await.expect("it stands");
    let [Appended::At { seq, .. }] = appended[..] else {
        panic!("{appended:?}");
    };
    let (unfinished, _) = world
        .store
        .unfinished(&world.life, Seq(0), 10)
        .await
        .expect("read");
    assert_eq!(unfinished.len(), 1);
    assert_eq!(unfinished[0].stored.seq, seq);
    assert_eq!(unfinished[0].stored.message.id, new.message.id);
}

#[tokio::test]
async fn a_claim_whose_commit_stands_is_known() {
    let (_server, relay, world) = world().await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    let owed = world.owed(endpoint, seq, Some(at(0)));
    world.spill(at(0), owed).await;
    let held = relay.hold_commit_of("nextval('owed_token')");
    let claimed = in_doubt(held, world.claim(endpoint, 9, at(1))).await;
    assert_eq!(claimed.deliveries.len(), 1);
    let claimed = &claimed.deliveries[0];
    assert_eq!(claimed.delivery.seq, seq);
    let delivered = world.leased(claimed, world.delivered());
    let recorded = world.record_attempt(at(2), delivered).await;
    assert_eq!(recorded, watchfire_store::Recorded::Done);
}

#[tokio::test]
async fn shards_whose_taking_stands_are_known() {
    let (_server, relay, world) = world().await;
    let given = world.store.give_back(&world.life, ShardSet::ALL).await;
    given.expect("given back");
    let held = relay.hold_commit_of("UPDATE shard SET node = $1 WHERE shard IN");
    let take = world.store.take_shards(&world.life, 7);
    let taken = in_doubt(held, take).await.expect("it stands");
    assert_eq!(taken.len(), 7);
    let others = world.store.take_shards(&world.life, 256).await;
    assert_eq!(others.expect("taken").with(taken), ShardSet::ALL);
}
