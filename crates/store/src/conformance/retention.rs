//! Organizations with times of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use watchfire_domain::id::{MessageId, OrganizationId};

use super::world::{World, at, name};
use crate::{
    MessageFilter, Order, PruneOrder, Range, Retention, Retentions, Seq, Store, StoredMessage,
};

const DAY: u64 = 86_400;

fn days(payloads: u64, messages: u64) -> Retention {
    Retention {
        payloads: Duration::from_secs(payloads * DAY),
        messages: Duration::from_secs(messages * DAY),
    }
}

/// At the end of a day. Everybody keeps payloads for two days and messages for ten.
fn order(day: u64, own: &[(&str, Retention)], rows_max: usize) -> PruneOrder {
    let own = own.iter().map(|(org, retention)| (name(org), *retention));
    PruneOrder {
        now: at(day * DAY),
        retentions: Arc::new(Retentions {
            default: days(2, 10),
            own: own.collect::<BTreeMap<OrganizationId, Retention>>(),
            audit: days(0, 400).messages,
        }),
        rows_max,
    }
}

/// Prunes until nothing is left to do.
async fn prune(world: &World, order: PruneOrder) {
    for _ in 0..1_000 {
        let pruned = world.store.prune(order.clone()).await.expect("prune");
        assert!(pruned.rows <= order.rows_max, "{pruned:?}");
        if !pruned.more {
            return;
        }
    }
    panic!("retention never ends");
}

async fn of_organization(world: &World, org: &str) -> World {
    let world = World {
        org: name(org),
        ..world.clone()
    };
    world.another_application(1).await
}

async fn accepted_on(world: &World, day: u64) -> Seq {
    let now = at(day * DAY);
    let new = world.message_with(|message| {
        message.id = MessageId::new(now, &*world.chance);
        message.accepted_at = now;
    });
    world.accept(new).await
}

async fn delivered_on(world: &World, day: u64) -> Seq {
    let seq = accepted_on(world, day).await;
    for endpoint in &world.endpoints {
        world.deliver(*endpoint, seq).await;
    }
    seq
}

async fn messages(world: &World) -> Vec<StoredMessage> {
    let range = Range::from_start(Order::Ascending, 10_000);
    let filter = MessageFilter::default();
    let listed = world.store.messages(world.app, &filter, range).await;
    listed.expect("read them")
}

/// How many messages an application has, and how many have their payloads.
async fn left(world: &World) -> (usize, usize) {
    let all = messages(world).await;
    let whole = all.iter().filter(|stored| stored.message.payload.is_some());
    (all.len(), whole.count())
}

pub async fn an_organization_keeps_its_messages_for_its_own_time(store: Arc<dyn Store>) {
    let usual = World::with_endpoints(store, 1).await;
    let short = of_organization(&usual, "org_short").await;
    let long = of_organization(&usual, "org_long").await;
    let own = [("org_short", days(1, 3)), ("org_long", days(20, 40))];
    for world in [&usual, &short, &long] {
        for _ in 0..5 {
            delivered_on(world, 0).await;
        }
    }
    let after = async |day: u64| {
        prune(&usual, order(day, &own, 7)).await;
        (left(&usual).await, left(&short).await, left(&long).await)
    };
    assert_eq!(after(1).await, ((5, 5), (5, 0), (5, 5)));
    assert_eq!(after(2).await, ((5, 0), (5, 0), (5, 5)));
    assert_eq!(after(5).await, ((5, 0), (0, 0), (5, 5)));
    assert_eq!(after(12).await, ((0, 0), (0, 0), (5, 5)));
    assert_eq!(after(21).await, ((0, 0), (0, 0), (5, 0)));
    assert_eq!(after(39).await, ((0, 0), (0, 0), (5, 0)));
    assert_eq!(after(42).await, ((0, 0), (0, 0), (0, 0)));
}

pub async fn times_that_change_hold_for_what_is_there(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let theirs = of_organization(&world, "org_theirs").await;
    delivered_on(&world, 0).await;
    delivered_on(&theirs, 0).await;
    prune(&world, order(3, &[("org_theirs", days(9, 9))], 100)).await;
    assert_eq!((left(&world).await, left(&theirs).await), ((1, 0), (1, 1)));
    // Shorter, and then everybody's.
    prune(&world, order(3, &[("org_theirs", days(8, 8))], 100)).await;
    assert_eq!(left(&theirs).await, (1, 1));
    prune(&world, order(3, &[], 100)).await;
    assert_eq!(left(&theirs).await, (1, 0));
}

pub async fn what_is_owed_stays_and_hides_nothing_behind_it(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let theirs = of_organization(&world, "org_theirs").await;
    let mut owed = Vec::new();
    for _ in 0..40 {
        owed.push(accepted_on(&theirs, 0).await);
    }
    for _ in 0..40 {
        delivered_on(&theirs, 0).await;
    }
    let own = [("org_theirs", days(1, 3))];
    prune(&world, order(6, &own, 3)).await;
    assert_eq!(left(&theirs).await, (40, 0));
    for seq in owed {
        theirs.deliver(theirs.endpoints[0], seq).await;
    }
    prune(&world, order(6, &own, 3)).await;
    assert_eq!(left(&theirs).await, (0, 0), "it is looked at again");
}
