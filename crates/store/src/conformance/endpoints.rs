//! Endpoints and their conflicts.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchfire_domain::endpoint::{Method, Settings};
use watchfire_domain::health::{DisableCause, Health};
use watchfire_domain::limit;

use super::configuration::{application, check_pages, conflict, create, endpoint};
use super::world::{World, at, name};
use crate::{
    ApplicationFilter, Change, Conflict, Endpoint, EndpointKey, EndpointRef, Order, Range,
    ShardSet, Store,
};

pub async fn an_endpoint_is_kept_as_it_was_given(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let mut new = world.endpoint(Some("hook"));
    new.settings.description = String::from("for the SOC");
    new.settings.method = Some(Method::Put);
    new.settings.subscription.event_types = vec!["threat.*".to_owned()];
    new.settings.throttle_rate = Some(10);
    new.sealed = vec![0, 255, 3];
    let create = Change::CreateEndpoint {
        application: world.app_id,
        endpoint: new.clone(),
    };
    world.store.apply(vec![create]).await.expect("apply");
    let by_id = endpoint(&world, new.identity.id).await.expect("it exists");
    assert_eq!(by_id.endpoint, new);
    assert_eq!((by_id.app, &by_id.health), (world.app, &Health::default()));
    let named = world
        .store
        .endpoint(world.app, &EndpointRef::Uid(name("hook")))
        .await;
    assert_eq!(named.expect("read it"), Some(by_id.clone()));
    let all = world.store.endpoints_of(world.app).await;
    assert_eq!(all.expect("read them"), [by_id]);
}

pub async fn an_application_and_its_endpoint_are_created_in_one_list(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let new = world.application(None);
    let changes = vec![
        create(&world, &new),
        Change::CreateEndpoint {
            application: new.id,
            endpoint: world.endpoint(None),
        },
    ];
    world.store.apply(changes).await.expect("apply");
    let key = application(&world, new.id).await.expect("it exists").key;
    let endpoints = world.store.endpoints_of(key).await;
    assert_eq!(endpoints.expect("read them").len(), 1);
}

pub async fn applications_do_not_see_each_others_endpoints(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let other = world.another_application(0).await;
    world.create_endpoint(Some("hook")).await;
    other.create_endpoint(Some("hook")).await;
    let own = world
        .store
        .endpoints_of(world.app)
        .await
        .expect("read them");
    let theirs = other
        .store
        .endpoints_of(other.app)
        .await
        .expect("read them");
    assert_eq!((own.len(), theirs.len()), (1, 1));
    assert_ne!(own[0].key, theirs[0].key);
    let id = own[0].endpoint.identity.id;
    assert_eq!(endpoint(&other, id).await, None);
    let range = Range::from_start(Order::Ascending, 9);
    let listed = other
        .store
        .endpoints(other.app, range)
        .await
        .expect("read them");
    assert_eq!(listed, theirs);
}

pub async fn an_endpoints_uid_is_free_once_it_is_deleted(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let key = world.create_endpoint(Some("hook")).await;
    let again = Change::CreateEndpoint {
        application: world.app_id,
        endpoint: world.endpoint(Some("hook")),
    };
    let refused = conflict(&world, vec![again.clone()]).await;
    assert_eq!(refused, Conflict::EndpointUid);
    let delete = Change::DeleteEndpoint { key, now: at(1) };
    world
        .store
        .apply(vec![delete.clone(), again])
        .await
        .expect("apply");
    let endpoints = world
        .store
        .endpoints_of(world.app)
        .await
        .expect("read them");
    assert_eq!(endpoints.len(), 1);
    assert_ne!(endpoints[0].key, key, "keys are never reused");
    assert_eq!(conflict(&world, vec![delete]).await, Conflict::Missing);
}

pub async fn an_update_of_an_endpoint_leaves_its_health(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let key = world.endpoints[0];
    let before = world
        .store
        .endpoints_of(world.app)
        .await
        .expect("read them")
        .remove(0);
    let health = disabled();
    let set = Change::SetHealth {
        key,
        health: health.clone(),
        revision: None,
    };
    let mut changed = before.endpoint.clone();
    changed.settings.url = String::from("https://example.com/other");
    changed.identity.uid = Some(name("new"));
    changed.identity.updated_at = at(9);
    changed.sealed = vec![7];
    let update = |revision, endpoint: &Endpoint| Change::UpdateEndpoint {
        key,
        revision,
        endpoint: endpoint.clone(),
    };
    let both = vec![set, update(before.revision, &changed)];
    world
        .store
        .apply(both)
        .await
        .expect("health leaves the revision alone");
    let after = world
        .store
        .endpoints_of(world.app)
        .await
        .expect("read them")
        .remove(0);
    assert_eq!((&after.endpoint, &after.health), (&changed, &health));
    let late = update(before.revision, &before.endpoint);
    assert_eq!(conflict(&world, vec![late]).await, Conflict::Changed);
}

fn disabled() -> Health {
    Health::Disabled {
        since: at(1),
        cause: DisableCause::Person,
        trouble: None,
        note: None,
    }
}

