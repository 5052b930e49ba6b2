//! What other processes must forget, and health that two of them change.

use std::sync::Arc;

use watchfire_domain::health::{DisableCause, Health};
use watchfire_domain::limit;

use super::races::at_once;
use super::world::{World, at};
use crate::{
    ApplyError, AttemptRecord, Change, ChangeNumber, Changed, Conflict, HealthChange, Logged,
    PruneOrder, Recorded, Retention, Retentions, Store,
};

async fn newest(world: &World) -> ChangeNumber {
    world.store.newest_change().await.expect("read it")
}

async fn after(world: &World, number: ChangeNumber) -> Vec<Logged> {
    let logged = world.store.changed_after(number, 1_000).await;
    logged.expect("read them")
}

pub(super) async fn changed_by(world: &World, change: Change) -> Vec<Changed> {
    let before = newest(world).await;
    world.store.apply(vec![change]).await.expect("apply it");
    let logged = after(world, before).await;
    let last = logged.last().map_or(before, |logged| logged.number);
    assert_eq!(newest(world).await, last);
    logged.into_iter().map(|logged| logged.changed).collect()
}

pub async fn every_change_others_have_cached_is_logged(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let (app, endpoint) = (world.app, world.endpoints[0]);
    let create = Change::CreateEndpoint {
        application: world.app_id,
        endpoint: world.endpoint(None),
    };
    assert_eq!(
        changed_by(&world, create).await,
        [Changed::Application(app)]
    );
    let update = Change::UpdateEndpoint {
        key: endpoint,
        revision: 1,
        endpoint: world.endpoint(None),
    };
    let of_endpoint = [Changed::Endpoint { app, endpoint }];
    assert_eq!(changed_by(&world, update).await, of_endpoint);
    let set = Change::SetHealth {
        key: endpoint,
        health: gone(),
        revision: None,
    };
    assert_eq!(changed_by(&world, set).await, of_endpoint);
    let delete = Change::DeleteEndpoint {
        key: endpoint,
        now: at(1),
    };
    assert_eq!(changed_by(&world, delete).await, of_endpoint);
    let update = Change::UpdateApplication {
        key: app,
        revision: 1,
        application: world.application(None),
    };
    assert_eq!(
        changed_by(&world, update).await,
        [Changed::Application(app)]
    );
    let delete = Change::DeleteApplication {
        key: app,
        now: at(1),
    };
    let deleted = changed_by(&world, delete).await;
    assert_eq!(deleted, [Changed::ApplicationDeleted(app)]);
}

pub async fn a_revoked_key_is_logged(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let key = super::credentials::key_of(&world, None);
    let (org, id) = (key.org.clone(), key.id);
    let create = Change::CreateApiKey { key };
    assert_eq!(changed_by(&world, create).await, [], "nobody had cached it");
    let revoke = Change::RevokeApiKey { org, id };
    assert_eq!(changed_by(&world, revoke).await, [Changed::ApiKey(id)]);
}

pub async fn a_change_that_was_refused_is_not_logged(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let before = newest(&world).await;
    let changes = vec![
        Change::CreateEndpoint {
            application: world.app_id,
            endpoint: world.endpoint(None),
        },
        Change::UpdateApplication {
            key: world.app,
            revision: 99,
            application: world.application(None),
        },
    ];
    let applied = world.store.apply(changes).await;
    assert!(
        matches!(applied, Err(ApplyError::Conflict(Conflict::Changed))),
        "{applied:?}"
    );
    assert_eq!(after(&world, before).await, []);
}

