//! What a restart finds: checkpoints, epochs, and deliveries that are neither settled nor owed.

use std::sync::Arc;
use std::time::Duration;

use super::world::{World, at};
use crate::{Epoch, NewMessage, NodeId, Seq, Store, StoreError};

pub async fn fresh_deliveries_are_unfinished(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 3).await;
    let new = world.message();
    let seq = world.accept(new.clone()).await;
    assert_eq!(world.unfinished().await, [(seq, world.endpoints.clone())]);
    let (unfinished, _) = world
        .store
        .unfinished(&world.node, Seq(0), 9)
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
        let page = world.store.unfinished(&world.node, after, 2).await;
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
    let read = world.store.unfinished(&world.node, seqs[0], 9).await;
    let (unfinished, next) = read.expect("read it");
    let found: Vec<_> = unfinished
        .iter()
        .map(|message| message.stored.seq)
        .collect();
    assert_eq!((found, next), (seqs[1..].to_vec(), None));
}

pub async fn another_nodes_messages_are_left_out(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let two = NodeId("two".to_owned());
    world.store.join(&two, at(0)).await.expect("join");
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

pub async fn a_node_nobody_knows_has_nothing_to_do(store: Arc<dyn Store>) {
    let stranger = NodeId("stranger".to_owned());
    let read = store
        .unfinished(&stranger, Seq(0), 9)
        .await
        .expect("read it");
    assert!(read.0.is_empty());
    assert_eq!(read.1, None);
    assert_eq!(store.checkpoint(&stranger).await.expect("read it"), Seq(0));
}

pub async fn the_checkpoint_never_moves_back(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let checkpoint = async || world.store.checkpoint(&world.node).await.expect("read it");
    assert_eq!(checkpoint().await, Seq(0));
    for (to, stands) in [(5, 5), (3, 5), (5, 5), (6, 6)] {
        let moved = world
            .store
            .move_checkpoint(&world.node, world.epoch, Seq(to))
            .await;
        moved.expect("move it");
        assert_eq!(checkpoint().await, Seq(stands));
    }
    let two = NodeId("two".to_owned());
    world.store.join(&two, at(0)).await.expect("join");
    assert_eq!(world.store.checkpoint(&two).await.expect("read it"), Seq(0));
}

pub async fn each_life_of_a_node_has_a_larger_epoch(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let second = world.store.join(&world.node, at(1)).await.expect("join");
    assert!(second > world.epoch, "{second:?} after {:?}", world.epoch);
    world
        .store
        .move_checkpoint(&world.node, second, Seq(9))
        .await
        .expect("move it");
    let third = world.store.join(&world.node, at(2)).await.expect("join");
    assert!(third > second);
    let checkpoint = world.store.checkpoint(&world.node).await;
    assert_eq!(
        checkpoint.expect("read it"),
        Seq(9),
        "it outlives the process"
    );
}

pub async fn an_earlier_life_is_fenced_off(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let epoch = world.store.join(&world.node, at(1)).await.expect("join");
    let (node, lease) = (&world.node, Duration::from_secs(10));
    let beat = world.store.heartbeat(node, world.epoch, at(2), lease).await;
    assert!(matches!(beat, Err(StoreError::Fenced)), "{beat:?}");
    let moved = world.store.move_checkpoint(node, world.epoch, Seq(9)).await;
    assert!(matches!(moved, Err(StoreError::Fenced)), "{moved:?}");
    world
        .store
        .heartbeat(node, epoch, at(2), lease)
        .await
        .expect("the living node beats");
    let stranger = NodeId("stranger".to_owned());
    let beat = world
        .store
        .heartbeat(&stranger, Epoch(1), at(2), lease)
        .await;
    assert!(matches!(beat, Err(StoreError::Fenced)), "{beat:?}");
}

pub async fn a_check_writes_and_reads(store: Arc<dyn Store>) {
    store.check().await.expect("it is well");
    store.check().await.expect("it is well again");
}
