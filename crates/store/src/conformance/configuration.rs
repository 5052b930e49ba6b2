//! Applications, endpoints, event types and their conflicts.

use std::sync::Arc;

use watchfire_domain::id::{ApplicationId, EndpointId, EventType, Ksuid, OrganizationId};

use super::world::{World, at, name};
use crate::{
    AppKey, Application, ApplicationFilter, ApplicationRef, ApplyError, Change, Conflict,
    EndpointRef, EventTypeRecord, EventTypeSettings, Order, Range, Remembered, Store,
    StoredApplication, StoredEndpoint,
};

pub(super) async fn conflict(world: &World, changes: Vec<Change>) -> Conflict {
    match world.store.apply(changes).await {
        Err(ApplyError::Conflict(conflict)) => conflict,
        other => panic!("expected a conflict, got {other:?}"),
    }
}

pub(super) fn create(world: &World, application: &Application) -> Change {
    Change::CreateApplication {
        org: world.org.clone(),
        application: application.clone(),
    }
}

pub(super) async fn application(world: &World, id: ApplicationId) -> Option<StoredApplication> {
    let found = world
        .store
        .application(&world.org, &ApplicationRef::Id(id))
        .await;
    found.expect("read it")
}

pub(super) async fn endpoint(world: &World, id: EndpointId) -> Option<StoredEndpoint> {
    let found = world.store.endpoint(world.app, &EndpointRef::Id(id)).await;
    found.expect("read it")
}

pub async fn an_application_is_found_by_each_of_its_names(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let mut new = world.application(Some("acme"));
    new.settings.throttle_rate = Some(5);
    new.settings.metadata.insert("k".to_owned(), "v".to_owned());
    new.settings.contract = Some("dfend".to_owned());
    new.settings
        .instance
        .insert("X-Host".to_owned(), "a".to_owned());
    world
        .store
        .apply(vec![create(&world, &new)])
        .await
        .expect("apply");
    let by_id = application(&world, new.id).await.expect("it exists");
    assert_eq!(by_id.application, new);
    assert_eq!(by_id.org, world.org);
    let uid = ApplicationRef::Uid(name("acme"));
    let named = world
        .store
        .application(&world.org, &uid)
        .await
        .expect("read it");
    assert_eq!(named.as_ref(), Some(&by_id));
    let keyed = world
        .store
        .application_by_key(by_id.key)
        .await
        .expect("read it");
    assert_eq!(keyed, Some(by_id));
    let unknown = world.store.application_by_key(AppKey(987_654)).await;
    assert_eq!(unknown.expect("read it"), None);
}

pub async fn organizations_do_not_see_each_other(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let other: OrganizationId = name("org_two");
    let new = world.application(Some("acme"));
    world
        .store
        .apply(vec![create(&world, &new)])
        .await
        .expect("apply");
    for reference in [
        ApplicationRef::Id(new.id),
        ApplicationRef::Uid(name("acme")),
    ] {
        let found = world.store.application(&other, &reference).await;
        assert_eq!(found.expect("read it"), None);
    }
    let listed = world
        .store
        .applications(
            &other,
            &ApplicationFilter::default(),
            Range::from_start(Order::Ascending, 9),
        )
        .await;
    assert_eq!(listed.expect("read them"), []);
    let same_uid = Change::CreateApplication {
        org: other.clone(),
        application: world.application(Some("acme")),
    };
    world
        .store
        .apply(vec![same_uid])
        .await
        .expect("a uid belongs to its organization");
    let event_type = event_type("a.b");
    world
        .store
        .apply(vec![put(&world, &event_type)])
        .await
        .expect("apply");
    let found = world.store.event_type(&other, &event_type.name).await;
    assert_eq!(found.expect("read it"), None);
}

pub async fn a_uid_is_unique_among_the_living(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let first = world.application(Some("acme"));
    world
        .store
        .apply(vec![create(&world, &first)])
        .await
        .expect("apply");
    let second = create(&world, &world.application(Some("acme")));
    let refused = conflict(&world, vec![second.clone()]).await;
    assert_eq!(refused, Conflict::ApplicationUid);
    let key = application(&world, first.id).await.expect("it exists").key;
    let delete = Change::DeleteApplication { key, now: at(1) };
    world
        .store
        .apply(vec![delete, second])
        .await
        .expect("the uid is free at once");
    assert_eq!(application(&world, first.id).await, None);
}

pub async fn changes_are_applied_whole_or_not_at_all(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let (first, second) = (world.application(Some("a")), world.application(Some("a")));
    let changes = vec![create(&world, &first), create(&world, &second)];
    assert_eq!(conflict(&world, changes).await, Conflict::ApplicationUid);
    assert_eq!(application(&world, first.id).await, None);
    world
        .store
        .apply(vec![create(&world, &first)])
        .await
        .expect("apply");
}

