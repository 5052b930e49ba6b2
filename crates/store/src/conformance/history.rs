//! Lists for people.

use std::sync::Arc;

use watchfire_domain::attempt::{Attempt, Settlement};
use watchfire_domain::id::{AttemptId, Ksuid, MessageId};
use watchfire_domain::outcome::{Outcome, Phase};
use watchfire_domain::time::Timestamp;

use super::world::{World, at, name, settled};
use crate::{
    AttemptFilter, Change, DeliveryStatus, MessageFilter, MessageRef, NewMessage, Order, Range,
    Seq, Store, StoredAttempt,
};

pub(super) fn all<C>() -> Range<C> {
    Range::from_start(Order::Ascending, 1_000)
}

pub(super) fn newest<C>(limit: usize) -> Range<C> {
    Range::from_start(Order::Descending, limit)
}

/// A message accepted then, whose id says so too.
fn message_at(world: &World, now: Timestamp) -> NewMessage {
    let id = MessageId::new(now, &*world.chance);
    world.message_with(|message| {
        message.id = id;
        message.accepted_at = now;
    })
}

/// So many messages, a second apart, and their ids.
pub(super) async fn messages(world: &World, count: u64) -> Vec<(MessageId, Seq)> {
    let mut accepted = Vec::new();
    for second in 0..count {
        let new = message_at(world, at(second));
        let id = new.message.id;
        accepted.push((id, world.accept(new).await));
    }
    accepted
}

async fn listed(world: &World, filter: &MessageFilter, range: Range<MessageId>) -> Vec<MessageId> {
    let listed = world.store.messages(world.app, filter, range).await;
    let listed = listed.expect("read them").into_iter();
    listed.map(|stored| stored.message.id).collect()
}

pub async fn a_message_is_found_by_both_of_its_ids(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let other = world.another_application(0).await;
    let new = world.message_with(|message| message.event_id = Some(name("e")));
    let seq = world.accept(new.clone()).await;
    for reference in [
        MessageRef::Id(new.message.id),
        MessageRef::EventId(name("e")),
    ] {
        let found = world
            .store
            .message(world.app, &reference)
            .await
            .expect("read it");
        assert_eq!(found.map(|stored| stored.seq), Some(seq));
        let elsewhere = other.store.message(other.app, &reference).await;
        assert_eq!(elsewhere.expect("read it"), None);
    }
}

pub async fn messages_are_listed_both_ways(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let other = world.another_application(1).await;
    other.accept_many(3).await;
    let ids: Vec<_> = messages(&world, 6)
        .await
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    let down: Vec<_> = ids.iter().rev().copied().collect();
    let filter = MessageFilter::default();
    assert_eq!(listed(&world, &filter, all()).await, ids);
    assert_eq!(listed(&world, &filter, newest(99)).await, down);
    assert_eq!(listed(&world, &filter, newest(2)).await, down[..2]);
    let next = Range {
        before: Some(down[1]),
        ..newest(2)
    };
    assert_eq!(listed(&world, &filter, next).await, down[2..4]);
    let back = Range {
        after: Some(down[2]),
        ..Range::from_start(Order::Ascending, 2)
    };
    assert_eq!(listed(&world, &filter, back).await, ids[4..]);
    let window = Range {
        after: Some(MessageId::from_ksuid(Ksuid::first_at(at(2)))),
        before: Some(MessageId::from_ksuid(Ksuid::first_at(at(4)))),
        ..all()
    };
    assert_eq!(listed(&world, &filter, window).await, ids[2..4]);
}

pub async fn messages_are_filtered_within_full_pages(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let mut red = Vec::new();
    for second in 0..40 {
        let mut new = message_at(&world, at(second));
        let message = Arc::get_mut(&mut new.message).expect("not shared yet");
        if second % 4 == 0 {
            message.event_type = name("red.alert");
            message.details.channels = vec!["soc".to_owned(), "x".to_owned()];
            message.details.tags = vec!["t".to_owned()];
            red.push(message.id);
        }
        world.accept(new).await;
    }
    let by_type = MessageFilter {
        event_types: vec![name("red.alert"), name("no.such")],
        ..MessageFilter::default()
    };
    let by_channel = MessageFilter {
        channel: Some("soc".to_owned()),
        ..MessageFilter::default()
    };
    let by_tag = MessageFilter {
        tag: Some("t".to_owned()),
        ..MessageFilter::default()
    };
    for filter in [by_type.clone(), by_channel, by_tag] {
        assert_eq!(listed(&world, &filter, all()).await, red);
        let page = Range::from_start(Order::Ascending, 4);
        assert_eq!(listed(&world, &filter, page).await, red[..4], "a full page");
    }
    let nothing = MessageFilter {
        tag: Some("other".to_owned()),
        ..by_type
    };
    assert_eq!(listed(&world, &nothing, all()).await, []);
}

