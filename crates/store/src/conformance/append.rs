//! Appending messages.

use std::sync::Arc;

use super::world::World;
use crate::{MessageRef, Store};

pub async fn a_message_is_stored_as_it_was_given(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 3).await;
    let new = world.message();
    let seq = world.accept(new.clone()).await;
    let reference = MessageRef::Id(new.message.id);
    let stored = world
        .store
        .message(world.app, &reference)
        .await
        .expect("read it");
    let stored = stored.expect("it exists");
    assert_eq!((stored.seq, stored.app), (seq, world.app));
    assert_eq!(stored.message, new.message);
    assert_eq!(stored.matched, world.endpoints);
}

pub async fn places_rise_in_the_order_of_the_batch(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let mut places = world.accept_many(100).await;
    places.extend(world.accept_many(3).await);
    assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
}
