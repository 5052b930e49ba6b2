//! What a restart finds: checkpoints, epochs, and deliveries that are neither settled nor owed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::world::{World, at, live};
use crate::{NewMessage, Seq, Store};

pub async fn fresh_deliveries_are_unfinished(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 3).await;
    let new = world.message();
    let seq = world.accept(new.clone()).await;
    assert_eq!(world.unfinished().await, [(seq, world.endpoints.clone())]);
    let (unfinished, _) = world
        .store
        .unfinished(&world.life, Seq(0), 9)
        .await
        .expect("read it");
    assert_eq!(unfinished[0].stored.message, new.message);
    assert_eq!(unfinished[0].stored.matched, new.matched);
    assert_eq!(unfinished[0].stored.app, world.app);
}

pub async fn what_is_settled_owed_or_leased_is_not_unfinished(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 5).await;
    let seq = world.accept(world.message()).await;
    let [settled, retried, spilled, leased, fresh] = world.endpoints[..] else {
        unreachable!("five endpoints");
    };
    world.deliver(settled, seq).await;
    world
        .record_attempt(at(0), world.fresh(retried, seq, world.refused(at(9))))
        .await;
    world.spill(at(0), world.owed(spilled, seq, None)).await;
    world
        .spill(at(0), world.owed(leased, seq, Some(at(0))))
        .await;
    world.claim_one(leased, at(0)).await;
    assert_eq!(world.unfinished().await, [(seq, vec![fresh])]);
}

pub async fn unfinished_ones_are_read_page_by_page(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seqs = world.accept_many(7).await;
    for seq in &seqs[1..5] {
        world.deliver(world.endpoints[0], *seq).await;
    }
    let mut found = Vec::new();
    let mut after = Seq(0);
    for _ in 0..7 {
        let page = world.store.unfinished(&world.life, after, 2).await;
        let (unfinished, next) = page.expect("read it");
        found.extend(unfinished.into_iter().map(|message| message.stored.seq));
        match next {
            Some(next) => {
                assert!(next > after);
                after = next;
            }
            None => break,
        }
    }
    assert_eq!(found, [seqs[0], seqs[5], seqs[6]]);
}

pub async fn only_what_stands_above_is_unfinished(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seqs = world.accept_many(3).await;
    let read = world.store.unfinished(&world.life, seqs[0], 9).await;
    let (unfinished, next) = read.expect("read it");
    let found: Vec<_> = unfinished
        .iter()
        .map(|message| message.stored.seq)
        .collect();
    assert_eq!((found, next), (seqs[1..].to_vec(), None));
}

pub async fn another_nodes_messages_are_left_out(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let two = live(&world.store, "two", Duration::from_hours(1)).await;
    let own = world.accept(world.message()).await;
    let others = world.store.append(&two, vec![world.message()]).await;
    others.expect("append");
    assert_eq!(world.unfinished().await, [(own, world.endpoints.clone())]);
}

pub async fn messages_without_endpoints_are_left_out(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let new = NewMessage {
        matched: Vec::new(),
        ..world.message()
    };
    world.accept(new).await;
    assert_eq!(world.unfinished().await, []);
}

pub async fn the_checkpoint_never_moves_back(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let checkpoint = async || world.store.checkpoint(&world.life).await.expect("read it");
    assert_eq!(checkpoint().await, Seq(0));
    for (to, stands) in [(5, 5), (3, 5), (5, 5), (6, 6)] {
        let moved = world.store.move_checkpoint(&world.life, Seq(to)).await;
        moved.expect("move it");
        assert_eq!(checkpoint().await, Seq(stands));
    }
    let two = live(&world.store, "two", Duration::from_hours(1)).await;
    let others = world.store.checkpoint(&two).await.expect("read it");
    assert_eq!(others, Seq(0), "nothing is stored yet");
}

pub async fn a_database_knows_its_size_and_schema(store: Arc<dyn Store>) {
    let before = store.footprint().await.expect("look");
    assert!(before.bytes > 0 && before.schema > 0, "{before:?}");
    let world = World::with_endpoints(Arc::clone(&store), 0).await;
    let filler = Bytes::from(vec![b'7'; 64 * 1024]);
    for _ in 0..8 {
        let large = world.message_with(|message| message.payload = Some(filler.clone()));
        world.accept(large).await;
    }
    let after = store.footprint().await.expect("look again");
    assert!(after.bytes > before.bytes, "{before:?} {after:?}");
    assert_eq!(after.schema, before.schema);
}

pub async fn a_check_writes_and_reads(store: Arc<dyn Store>) {
    store.check().await.expect("it is well");
    store.check().await.expect("it is well again");
}