pub async fn a_list_can_leave_the_payloads_out(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    world.accept(world.message()).await;
    let filter = MessageFilter {
        without_payload: true,
        ..MessageFilter::default()
    };
    let listed = world
        .store
        .messages(world.app, &filter, all())
        .await
        .expect("read them");
    assert_eq!(listed[0].message.payload, None);
}

pub async fn messages_are_found_by_their_places(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let stranger = world.another_application(1).await;
    let own = messages(&world, 3).await;
    let other = messages(&stranger, 1).await;
    let places = vec![own[2].1, own[0].1, other[0].1, Seq(i64::MAX)];
    let found = world.store.messages_at(world.app, places).await;
    let found = found.expect("read them");
    assert!(found.iter().all(|stored| stored.message.payload.is_none()));
    let mut found: Vec<_> = found.iter().map(|stored| stored.message.id).collect();
    found.sort();
    let mut expect = vec![own[0].0, own[2].0];
    expect.sort();
    assert_eq!(found, expect);
}

fn attempt_at(world: &World, second: u64, outcome: Outcome) -> Attempt {
    Attempt {
        id: AttemptId::new(at(second), &*world.chance),
        attempted_at: at(second),
        ..world.attempt(outcome, settled(Settlement::Delivered))
    }
}

fn ids(attempts: &[StoredAttempt]) -> Vec<AttemptId> {
    attempts.iter().map(|stored| stored.attempt.id).collect()
}

const OUTCOMES: [Outcome; 4] = [
    Outcome::Accepted { status: 200 },
    Outcome::Refused {
        status: 503,
        retry_after: None,
    },
    Outcome::TimedOut {
        phase: Phase::FirstByte,
    },
    Outcome::Accepted { status: 302 },
];

/// Twelve attempts of the first endpoint, one for each of twelve messages, with each outcome in
/// turn, and one of the second endpoint.
async fn attempts(world: &World) -> Vec<AttemptId> {
    let mut made = Vec::new();
    for (second, (_, seq)) in (0..).zip(messages(world, 12).await) {
        let outcome = OUTCOMES[usize::try_from(second % 4).expect("small")];
        let attempt = attempt_at(world, second, outcome);
        made.push(attempt.id);
        let record = world.fresh(world.endpoints[0], seq, attempt);
        world.record_attempt(at(second), record).await;
    }
    let seq = world.accept(world.message()).await;
    let elsewhere = attempt_at(world, 3, OUTCOMES[0]);
    world
        .record_attempt(at(3), world.fresh(world.endpoints[1], seq, elsewhere))
        .await;
    made
}

pub async fn attempts_of_an_endpoint_are_listed_both_ways(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let made = attempts(&world).await;
    let endpoint = world.endpoints[0];
    let list = async |range| {
        let filter = AttemptFilter::default();
        let listed = world
            .store
            .attempts_of_endpoint(world.app, endpoint, &filter, range)
            .await;
        ids(&listed.expect("read them"))
    };
    let down: Vec<_> = made.iter().rev().copied().collect();
    assert_eq!(list(all()).await, made);
    assert_eq!(list(newest(5)).await, down[..5]);
    let next = Range {
        before: Some(down[4]),
        ..newest(5)
    };
    assert_eq!(list(next).await, down[5..10]);
    let back = Range {
        after: Some(made[2]),
        before: Some(made[6]),
        ..all()
    };
    assert_eq!(list(back).await, made[3..6]);
}

pub async fn attempts_are_filtered_by_how_they_ended(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let made = attempts(&world).await;
    let of = |wanted: &[usize]| {
        let picked = made
            .iter()
            .enumerate()
            .filter(|(n, _)| wanted.contains(&(n % 4)));
        picked.map(|(_, id)| *id).collect::<Vec<_>>()
    };
    let list = async |status, status_class| {
        let filter = AttemptFilter {
            status,
            status_class,
            ..AttemptFilter::default()
        };
        let endpoint = world.endpoints[0];
        let listed = world
            .store
            .attempts_of_endpoint(world.app, endpoint, &filter, all())
            .await;
        ids(&listed.expect("read them"))
    };
    assert_eq!(
        list(Some(DeliveryStatus::Delivered), None).await,
        of(&[0, 3])
    );
    assert_eq!(list(Some(DeliveryStatus::Failed), None).await, of(&[1, 2]));
    assert_eq!(list(Some(DeliveryStatus::Pending), None).await, []);
    assert_eq!(list(None, Some(2)).await, of(&[0]));
    assert_eq!(list(None, Some(3)).await, of(&[3]));
    assert_eq!(list(None, Some(5)).await, of(&[1]));
    assert_eq!(list(None, Some(0)).await, of(&[2]), "no answer came");
    assert_eq!(list(Some(DeliveryStatus::Failed), Some(0)).await, of(&[2]));
}