/// Whoever reads up to a number has read everything below it.
pub async fn numbers_appear_in_their_order(store: Arc<dyn Store>) {
    const WRITERS: usize = 4;
    const CHANGES: usize = 15;
    let world = World::with_endpoints(store, 0).await;
    let start = newest(&world).await;
    let reading = tokio::spawn({
        let world = world.clone();
        async move {
            let mut place = start;
            let mut seen = 0;
            let mut looks = 0;
            while seen < WRITERS * CHANGES {
                looks += 1;
                assert!(
                    looks < 1_000_000,
                    "a number was passed over: {seen} were seen"
                );
                let some = world.store.changed_after(place, 3).await;
                for logged in some.expect("read them") {
                    assert!(logged.number > place, "{logged:?} after {place:?}");
                    place = logged.number;
                    seen += 1;
                }
                tokio::task::yield_now().await;
            }
            place
        }
    });
    let tasks = (0..WRITERS).map(|_| {
        let world = world.clone();
        async move {
            for _ in 0..CHANGES {
                world.create_endpoint(None).await;
            }
        }
    });
    at_once(tasks).await;
    let last = reading.await.expect("it ends");
    assert_eq!(last, newest(&world).await);
}

pub async fn old_changes_go(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 3).await;
    let last = newest(&world).await;
    let prune = async |now| {
        let order = PruneOrder {
            now,
            retentions: Arc::new(Retentions::for_all(Retention {
                payloads: limit::RETRY_DELAY_MAX,
                messages: limit::RETRY_DELAY_MAX,
            })),
            rows_max: 1_000,
        };
        world.store.prune(order).await.expect("prune");
    };
    prune(at(0)).await;
    world.create_endpoint(None).await;
    prune(at(1)).await;
    assert_eq!(after(&world, ChangeNumber::default()).await.len(), 4);
    prune(at(0) + limit::CHANGE_LOG_AGE).await;
    let kept = after(&world, ChangeNumber::default()).await;
    assert_eq!(kept.len(), 1, "the young one stays");
    assert_eq!(after(&world, last).await, kept);
    prune(at(0) + limit::CHANGE_LOG_AGE * 2).await;
    assert_eq!(after(&world, last).await, []);
    assert!(newest(&world).await > last, "numbers are not given again");
}

fn gone() -> Health {
    Health::Disabled {
        since: at(3),
        cause: DisableCause::Gone,
        trouble: None,
        note: None,
    }
}

async fn health(world: &World) -> (Health, i64) {
    let endpoints = world.store.endpoints_of(world.app).await;
    let stored = endpoints.expect("read them").remove(0);
    (stored.health, stored.health_revision)
}

fn set(world: &World, health: Health, revision: Option<i64>) -> Change {
    Change::SetHealth {
        key: world.endpoints[0],
        health,
        revision,
    }
}

pub async fn what_a_person_set_is_not_overwritten(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seqs = world.accept_many(2).await;
    let judged = |seq, revision| AttemptRecord {
        health: Some(HealthChange {
            endpoint,
            health: Health::default(),
            revision,
            notices: Vec::new(),
        }),
        ..world.fresh(endpoint, seq, world.delivered())
    };
    let set_by_hand = set(&world, gone(), None);
    world.store.apply(vec![set_by_hand]).await.expect("set it");
    assert_eq!(health(&world).await, (gone(), 1));
    let late = world.record_attempt(at(0), judged(seqs[0], 0)).await;
    assert_eq!(late, Recorded::HealthKept);
    assert_eq!(health(&world).await, (gone(), 1));
    assert_eq!(world.unfinished().await.len(), 1, "the attempt counts");
    let now = world.record_attempt(at(0), judged(seqs[1], 1)).await;
    assert_eq!(now, Recorded::Done);
    assert_eq!(health(&world).await, (Health::default(), 1));
}

pub async fn time_does_not_overwrite_what_a_person_set(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let by_time = || set(&world, Health::default(), Some(0));
    world.store.apply(vec![by_time()]).await.expect("set it");
    assert_eq!(health(&world).await.1, 0, "time raises no revision");
    let by_hand = set(&world, gone(), None);
    world.store.apply(vec![by_hand]).await.expect("set it");
    let late = world.store.apply(vec![by_time()]).await;
    assert!(
        matches!(late, Err(ApplyError::Conflict(Conflict::Changed))),
        "{late:?}"
    );
    assert_eq!(health(&world).await, (gone(), 1));
}