pub async fn an_update_needs_the_revision_that_was_read(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let stored = application(&world, world.app_id).await.expect("it exists");
    let mut changed = stored.application.clone();
    changed.settings.name = String::from("other");
    changed.uid = Some(name("other"));
    changed.updated_at = at(9);
    let update = |key, revision| Change::UpdateApplication {
        key,
        revision,
        application: changed.clone(),
    };
    world
        .store
        .apply(vec![update(stored.key, stored.revision)])
        .await
        .expect("apply");
    let now = application(&world, world.app_id).await.expect("it exists");
    assert_eq!(now.application, changed);
    assert_ne!(now.revision, stored.revision);
    let late = update(stored.key, stored.revision);
    assert_eq!(conflict(&world, vec![late]).await, Conflict::Changed);
    let nobody = update(AppKey(987_654), 1);
    assert_eq!(conflict(&world, vec![nobody]).await, Conflict::Missing);
}

pub async fn a_deleted_application_is_gone_with_its_endpoints(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let delete = Change::DeleteApplication {
        key: world.app,
        now: at(1),
    };
    world
        .store
        .apply(vec![delete.clone()])
        .await
        .expect("apply");
    assert_eq!(application(&world, world.app_id).await, None);
    let keyed = world.store.application_by_key(world.app).await;
    assert_eq!(keyed.expect("read it"), None);
    let endpoints = world.store.endpoints_of(world.app).await;
    assert_eq!(endpoints.expect("read them"), []);
    assert_eq!(conflict(&world, vec![delete]).await, Conflict::Missing);
    let late = Change::CreateEndpoint {
        application: world.app_id,
        endpoint: world.endpoint(None),
    };
    assert_eq!(conflict(&world, vec![late]).await, Conflict::Missing);
}

pub async fn applications_are_listed_both_ways(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let mut ids = vec![world.app_id];
    for _ in 0..5 {
        ids.push(world.another_application(0).await.app_id);
    }
    ids.sort();
    let list = async |range| {
        let all = ApplicationFilter::default();
        let listed = world.store.applications(&world.org, &all, range).await;
        let listed = listed.expect("read them").into_iter();
        listed
            .map(|stored| stored.application.id)
            .collect::<Vec<_>>()
    };
    check_pages(&ids, list).await;
}

/// Reads a list of six in every way.
pub(super) async fn check_pages<C: Copy + Ord + std::fmt::Debug>(
    sorted: &[C],
    list: impl AsyncFn(Range<C>) -> Vec<C>,
) {
    let range = |after, before, order, limit| Range {
        after,
        before,
        order,
        limit,
    };
    let (up, down) = (Order::Ascending, Order::Descending);
    let reversed: Vec<C> = sorted.iter().rev().copied().collect();
    assert_eq!(list(range(None, None, up, 99)).await, sorted);
    assert_eq!(list(range(None, None, down, 99)).await, reversed);
    assert_eq!(list(range(None, None, up, 2)).await, sorted[..2]);
    assert_eq!(
        list(range(Some(sorted[1]), None, up, 2)).await,
        sorted[2..4]
    );
    assert_eq!(
        list(range(None, Some(sorted[3]), down, 2)).await,
        reversed[3..5]
    );
    assert_eq!(
        list(range(Some(sorted[0]), Some(sorted[4]), up, 99)).await,
        sorted[1..4]
    );
    assert_eq!(list(range(Some(sorted[5]), None, up, 99)).await, []);
}

fn event_type(text: &str) -> EventTypeRecord {
    EventTypeRecord {
        name: name(text),
        created_at: at(0),
        updated_at: at(0),
        archived: false,
        settings: EventTypeSettings {
            description: "something".to_owned(),
            deprecated: true,
            feature_flag: Some("beta".to_owned()),
            group_name: Some("threat".to_owned()),
            schemas: Some(serde_json::json!({"1": {"type": "object"}})),
            contract: Some("dfend".to_owned()),
            dropped: false,
        },
    }
}

fn put(world: &World, event_type: &EventTypeRecord) -> Change {
    Change::PutEventType {
        org: world.org.clone(),
        event_type: event_type.clone(),
    }
}

async fn found(world: &World, event_type: &EventTypeRecord) -> Option<EventTypeRecord> {
    let found = world.store.event_type(&world.org, &event_type.name).await;
    found.expect("read it")
}