pub async fn attempts_are_filtered_by_their_message(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let mut red = Vec::new();
    for second in 0..6 {
        let new = world.message_with(|message| {
            if second % 2 == 0 {
                message.event_type = name("red.alert");
                message.details.channels = vec!["soc".to_owned()];
                message.details.tags = vec!["t".to_owned()];
            }
        });
        let seq = world.accept(new).await;
        let attempt = attempt_at(&world, second, OUTCOMES[0]);
        if second % 2 == 0 {
            red.push(attempt.id);
        }
        world
            .record_attempt(at(0), world.fresh(endpoint, seq, attempt))
            .await;
    }
    let filters = [
        AttemptFilter {
            event_types: vec![name("red.alert")],
            ..AttemptFilter::default()
        },
        AttemptFilter {
            channel: Some("soc".to_owned()),
            ..AttemptFilter::default()
        },
        AttemptFilter {
            tag: Some("t".to_owned()),
            ..AttemptFilter::default()
        },
    ];
    for filter in filters {
        let listed = world
            .store
            .attempts_of_endpoint(world.app, endpoint, &filter, all())
            .await;
        assert_eq!(ids(&listed.expect("read them")), red);
    }
}

pub async fn attempts_of_a_message_are_listed_over_all_endpoints(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 3).await;
    let (_, seq) = messages(&world, 1).await[0];
    world.accept(world.message()).await;
    let mut made = Vec::new();
    for second in 0..9_u8 {
        let attempt = attempt_at(&world, second.into(), OUTCOMES[usize::from(second % 2)]);
        let endpoint = world.endpoints[usize::from(second % 3)];
        made.push((endpoint, attempt.id));
        world
            .record_attempt(at(0), world.fresh(endpoint, seq, attempt))
            .await;
    }
    let list = async |filter: &AttemptFilter, range| {
        let listed = world
            .store
            .attempts_of_message(world.app, seq, filter, range)
            .await;
        ids(&listed.expect("read them"))
    };
    let every: Vec<_> = made.iter().map(|(_, id)| *id).collect();
    let filter = AttemptFilter::default();
    assert_eq!(list(&filter, all()).await, every);
    let page = Range {
        before: Some(every[7]),
        ..newest(3)
    };
    assert_eq!(list(&filter, page).await, [every[6], every[5], every[4]]);
    let one = AttemptFilter {
        endpoint: Some(world.endpoints[1]),
        ..AttemptFilter::default()
    };
    assert_eq!(list(&one, all()).await, [every[1], every[4], every[7]]);
    let failed = AttemptFilter {
        status: Some(DeliveryStatus::Failed),
        ..one
    };
    assert_eq!(list(&failed, all()).await, [every[1], every[7]]);
}

pub async fn no_list_shows_another_applications_rows(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let other = world.another_application(1).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    let attempt = world.delivered();
    let id = attempt.id;
    world
        .record_attempt(at(0), world.fresh(endpoint, seq, attempt))
        .await;
    let owed = world.accept(world.message()).await;
    world
        .spill(at(0), world.owed(endpoint, owed, Some(at(0))))
        .await;
    let (store, app, filter) = (&other.store, other.app, AttemptFilter::default());
    let listed = store
        .attempts_of_endpoint(app, endpoint, &filter, all())
        .await;
    assert_eq!(listed.expect("read them"), []);
    let listed = store.attempts_of_message(app, seq, &filter, all()).await;
    assert_eq!(listed.expect("read them"), []);
    let listed = store
        .attempted_messages(app, endpoint, &filter, all())
        .await;
    assert_eq!(listed.expect("read them"), []);
    assert_eq!(store.attempt(app, seq, id).await.expect("read it"), None);
    assert_eq!(store.deliveries_of(app, seq).await.expect("read them"), []);
    let counts = store.endpoint_counts(app, endpoint, at(0), at(0)).await;
    assert_eq!(counts.expect("read them"), crate::EndpointCounts::default());
    let removed = store.expunge_response(app, seq, id).await;
    assert!(!removed.expect("try it"));
    store
        .expunge_payloads(app, vec![seq])
        .await
        .expect("nothing happens");
    let kept = world
        .store
        .attempt(world.app, seq, id)
        .await
        .expect("read it");
    assert!(kept.expect("it exists").attempt.response.is_some());
    let stored = world
        .store
        .messages(world.app, &MessageFilter::default(), all())
        .await;
    assert!(
        stored
            .expect("read them")
            .iter()
            .all(|stored| stored.message.payload.is_some())
    );
}

pub async fn an_attempt_names_an_endpoint_that_was_deleted_since(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let endpoints = world
        .store
        .endpoints_of(world.app)
        .await
        .expect("read them");
    let seq = world.accept(world.message()).await;
    world.deliver(endpoint, seq).await;
    let delete = Change::DeleteEndpoint {
        key: endpoint,
        now: at(1),
    };
    world.store.apply(vec![delete]).await.expect("apply");
    let filter = AttemptFilter::default();
    let listed = world
        .store
        .attempts_of_message(world.app, seq, &filter, all())
        .await;
    let listed = listed.expect("read them");
    assert_eq!(listed[0].endpoint_id, endpoints[0].endpoint.identity.id);
    assert_eq!(world.status(endpoint, seq).await, DeliveryStatus::Delivered);
}
