//! Messages that went to an endpoint, and what can be removed from the history.

use std::sync::Arc;

use bytes::Bytes;
use watchfire_domain::attempt::{Attempt, Settlement};
use watchfire_domain::id::{AttemptId, Ksuid, MessageId};
use watchfire_domain::message::RawBody;
use watchfire_domain::outcome::Outcome;

use super::history::{all, messages, newest};
use super::world::{World, at, settled};
use crate::{
    AttemptFilter, AttemptedMessage, DeliveryStatus, EndpointKey, MessageRef, Order, Range, Store,
    Write,
};

async fn attempted(
    world: &World,
    endpoint: EndpointKey,
    filter: &AttemptFilter,
    range: Range<MessageId>,
) -> Vec<AttemptedMessage> {
    let listed = world
        .store
        .attempted_messages(world.app, endpoint, filter, range)
        .await;
    listed.expect("read them")
}

fn standings(listed: &[AttemptedMessage]) -> Vec<(MessageId, DeliveryStatus)> {
    let listed = listed.iter();
    listed
        .map(|message| (message.stored.message.id, message.status))
        .collect()
}

fn with_status(status: DeliveryStatus) -> AttemptFilter {
    AttemptFilter {
        status: Some(status),
        ..AttemptFilter::default()
    }
}

/// Messages of the first endpoint in every status: delivered, exhausted, cancelled, retried,
/// spilled, leased; and one that only another endpoint got.
async fn in_every_status(world: &World) -> Vec<(MessageId, DeliveryStatus)> {
    let endpoint = world.endpoints[0];
    let accepted = messages(world, 7).await;
    let end = |n: usize, attempt: Attempt| {
        Write::Attempt(Arc::new(world.fresh(endpoint, accepted[n].1, attempt)))
    };
    let cancelled = world.attempt(Outcome::Malformed, settled(Settlement::Cancelled));
    let writes = vec![
        end(0, world.delivered()),
        end(1, world.exhausted()),
        end(2, cancelled),
        end(3, world.refused(at(60))),
        Write::Spill(world.owed(endpoint, accepted[4].1, Some(at(70)))),
        Write::Spill(world.owed(endpoint, accepted[5].1, Some(at(0)))),
    ];
    world.record(at(0), writes).await;
    world.claim_one(endpoint, at(0)).await;
    world.deliver(world.endpoints[1], accepted[6].1).await;
    let statuses = [
        DeliveryStatus::Delivered,
        DeliveryStatus::Failed,
        DeliveryStatus::Cancelled,
        DeliveryStatus::Pending,
        DeliveryStatus::Pending,
        DeliveryStatus::Sending,
    ];
    accepted.iter().map(|(id, _)| *id).zip(statuses).collect()
}

pub async fn attempted_messages_say_where_they_stand(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let expected = in_every_status(&world).await;
    let endpoint = world.endpoints[0];
    let listed = attempted(&world, endpoint, &AttemptFilter::default(), all()).await;
    assert_eq!(standings(&listed), expected);
    let next: Vec<_> = listed
        .iter()
        .map(|message| message.next_attempt_at)
        .collect();
    assert_eq!(
        next,
        [None, None, None, Some(at(60)), Some(at(70)), Some(at(0))]
    );
    for status in [
        DeliveryStatus::Delivered,
        DeliveryStatus::Failed,
        DeliveryStatus::Cancelled,
        DeliveryStatus::Pending,
        DeliveryStatus::Sending,
    ] {
        let wanted = expected.iter().filter(|(_, stands)| *stands == status);
        let wanted: Vec<_> = wanted.copied().collect();
        let listed = attempted(&world, endpoint, &with_status(status), all()).await;
        assert_eq!(standings(&listed), wanted);
    }
}

