//! Deliveries by what is known about them, and all about one record.

use std::sync::Arc;

use bytes::Bytes;
use watchfire_domain::id::MessageId;
use watchfire_domain::message::{Message, record_hash};

use super::world::{World, at, name};
use crate::{
    DeliveryFilter, DeliveryPage, DeliveryPlace, DeliveryStatus, EndpointKey, FoundDeliveries,
    NewOwed, Order, OwedReason, Range, Seq, Store,
};

async fn page(
    world: &World,
    filter: &DeliveryFilter,
    from: Option<DeliveryPlace>,
    limit: usize,
) -> FoundDeliveries {
    let page = DeliveryPage { from, limit };
    let read = world.store.deliveries(world.app, filter, page).await;
    read.expect("read it")
}

/// All that a filter finds, on one page.
async fn find(world: &World, filter: &DeliveryFilter) -> Vec<(Seq, EndpointKey)> {
    let found = page(world, filter, None, 1_000).await;
    assert_eq!(found.next, None, "it fits into one page");
    found
        .found
        .iter()
        .map(|found| (found.stored.seq, found.view.endpoint))
        .collect()
}

fn by(change: impl FnOnce(&mut DeliveryFilter)) -> DeliveryFilter {
    let mut filter = DeliveryFilter::default();
    change(&mut filter);
    filter
}

/// Messages to all endpoints, a second apart.
async fn accept(world: &World, count: u64, change: impl Fn(u64, &mut Message)) -> Vec<Seq> {
    let mut seqs = Vec::new();
    for n in 0..count {
        let new = world.message_with(|message| {
            message.id = MessageId::new(at(n), &*world.chance);
            message.accepted_at = at(n);
            change(n, message);
        });
        seqs.push(world.accept(new).await);
    }
    seqs
}

pub async fn deliveries_are_found_by_how_they_stand(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let [a, b] = world.endpoints[..] else {
        panic!("two endpoints")
    };
    let seqs = accept(&world, 4, |_, _| {}).await;
    world.deliver(a, seqs[0]).await;
    let failed = world.fresh(b, seqs[0], world.exhausted());
    world.record_attempt(at(0), failed).await;
    let retried = world.fresh(a, seqs[1], world.refused(at(60)));
    world.record_attempt(at(0), retried).await;
    let spilled = world.owed(b, seqs[1], Some(at(0)));
    world.spill(at(0), spilled).await;
    let leased = world.claim_one(b, at(0)).await;
    assert_eq!(leased.delivery.seq, seqs[1]);
    for (status, expected) in [
        (DeliveryStatus::Delivered, vec![(seqs[0], a)]),
        (DeliveryStatus::Failed, vec![(seqs[0], b)]),
        (DeliveryStatus::Pending, vec![(seqs[1], a)]),
        (DeliveryStatus::Cancelled, vec![]),
        (
            DeliveryStatus::Sending,
            vec![
                (seqs[3], a),
                (seqs[3], b),
                (seqs[2], a),
                (seqs[2], b),
                (seqs[1], b),
            ],
        ),
    ] {
        let filter = by(|filter| filter.status = Some(status));
        assert_eq!(find(&world, &filter).await, expected, "{status:?}");
        let here = by(|filter| {
            filter.status = Some(status);
            filter.endpoint = Some(a);
        });
        let of_a: Vec<_> = expected.into_iter().filter(|found| found.1 == a).collect();
        assert_eq!(find(&world, &here).await, of_a, "{status:?}");
    }
    let all = find(&world, &DeliveryFilter::default()).await;
    assert_eq!(all.len(), 8, "two for each message");
    assert!(all.is_sorted_by(|one, next| (next.0, one.1) <= (one.0, next.1)));
    let here = by(|filter| filter.endpoint = Some(a));
    let attempted = [(seqs[1], a), (seqs[0], a)];
    assert_eq!(find(&world, &here).await, attempted);
}

pub async fn what_is_found_says_how_it_stands(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = accept(&world, 2, |_, _| {}).await;
    let attempt = world.refused(at(60));
    let refused = world.fresh(endpoint, seqs[0], attempt.clone());
    world.record_attempt(at(0), refused).await;
    let found = page(&world, &DeliveryFilter::default(), None, 10)
        .await
        .found;
    let [fresh, owed] = &found[..] else {
        panic!("two are found")
    };
    assert_eq!(fresh.view.status, DeliveryStatus::Sending);
    assert_eq!((fresh.view.owed, &fresh.last_attempt), (None, &None));
    assert_eq!(owed.view.status, DeliveryStatus::Pending);
    let view = owed.view.owed.expect("it is owed");
    assert_eq!(
        (view.due_at, view.reason),
        (Some(at(60)), OwedReason::Retry)
    );
    let last = owed.last_attempt.as_ref().expect("there was one");
    assert_eq!((last.id, last.outcome), (attempt.id, attempt.outcome));
    assert!(last.response.is_none(), "lists leave the answers out");
    assert!(owed.stored.message.payload.is_none(), "and the payloads");
}

