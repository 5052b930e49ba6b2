//! Appending messages, event ids and remembered answers.

use std::sync::Arc;

use bytes::Bytes;
use watchfire_domain::message::{Details, RawBody, Recipients, Urgency};

use super::world::{World, at, name, place};
use crate::{Appended, EndpointKey, MessageRef, NewMessage, Remembered, Store};

async fn stored(world: &World, new: &NewMessage) -> Option<crate::StoredMessage> {
    let reference = MessageRef::Id(new.message.id);
    let message = world.store.message(world.app, &reference).await;
    message.expect("read it")
}

fn with_event_id(world: &World, event_id: &str) -> NewMessage {
    world.message_with(|message| message.event_id = Some(name(event_id)))
}

fn answer(key: u8, text: &str) -> Remembered {
    Remembered {
        key: [key; 32],
        request: [9; 32],
        answer: text.as_bytes().to_vec(),
        expires_at: at(60),
    }
}

fn with_answer(world: &World, answer: Remembered) -> NewMessage {
    NewMessage {
        remember: Some(answer),
        ..world.message()
    }
}

pub async fn a_message_is_stored_as_it_was_given(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 3).await;
    let new = world.message();
    let seq = world.accept(new.clone()).await;
    let stored = stored(&world, &new).await.expect("it exists");
    assert_eq!((stored.seq, stored.app), (seq, world.app));
    assert_eq!(stored.message, new.message);
    assert_eq!(stored.matched, world.endpoints);
}

pub async fn everything_a_message_can_have_is_kept(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let new = world.message_with(|message| {
        message.event_id = Some(name("evt-1"));
        message.record_key = Some("threat 7 \u{1f525}".to_owned());
        message.urgency = Urgency::Urgent;
        message.payload = Some(Bytes::from(vec![0xff; 100_000]));
        message.details = Details {
            channels: vec!["a".to_owned(), "b".to_owned()],
            tags: vec!["red".to_owned()],
            raw_body: Some(RawBody {
                body: "<xml/>".to_owned(),
                content_type: Some("text/xml".to_owned()),
            }),
            deliver_at: Some(at(5)),
            payload_expires_at: Some(at(500)),
            schema_faults: vec!["/id is missing".to_owned()],
            recipients: Some(Recipients {
                users: vec!["ana".to_owned()],
                shared: true,
            }),
            ping: true,
        };
    });
    world.accept(new.clone()).await;
    let stored = stored(&world, &new).await.expect("it exists");
    assert_eq!(stored.message, new.message);
}

pub async fn a_record_key_may_hold_any_character(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let new =
        world.message_with(|message| message.record_key = Some("a\0b\u{1f525}\n'".to_owned()));
    world.accept(new.clone()).await;
    let stored = stored(&world, &new).await.expect("it exists");
    assert_eq!(stored.message, new.message);
}

pub async fn places_rise_in_the_order_of_the_batch(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let mut places = world.accept_many(100).await;
    places.extend(world.accept_many(3).await);
    assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
}

pub async fn an_empty_batch_is_no_fault(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    assert_eq!(world.append(Vec::new()).await, []);
}

pub async fn a_message_without_endpoints_is_stored(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let new = world.message();
    world.accept(new.clone()).await;
    let stored = stored(&world, &new).await.expect("it exists");
    assert_eq!(stored.matched, []);
}

pub async fn a_thousand_endpoints_fit_into_one_message(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let new = NewMessage {
        matched: (1..=1_000).map(|n| EndpointKey(n * n * 7)).collect(),
        ..world.message()
    };
    world.accept(new.clone()).await;
    let stored = stored(&world, &new).await.expect("it exists");
    assert_eq!(stored.matched, new.matched);
}

pub async fn an_event_id_that_is_taken_stores_nothing(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let (first, second) = (with_event_id(&world, "e"), with_event_id(&world, "e"));
    world.accept(first.clone()).await;
    let appended = world.append(vec![second.clone()]).await;
    assert_eq!(appended, [Appended::EventIdTaken(first.message.id)]);
    assert_eq!(stored(&world, &second).await, None);
    assert_eq!(world.unfinished().await.len(), 1);
}

pub async fn an_event_id_belongs_to_its_application(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let other = world.another_application(1).await;
    world.accept(with_event_id(&world, "e")).await;
    other.accept(with_event_id(&other, "e")).await;
}

pub async fn the_second_of_two_equal_event_ids_in_a_batch_conflicts(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let batch = vec![with_event_id(&world, "e"), with_event_id(&world, "e")];
    let first = batch[0].message.id;
    let appended = world.append(batch).await;
    assert!(matches!(appended[0], Appended::At { .. }), "{appended:?}");
    assert_eq!(appended[1], Appended::EventIdTaken(first));
}

pub async fn a_conflict_leaves_the_rest_of_its_batch_alone(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    world.accept(with_event_id(&world, "e")).await;
    let batch = vec![
        world.message(),
        with_event_id(&world, "e"),
        with_answer(&world, answer(1, "first")),
        with_answer(&world, answer(1, "second")),
        with_event_id(&world, "f"),
    ];
    let kept = [&batch[0], &batch[2], &batch[4]].map(|new| new.message.id);
    let appended = world.append(batch).await;
    let places: Vec<_> = [0, 2, 4].map(|n: usize| place(appended[n].clone())).into();
    assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
    assert!(matches!(appended[1], Appended::EventIdTaken(_)));
    assert!(matches!(appended[3], Appended::Repeated(_)));
    for id in kept {
        let message = world.store.message(world.app, &MessageRef::Id(id)).await;
        assert!(message.expect("read it").is_some());
    }
}

pub async fn a_remembered_key_repeats_its_answer(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let first = answer(1, "first");
    world.accept(with_answer(&world, first.clone())).await;
    let again = with_answer(&world, answer(1, "second"));
    let appended = world.append(vec![again.clone()]).await;
    assert_eq!(appended, [Appended::Repeated(first.clone())]);
    assert_eq!(stored(&world, &again).await, None);
    let remembered = world.store.remembered([1; 32], at(59)).await;
    assert_eq!(remembered.expect("read it"), Some(first));
    let unknown = world.store.remembered([2; 32], at(0)).await;
    assert_eq!(unknown.expect("read it"), None);
}

pub async fn a_key_remembered_in_the_same_batch_repeats_it(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let batch = vec![
        with_answer(&world, answer(1, "first")),
        with_answer(&world, answer(1, "second")),
    ];
    let appended = world.append(batch).await;
    assert!(matches!(appended[0], Appended::At { .. }), "{appended:?}");
    assert_eq!(appended[1], Appended::Repeated(answer(1, "first")));
}

pub async fn an_expired_answer_gives_way(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    world.accept(with_answer(&world, answer(1, "first"))).await;
    let expired = world.store.remembered([1; 32], at(60)).await;
    assert_eq!(expired.expect("read it"), None);
    let mut later = world.message_with(|message| message.accepted_at = at(60));
    let second = Remembered {
        expires_at: at(120),
        ..answer(1, "second")
    };
    later.remember = Some(second.clone());
    world.accept(later).await;
    let remembered = world.store.remembered([1; 32], at(61)).await;
    assert_eq!(remembered.expect("read it"), Some(second));
}

pub async fn a_message_in_conflict_leaves_no_answer_behind(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    world.accept(with_event_id(&world, "e")).await;
    let new = NewMessage {
        remember: Some(answer(1, "never given")),
        ..with_event_id(&world, "e")
    };
    world.append(vec![new]).await;
    let remembered = world.store.remembered([1; 32], at(0)).await;
    assert_eq!(remembered.expect("read it"), None);
}