pub async fn endpoints_that_are_not_active_are_listed(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 4).await;
    let set = |key, health| Change::SetHealth {
        key,
        health,
        revision: None,
    };
    let keys = &world.endpoints;
    let changes = keys[..3].iter().map(|key| set(*key, disabled())).collect();
    world.store.apply(changes).await.expect("apply");
    let unwell = async |after, limit| {
        let unwell = world
            .store
            .endpoints_unwell(ShardSet::ALL, after, limit)
            .await;
        let unwell = unwell.expect("read them").into_iter();
        unwell
            .map(|(key, app)| {
                assert_eq!(app, world.app);
                key
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(unwell(None, 9).await, keys[..3]);
    assert_eq!(unwell(Some(keys[0]), 1).await, keys[1..2]);
    let changes = vec![
        set(keys[0], Health::default()),
        Change::DeleteEndpoint {
            key: keys[1],
            now: at(2),
        },
    ];
    world.store.apply(changes).await.expect("apply");
    assert_eq!(unwell(None, 9).await, keys[2..3]);
    let nobody = set(EndpointKey(987_654), disabled());
    assert_eq!(conflict(&world, vec![nobody]).await, Conflict::Missing);
}

pub async fn ids_of_deleted_endpoints_are_known(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let other = world.another_application(1).await;
    let endpoints = world.store.endpoints_of(world.app).await;
    let expect: BTreeMap<_, _> = endpoints
        .expect("read them")
        .into_iter()
        .map(|stored| (stored.key, stored.endpoint.identity.id))
        .collect();
    let delete = Change::DeleteEndpoint {
        key: world.endpoints[0],
        now: at(1),
    };
    world.store.apply(vec![delete]).await.expect("apply");
    let mut keys = world.endpoints.clone();
    keys.extend([other.endpoints[0], EndpointKey(987_654)]);
    let ids = world.store.endpoint_ids(world.app, keys).await;
    assert_eq!(ids.expect("read them"), expect);
}

pub async fn endpoints_are_listed_both_ways(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 6).await;
    let all = world
        .store
        .endpoints_of(world.app)
        .await
        .expect("read them");
    let ids: Vec<_> = all
        .iter()
        .map(|stored| stored.endpoint.identity.id)
        .collect();
    assert!(ids.is_sorted());
    let list = async |range| {
        let listed = world.store.endpoints(world.app, range).await;
        let listed = listed.expect("read them").into_iter();
        listed
            .map(|stored| stored.endpoint.identity.id)
            .collect::<Vec<_>>()
    };
    check_pages(&ids, list).await;
}

pub async fn an_application_has_a_limited_number_of_endpoints(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let create = || Change::CreateEndpoint {
        application: world.app_id,
        endpoint: world.endpoint(None),
    };
    let most = limit::ENDPOINTS_PER_APPLICATION_MAX;
    let changes = (0..most).map(|_| create()).collect();
    world
        .store
        .apply(changes)
        .await
        .expect("as many as it may have");
    assert_eq!(
        conflict(&world, vec![create()]).await,
        Conflict::EndpointLimit
    );
    let all = world
        .store
        .endpoints_of(world.app)
        .await
        .expect("read them");
    assert_eq!(all.len(), most);
    let delete = Change::DeleteEndpoint {
        key: all[0].key,
        now: at(1),
    };
    world
        .store
        .apply(vec![delete, create()])
        .await
        .expect("there is room again");
}

pub async fn applications_are_listed_by_what_endpoints_they_have(store: Arc<dyn Store>) {
    let mixed = World::with_endpoints(store, 1).await;
    let empty = mixed.another_application(0).await;
    let off = mixed.another_application(0).await;
    let failing = mixed.another_application(1).await;
    let elsewhere = mixed.another_application(0).await;
    let gone = mixed.another_application(1).await;
    let changes = vec![
        with(&mixed, |settings| settings.disabled = true),
        with(&off, |settings| settings.disabled = true),
        with(&elsewhere, |settings| {
            settings.url = String::from("https://play.example/x");
        }),
        Change::SetHealth {
            key: failing.endpoints[0],
            health: Health::Disabled {
                since: at(1),
                cause: DisableCause::Gone,
                trouble: None,
                note: None,
            },
            revision: None,
        },
        Change::DeleteEndpoint {
            key: gone.endpoints[0],
            now: at(1),
        },
    ];
    mixed.store.apply(changes).await.expect("apply");
    let check = async |filter: ApplicationFilter, left_out: &[&World]| {
        let all = Range::from_start(Order::Ascending, 99);
        let listed = mixed.store.applications(&mixed.org, &filter, all).await;
        let listed = listed.expect("read them");
        for world in [&mixed, &empty, &off, &failing, &elsewhere, &gone] {
            let found = listed.iter().any(|stored| stored.key == world.app);
            let expect = !left_out.iter().any(|left_out| left_out.app == world.app);
            assert_eq!(found, expect, "{:?} by {filter:?}", world.app);
        }
    };
    check(ApplicationFilter::default(), &[]).await;
    let with_endpoints = ApplicationFilter {
        with_endpoints: true,
        ..ApplicationFilter::default()
    };
    check(with_endpoints, &[&empty, &gone]).await;
    let enabled = ApplicationFilter {
        with_enabled_endpoints: true,
        ..ApplicationFilter::default()
    };
    check(enabled, &[&off, &failing]).await;
    let not_at_play = ApplicationFilter {
        with_endpoints_elsewhere: vec!["https://play.example/".to_owned()],
        ..ApplicationFilter::default()
    };
    check(not_at_play.clone(), &[&elsewhere]).await;
    let everything = ApplicationFilter {
        with_endpoints: true,
        with_enabled_endpoints: true,
        ..not_at_play
    };
    check(everything, &[&empty, &gone, &off, &failing, &elsewhere]).await;
}

/// One more endpoint of the world's application, changed.
fn with(world: &World, change: impl FnOnce(&mut Settings)) -> Change {
    let mut endpoint = world.endpoint(None);
    change(&mut endpoint.settings);
    Change::CreateEndpoint {
        application: world.app_id,
        endpoint,
    }
}
