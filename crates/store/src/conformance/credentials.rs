//! API keys: made, found, listed, used, revoked.

use std::sync::Arc;
use std::time::Duration;

use watchfire_domain::id::{ApplicationId, KeyId, Ksuid, OrganizationId};
use watchfire_domain::limit;
use watchfire_domain::scope::{Scope, Scopes};

use super::configuration::{check_pages, conflict};
use super::world::{World, at, name};
use crate::{ApiKey, Change, Conflict, Order, Range, Store, StoredApiKey};

pub(super) fn key_of(world: &World, application: Option<ApplicationId>) -> ApiKey {
    ApiKey {
        id: KeyId::new(at(0), &*world.chance),
        org: world.org.clone(),
        application,
        name: "deploy".to_owned(),
        scopes: Scopes::from_iter([Scope::EventsWrite, Scope::Replay]),
        created_at: at(0),
        expires_at: Some(at(60)),
        hash: [9; 32],
    }
}

async fn create(world: &World, key: &ApiKey) {
    let create = Change::CreateApiKey { key: key.clone() };
    world.store.apply(vec![create]).await.expect("create it");
}

async fn found(world: &World, id: KeyId) -> Option<StoredApiKey> {
    world.store.api_key(id).await.expect("read it")
}

fn revoke(org: &OrganizationId, id: KeyId) -> Change {
    Change::RevokeApiKey {
        org: org.clone(),
        id,
    }
}

pub async fn a_key_is_kept_as_it_was_given(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let mut lasting = key_of(&world, None);
    lasting.expires_at = None;
    lasting.name = String::new();
    for key in [key_of(&world, Some(world.app_id)), lasting] {
        create(&world, &key).await;
        let stored = found(&world, key.id).await.expect("it exists");
        assert_eq!(stored.key, key);
        assert_eq!(stored.last_used_at, None);
    }
    let nobody = KeyId::from_ksuid(Ksuid::MAX);
    assert_eq!(found(&world, nobody).await, None);
}

pub async fn a_revoked_key_is_gone(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let (key, other) = (key_of(&world, None), key_of(&world, None));
    create(&world, &key).await;
    create(&world, &other).await;
    let revoke = revoke(&world.org, key.id);
    world
        .store
        .apply(vec![revoke.clone()])
        .await
        .expect("apply");
    assert_eq!(found(&world, key.id).await, None);
    assert!(found(&world, other.id).await.is_some());
    assert_eq!(conflict(&world, vec![revoke]).await, Conflict::Missing);
}

pub async fn another_organization_cannot_revoke_a_key(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let key = key_of(&world, None);
    create(&world, &key).await;
    let other: OrganizationId = name("org_two");
    let refused = conflict(&world, vec![revoke(&other, key.id)]).await;
    assert_eq!(refused, Conflict::Missing);
    assert!(found(&world, key.id).await.is_some());
    let listed = world
        .store
        .api_keys(&other, Range::from_start(Order::Ascending, 9))
        .await;
    assert_eq!(listed.expect("read them"), []);
}

pub async fn a_key_belongs_to_an_application_of_its_organization(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let nobody = key_of(&world, Some(ApplicationId::from_ksuid(Ksuid::MAX)));
    let stranger = ApiKey {
        org: name("org_two"),
        ..key_of(&world, Some(world.app_id))
    };
    for key in [nobody, stranger] {
        let id = key.id;
        let refused = conflict(&world, vec![Change::CreateApiKey { key }]).await;
        assert_eq!(refused, Conflict::Missing);
        assert_eq!(found(&world, id).await, None);
    }
}

pub async fn a_deleted_application_takes_its_keys_along(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let (mine, all) = (key_of(&world, Some(world.app_id)), key_of(&world, None));
    create(&world, &mine).await;
    create(&world, &all).await;
    let delete = Change::DeleteApplication {
        key: world.app,
        now: at(1),
    };
    world.store.apply(vec![delete]).await.expect("apply");
    assert_eq!(found(&world, mine.id).await, None);
    assert!(found(&world, all.id).await.is_some());
    let late = key_of(&world, Some(world.app_id));
    let refused = conflict(&world, vec![Change::CreateApiKey { key: late }]).await;
    assert_eq!(refused, Conflict::Missing);
}

pub async fn keys_are_listed_both_ways(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let mut ids = Vec::new();
    for n in 0..6 {
        let key = key_of(&world, (n % 2 == 0).then_some(world.app_id));
        create(&world, &key).await;
        ids.push(key.id);
    }
    ids.sort();
    let list = async |range| {
        let listed = world.store.api_keys(&world.org, range).await;
        let listed = listed.expect("read them").into_iter();
        listed.map(|stored| stored.key.id).collect::<Vec<_>>()
    };
    check_pages(&ids, list).await;
}

pub async fn an_owner_has_a_limited_number_of_keys(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    for owner in [None, Some(world.app_id)] {
        let keys: Vec<_> = (0..limit::API_KEYS_PER_OWNER_MAX)
            .map(|_| key_of(&world, owner))
            .collect();
        let first = keys[0].id;
        let changes = keys.into_iter().map(|key| Change::CreateApiKey { key });
        let changes = changes.collect();
        world.store.apply(changes).await.expect("as many as may be");
        let one_more = || Change::CreateApiKey {
            key: key_of(&world, owner),
        };
        let refused = conflict(&world, vec![one_more()]).await;
        assert_eq!(refused, Conflict::ApiKeyLimit);
        let room = vec![revoke(&world.org, first), one_more()];
        world.store.apply(room).await.expect("one went, one came");
    }
}

pub async fn the_last_use_only_moves_forward(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let (key, gone) = (key_of(&world, None), KeyId::from_ksuid(Ksuid::MAX));
    create(&world, &key).await;
    let used = |id, seconds| Change::NoteApiKeyUse {
        id,
        at: at(0) + Duration::from_secs(seconds),
    };
    for (changes, expect) in [
        (vec![used(key.id, 5), used(gone, 5)], 5),
        (vec![used(key.id, 3)], 5),
        (vec![used(key.id, 9)], 9),
    ] {
        world.store.apply(changes).await.expect("apply");
        let stored = found(&world, key.id).await.expect("it exists");
        assert_eq!(stored.last_used_at, Some(at(expect)));
    }
}