pub async fn deliveries_are_found_by_the_class_of_the_last_answer(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = accept(&world, 4, |_, _| {}).await;
    world.deliver(endpoint, seqs[0]).await;
    let refused = world.fresh(endpoint, seqs[1], world.exhausted());
    world.record_attempt(at(0), refused).await;
    let silent = world.attempt(
        watchfire_domain::outcome::Outcome::Malformed,
        super::world::settled(watchfire_domain::attempt::Settlement::Exhausted),
    );
    let silent = world.fresh(endpoint, seqs[2], silent);
    world.record_attempt(at(0), silent).await;
    for (class, expected) in [(2, vec![seqs[0]]), (5, vec![seqs[1]]), (0, vec![seqs[2]])] {
        for endpoint in [None, Some(endpoint)] {
            let filter = by(|filter| {
                filter.status_class = Some(class);
                filter.endpoint = endpoint;
            });
            let found = find(&world, &filter).await.into_iter().map(|found| found.0);
            assert_eq!(found.collect::<Vec<_>>(), expected, "{filter:?}");
        }
    }
}

pub async fn deliveries_are_found_by_their_message(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seqs = accept(&world, 4, |n, message| {
        message.event_type = name(
            ["threat.created", "threat.closed", "ticket.made", "ping"]
                [usize::try_from(n).expect("small")],
        );
        message.record_key = (n != 3).then(|| format!("record {}", n / 2));
        message.payload = Some(Bytes::from(format!("{{\"name\":\"Mimikatz {n}\"}}")));
    })
    .await;
    let payload_gone = seqs[3];
    let gone = world
        .store
        .expunge_payloads(world.app, vec![payload_gone])
        .await;
    gone.expect("remove it");
    let types = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    for (filter, expected) in [
        (by(|f| f.event_types = types(&["threat.*"])), vec![1, 0]),
        (
            by(|f| f.event_types = types(&["ping", "ticket.made"])),
            vec![3, 2],
        ),
        (
            by(|f| f.record_key = Some("record 0".to_owned())),
            vec![1, 0],
        ),
        (by(|f| f.record_key = Some("record 9".to_owned())), vec![]),
        (by(|f| f.text = Some("mimikatz".to_owned())), vec![2, 1, 0]),
        (by(|f| f.text = Some("KATZ 1".to_owned())), vec![1]),
        (by(|f| f.since = Some(at(2))), vec![3, 2]),
        (by(|f| f.until = Some(at(1))), vec![0]),
        (
            by(|f| {
                f.since = Some(at(1));
                f.until = Some(at(3));
                f.record_key = Some("record 0".to_owned());
            }),
            vec![1],
        ),
        (
            by(|f| {
                f.event_types = types(&["threat.*"]);
                f.text = Some("katz 0".to_owned());
            }),
            vec![0],
        ),
    ] {
        let found: Vec<_> = find(&world, &filter)
            .await
            .into_iter()
            .map(|f| f.0)
            .collect();
        let expected: Vec<_> = expected.into_iter().map(|n: usize| seqs[n]).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

pub async fn a_search_visits_everything_once(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 3).await;
    let seqs = accept(&world, 7, |_, message| {
        message.record_key = Some("one".to_owned());
    })
    .await;
    for seq in &seqs {
        for endpoint in &world.endpoints {
            let failed = world.fresh(*endpoint, *seq, world.exhausted());
            world.record_attempt(at(0), failed).await;
        }
    }
    let (first, only) = (world.endpoints[0], Some(world.endpoints[0]));
    for filter in [
        DeliveryFilter::default(),
        by(|filter| filter.status = Some(DeliveryStatus::Failed)),
        by(|filter| filter.record_key = Some("one".to_owned())),
        by(|filter| filter.endpoint = only),
    ] {
        for limit in [1, 2, 4, 100] {
            let mut visited = Vec::new();
            let mut from = None;
            loop {
                let found = page(&world, &filter, from, limit).await;
                assert!(found.found.len() <= limit);
                let places = found.found.iter();
                visited.extend(places.map(|found| (found.stored.seq, found.view.endpoint)));
                from = found.next;
                if from.is_none() {
                    break;
                }
            }
            let mut expected = Vec::new();
            for seq in seqs.iter().rev() {
                let endpoints = world.endpoints.iter();
                let wanted = endpoints.filter(|key| filter.endpoint.is_none() || **key == first);
                expected.extend(wanted.map(|key| (*seq, *key)));
            }
            assert_eq!(visited, expected, "{filter:?} in pages of {limit}");
        }
    }
}

pub async fn a_resend_to_an_endpoint_it_did_not_match_is_found(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let mut new = world.message();
    new.matched = vec![world.endpoints[0]];
    let seq = world.accept(new).await;
    let other = world.endpoints[1];
    let mut owed = world.owed(other, seq, Some(at(0)));
    owed.reason = OwedReason::Requested;
    world.spill(at(0), owed).await;
    let all = [(seq, world.endpoints[0]), (seq, other)];
    assert_eq!(find(&world, &DeliveryFilter::default()).await, all);
    let here = by(|filter| filter.endpoint = Some(other));
    assert_eq!(find(&world, &here).await, all[1..]);
}

pub async fn no_search_shows_another_applications_deliveries(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let other = world.another_application(1).await;
    let seqs = accept(&world, 1, |_, message| {
        message.record_key = Some("one".to_owned());
    })
    .await;
    world.deliver(world.endpoints[0], seqs[0]).await;
    for filter in [
        DeliveryFilter::default(),
        by(|filter| filter.endpoint = Some(world.endpoints[0])),
        by(|filter| filter.record_key = Some("one".to_owned())),
        by(|filter| filter.status = Some(DeliveryStatus::Delivered)),
    ] {
        assert_eq!(find(&other, &filter).await, [], "{filter:?}");
        assert_eq!(find(&world, &filter).await.len(), 1, "{filter:?}");
    }
    let range = Range::from_start(Order::Ascending, 10);
    let read = other
        .store
        .messages_of_record(other.app, "one", range)
        .await;
    assert!(read.expect("read it").is_empty());
}

pub async fn a_record_is_read_in_order_and_both_ways(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seqs = accept(&world, 6, |n, message| {
        message.record_key = Some(if n % 2 == 0 { "even" } else { "odd" }.to_owned());
    })
    .await;
    let even: Vec<_> = seqs.iter().copied().step_by(2).collect();
    let read = |after, before, order| {
        let range = Range {
            after,
            before,
            order,
            limit: 2,
        };
        let (store, app) = (world.store.clone(), world.app);
        async move {
            let read = store.messages_of_record(app, "even", range).await;
            let messages = read.expect("read it");
            assert!(
                messages
                    .iter()
                    .all(|stored| stored.message.payload.is_none())
            );
            messages.iter().map(|stored| stored.seq).collect::<Vec<_>>()
        }
    };
    assert_eq!(read(None, None, Order::Ascending).await, even[..2]);
    assert_eq!(read(Some(even[1]), None, Order::Ascending).await, even[2..]);
    let backward = read(None, Some(even[2]), Order::Descending).await;
    assert_eq!(backward, [even[1], even[0]]);
}

pub async fn the_head_of_a_record_and_what_waits_behind_it_are_known(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let [stuck, fine] = world.endpoints[..] else {
        panic!("two endpoints")
    };
    let record = record_hash("one");
    let seqs = accept(&world, 4, |_, message| {
        message.record_key = Some("one".to_owned());
    })
    .await;
    let owed = |seq, due_at, reason| NewOwed {
        record: Some(record),
        reason,
        ..world.owed(stuck, seq, due_at)
    };
    let head = owed(seqs[1], Some(at(60)), OwedReason::Retry);
    world.spill(at(0), head).await;
    for seq in &seqs[2..] {
        world.spill(at(0), owed(*seq, None, OwedReason::Turn)).await;
    }
    let heads = world
        .store
        .record_heads(world.app, record, vec![stuck, fine])
        .await
        .expect("read it");
    let [head] = &heads[..] else {
        panic!("one endpoint owes something: {heads:?}")
    };
    assert_eq!((head.seq, head.waiting), (seqs[1], 2));
    assert_eq!(head.view.endpoint, stuck);
    assert_eq!(head.view.status, DeliveryStatus::Pending);
    assert_eq!(head.view.owed.expect("it is owed").due_at, Some(at(60)));
    let other = world.another_application(0).await;
    let foreign = other.store.record_heads(other.app, record, vec![stuck]);
    assert!(foreign.await.expect("read it").is_empty());
}