pub async fn an_event_type_is_created_once_and_revived(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let mut record = event_type("threat.created");
    let create = |event_type: &EventTypeRecord| Change::CreateEventType {
        org: world.org.clone(),
        event_type: event_type.clone(),
    };
    world
        .store
        .apply(vec![create(&record)])
        .await
        .expect("apply");
    assert_eq!(found(&world, &record).await, Some(record.clone()));
    let refused = conflict(&world, vec![create(&record)]).await;
    assert_eq!(refused, Conflict::EventTypeExists);
    record.archived = true;
    world
        .store
        .apply(vec![put(&world, &record)])
        .await
        .expect("archive it");
    assert_eq!(found(&world, &record).await, Some(record.clone()));
    record.archived = false;
    record.settings = EventTypeSettings::default();
    record.created_at = at(5);
    world
        .store
        .apply(vec![create(&record)])
        .await
        .expect("revive it");
    assert_eq!(found(&world, &record).await, Some(record));
}

pub async fn a_deleted_event_type_is_gone(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let record = event_type("threat.created");
    let delete = Change::DeleteEventType {
        org: world.org.clone(),
        name: record.name.clone(),
    };
    assert_eq!(
        conflict(&world, vec![delete.clone()]).await,
        Conflict::Missing
    );
    world
        .store
        .apply(vec![put(&world, &record), delete])
        .await
        .expect("apply");
    assert_eq!(found(&world, &record).await, None);
}

pub async fn event_types_are_listed_by_name(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let names = ["a", "a.b", "b", "c", "d", "e"];
    for (n, text) in names.iter().enumerate() {
        let mut record = event_type(text);
        record.archived = n == 2;
        world
            .store
            .apply(vec![put(&world, &record)])
            .await
            .expect("apply");
    }
    let list = async |archived, range: Range<EventType>| {
        let listed = world.store.event_types(&world.org, archived, range).await;
        let listed = listed.expect("read them").into_iter();
        listed
            .map(|record| record.name.to_string())
            .collect::<Vec<_>>()
    };
    let all = Range::from_start(Order::Ascending, 99);
    assert_eq!(list(true, all.clone()).await, names);
    assert_eq!(list(false, all).await, ["a", "a.b", "c", "d", "e"]);
    let down = Range {
        after: Some(name("a")),
        before: Some(name("d")),
        order: Order::Descending,
        limit: 2,
    };
    assert_eq!(list(false, down).await, ["c", "a.b"]);
}

pub async fn an_answer_is_remembered_with_the_changes(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let answer = |text: &str, expires| Remembered {
        key: [4; 32],
        request: [5; 32],
        answer: text.as_bytes().to_vec(),
        expires_at: at(expires),
    };
    let remember = |answer: &Remembered, now| Change::Remember {
        answer: answer.clone(),
        now: at(now),
    };
    let first = answer("first", 60);
    world
        .store
        .apply(vec![remember(&first, 0)])
        .await
        .expect("apply");
    let new = world.application(None);
    let second = answer("second", 120);
    let changes = vec![create(&world, &new), remember(&second, 59)];
    assert_eq!(conflict(&world, changes).await, Conflict::Repeated(first));
    assert_eq!(
        application(&world, new.id).await,
        None,
        "nothing was applied"
    );
    world
        .store
        .apply(vec![remember(&second, 60)])
        .await
        .expect("the first has expired");
    let remembered = world.store.remembered([4; 32], at(61)).await;
    assert_eq!(remembered.expect("read it"), Some(second));
}

pub async fn an_id_nobody_has_finds_nothing(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    assert_eq!(
        application(&world, ApplicationId::from_ksuid(Ksuid::MIN)).await,
        None
    );
    assert_eq!(
        endpoint(&world, EndpointId::from_ksuid(Ksuid::MAX)).await,
        None
    );
}

pub async fn contracts_in_use_are_those_of_live_applications(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let mut named = world.application(None);
    named.settings.contract = Some("dfend".to_owned());
    let mut also = world.application(None);
    also.settings.contract = Some("dfend".to_owned());
    let mut gone = world.application(None);
    gone.settings.contract = Some("defguard".to_owned());
    let all = [&named, &also, &gone].map(|application| create(&world, application));
    world.store.apply(all.to_vec()).await.expect("apply");
    let key = application(&world, gone.id).await.expect("it exists").key;
    let delete = Change::DeleteApplication { key, now: at(1) };
    world.store.apply(vec![delete]).await.expect("apply");
    let used = world.store.contracts_in_use().await.expect("read them");
    let org = world.org.clone();
    assert_eq!(used, [(org.clone(), None), (org, Some("dfend".to_owned()))]);
}