pub async fn attempted_messages_are_listed_once_and_both_ways(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let accepted = messages(&world, 6).await;
    for (_, seq) in &accepted {
        for _ in 0..3 {
            world
                .record_attempt(at(0), world.fresh(endpoint, *seq, world.refused(at(9))))
                .await;
        }
    }
    let ids: Vec<_> = accepted.iter().map(|(id, _)| *id).collect();
    let list = async |range| {
        let listed = attempted(&world, endpoint, &AttemptFilter::default(), range).await;
        standings(&listed)
            .into_iter()
            .map(|(id, _)| id)
            .collect::<Vec<_>>()
    };
    assert_eq!(list(all()).await, ids);
    let next = Range {
        before: Some(ids[4]),
        ..newest(2)
    };
    assert_eq!(list(next).await, [ids[3], ids[2]]);
    let back = Range {
        after: Some(ids[1]),
        ..Range::from_start(Order::Ascending, 2)
    };
    assert_eq!(list(back).await, ids[2..4]);
}

pub async fn a_resend_that_fails_changes_what_the_message_shows(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let (id, seq) = messages(&world, 1).await[0];
    world.deliver(endpoint, seq).await;
    let mut failed = world.exhausted();
    failed.id = AttemptId::new(at(100), &*world.chance);
    world
        .record_attempt(at(100), world.fresh(endpoint, seq, failed))
        .await;
    let listed = attempted(
        &world,
        endpoint,
        &with_status(DeliveryStatus::Failed),
        all(),
    )
    .await;
    assert_eq!(standings(&listed), [(id, DeliveryStatus::Failed)]);
    let listed = attempted(
        &world,
        endpoint,
        &with_status(DeliveryStatus::Delivered),
        all(),
    )
    .await;
    assert_eq!(standings(&listed), []);
}

pub async fn an_expunged_payload_is_gone_and_the_rest_stays(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let new = world.message_with(|message| {
        message.payload = Some(Bytes::from(vec![b's'; 50_000]));
        message.details.tags = vec!["t".to_owned()];
        message.details.raw_body = Some(RawBody {
            body: "secret".to_owned(),
            content_type: None,
        });
        message.details.schema_faults = vec!["\"secret\" is not a number".to_owned()];
    });
    let seq = world.accept(new.clone()).await;
    world.deliver(world.endpoints[0], seq).await;
    world
        .store
        .expunge_payloads(world.app, vec![seq])
        .await
        .expect("expunge it");
    world
        .store
        .expunge_payloads(world.app, vec![seq])
        .await
        .expect("once more is harmless");
    let reference = MessageRef::Id(new.message.id);
    let stored = world
        .store
        .message(world.app, &reference)
        .await
        .expect("read it");
    let message = stored.expect("it exists").message;
    assert_eq!(message.payload, None);
    assert_eq!(message.details.raw_body, None);
    assert!(message.details.schema_faults.is_empty());
    assert_eq!(message.details.tags, ["t"]);
    let filter = AttemptFilter::default();
    let attempts = world
        .store
        .attempts_of_message(world.app, seq, &filter, all())
        .await;
    assert_eq!(attempts.expect("read them").len(), 1);
}

pub async fn an_expunged_response_is_gone_and_the_attempt_stays(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seq = world.accept(world.message()).await;
    let mut attempt = world.delivered();
    attempt.response.as_mut().expect("it has one").body = Bytes::from_static(b"secret");
    let id = attempt.id;
    world
        .record_attempt(at(0), world.fresh(world.endpoints[0], seq, attempt.clone()))
        .await;
    let removed = world.store.expunge_response(world.app, seq, id).await;
    assert!(removed.expect("expunge it"));
    let stored = world
        .store
        .attempt(world.app, seq, id)
        .await
        .expect("read it");
    attempt.response = None;
    assert_eq!(stored.expect("it exists").attempt, attempt);
    let unknown = AttemptId::from_ksuid(Ksuid::MIN);
    let removed = world.store.expunge_response(world.app, seq, unknown).await;
    assert!(!removed.expect("try it"));
}

pub async fn a_list_can_leave_the_answers_out(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    world.deliver(endpoint, seq).await;
    let filter = AttemptFilter {
        without_content: true,
        ..AttemptFilter::default()
    };
    let listed = world
        .store
        .attempts_of_endpoint(world.app, endpoint, &filter, all())
        .await;
    assert_eq!(listed.expect("read them")[0].attempt.response, None);
    let listed = attempted(&world, endpoint, &filter, all()).await;
    assert_eq!(listed[0].stored.message.payload, None);
}
