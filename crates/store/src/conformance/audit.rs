//! The audit log: written with the change, or not at all.

use std::sync::Arc;
use std::time::Duration;

use watchfire_domain::audit::{Action, Actor, Author};
use watchfire_domain::id::{ApplicationId, AuditId};

use super::world::{World, at, name};
use crate::{
    ApplyError, AuditEntry, AuditFilter, Change, Conflict, EndpointKey, Order, PruneOrder, Range,
    Retention, Retentions, Store,
};

fn entry(world: &World, second: u64, object: &str) -> AuditEntry {
    AuditEntry {
        id: AuditId::new(at(second), &*world.chance),
        org: world.org.clone(),
        at: at(second),
        author: Author {
            actor: Actor::Token {
                subject: "org_one".to_owned(),
            },
            address: Some("2001:db8::7".parse().expect("an address")),
        },
        action: Action::EndpointUpdated,
        application: Some(world.app_id),
        object: object.to_owned(),
        before: Some(r#"{"url":"https://a.example"}"#.to_owned()),
        after: Some(r#"{"url":"https://b.example"}"#.to_owned()),
    }
}

async fn write(world: &World, entry: &AuditEntry) {
    let change = Change::Audit(Box::new(entry.clone()));
    world.store.apply(vec![change]).await.expect("apply");
}

async fn list(world: &World, filter: &AuditFilter, order: Order) -> Vec<AuditEntry> {
    let range = Range::from_start(order, 100);
    let read = world.store.audit(&world.org, filter, range).await;
    read.expect("read it")
}

pub async fn a_line_is_kept_as_it_was_given(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let full = entry(&world, 1, "ep_1");
    let bare = AuditEntry {
        author: Author::default(),
        application: None,
        before: None,
        after: None,
        ..entry(&world, 2, "threat.created")
    };
    for entry in [&full, &bare] {
        write(&world, entry).await;
    }
    let all = AuditFilter::default();
    assert_eq!(list(&world, &all, Order::Descending).await, [bare, full]);
}

pub async fn a_line_of_a_change_that_is_refused_is_not_kept(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let changes = vec![
        Change::Audit(Box::new(entry(&world, 1, "ep_1"))),
        Change::DeleteEndpoint {
            key: EndpointKey(404),
            now: at(1),
        },
    ];
    let refused = world.store.apply(changes).await;
    assert!(matches!(
        refused,
        Err(ApplyError::Conflict(Conflict::Missing))
    ));
    let all = AuditFilter::default();
    assert!(list(&world, &all, Order::Descending).await.is_empty());
}

pub async fn lines_are_listed_by_application_and_object(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let elsewhere = ApplicationId::new(at(0), &*world.chance);
    let (a, b) = (entry(&world, 1, "ep_1"), entry(&world, 2, "ep_2"));
    let c = AuditEntry {
        application: Some(elsewhere),
        ..entry(&world, 3, "ep_1")
    };
    let foreign = AuditEntry {
        org: name("org_two"),
        ..entry(&world, 4, "ep_1")
    };
    for entry in [&a, &b, &c, &foreign] {
        write(&world, entry).await;
    }
    let filter = |application, object: Option<&str>| AuditFilter {
        application,
        object: object.map(str::to_owned),
    };
    let (here, one) = (Some(world.app_id), Some("ep_1"));
    for (application, object, expected) in [
        (None, None, vec![&a, &b, &c]),
        (here, None, vec![&a, &b]),
        (None, one, vec![&a, &c]),
        (here, one, vec![&a]),
        (here, Some("ep_3"), vec![]),
    ] {
        let filter = filter(application, object);
        let listed = list(&world, &filter, Order::Ascending).await;
        assert_eq!(listed.iter().collect::<Vec<_>>(), expected, "{filter:?}");
    }
}

pub async fn the_log_is_listed_both_ways(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let mut ids = Vec::new();
    for second in 0..5 {
        let entry = entry(&world, second, "ep_1");
        write(&world, &entry).await;
        ids.push(entry.id);
    }
    let page = |after, before, order| Range {
        after,
        before,
        order,
        limit: 2,
    };
    for (range, expected) in [
        (page(None, None, Order::Descending), vec![ids[4], ids[3]]),
        (
            page(None, Some(ids[3]), Order::Descending),
            vec![ids[2], ids[1]],
        ),
        (page(Some(ids[3]), None, Order::Ascending), vec![ids[4]]),
    ] {
        let filter = AuditFilter::default();
        let read = world.store.audit(&world.org, &filter, range).await;
        let listed: Vec<_> = read.expect("read it").iter().map(|line| line.id).collect();
        assert_eq!(listed, expected);
    }
}

pub async fn old_lines_of_the_log_go(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let (old, young) = (entry(&world, 0, "ep_1"), entry(&world, 10, "ep_1"));
    for entry in [&old, &young] {
        write(&world, entry).await;
    }
    let order = PruneOrder {
        now: at(5) + Duration::from_hours(30 * 24),
        retentions: Arc::new(Retentions {
            audit: Duration::from_hours(30 * 24),
            ..Retentions::for_all(Retention {
                payloads: Duration::from_secs(1),
                messages: Duration::from_secs(1),
            })
        }),
        rows_max: 100,
    };
    world.store.prune(order).await.expect("prune");
    let all = AuditFilter::default();
    assert_eq!(list(&world, &all, Order::Descending).await, [young]);
}
