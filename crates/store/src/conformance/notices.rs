//! Notices: written with their cause, told once, and one line for a storm.

use std::sync::Arc;
use std::time::Duration;

use watchfire_domain::id::{EndpointId, Ksuid, NoticeId, OrganizationId};
use watchfire_domain::notice::NoticeKind;

use super::world::{World, at, name};
use crate::{
    AttemptRecord, Change, InboxLine, InboxPlace, NewNotice, Order, PruneOrder, Range, Reading,
    Recorded, Retention, Retentions, Store, Write,
};

fn notice(world: &World, kind: NoticeKind, seconds: u64) -> NewNotice {
    NewNotice {
        id: NoticeId::new(at(seconds), world.chance.as_ref()),
        org: world.org.clone(),
        at: at(seconds),
        kind,
        data: format!(r#"{{"n":{seconds}}}"#),
        webhook: true,
        inbox: kind.stands_in_inbox().then(|| InboxPlace {
            application: world.app_id,
            endpoint: world.endpoints[0],
            endpoint_id: EndpointId::from_ksuid(Ksuid::MIN),
            mail_at: None,
        }),
    }
}

async fn tell(world: &World, notice: &NewNotice) {
    let change = Change::Tell(notice.clone());
    world.store.apply(vec![change]).await.expect("apply");
}

async fn untold(world: &World) -> Vec<NoticeId> {
    let untold = world.store.untold(100).await.expect("read them");
    untold.into_iter().map(|untold| untold.id).collect()
}

async fn inbox(world: &World, reading: Reading) -> Vec<InboxLine> {
    let range = Range::from_start(Order::Descending, 100);
    let lines = world.store.inbox(&world.org, reading, range).await;
    lines.expect("read it")
}

pub async fn a_notice_is_written_with_its_attempt(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    let new = notice(&world, NoticeKind::AttemptExhausted, 1);
    let record = AttemptRecord {
        notices: vec![new.clone()],
        ..world.fresh(endpoint, seq, world.exhausted())
    };
    let again = Write::Attempt(Arc::new(record.clone()));
    assert_eq!(world.record_attempt(at(1), record).await, Recorded::Done);
    // The caller repeats itself: the attempt is there, and nobody is told twice.
    world.record(at(1), vec![again]).await;
    let told = world.store.untold(100).await.expect("read them");
    assert_eq!(told.len(), 1);
    assert_eq!(
        (
            told[0].id,
            &told[0].org,
            told[0].at,
            told[0].kind,
            &told[0].data
        ),
        (new.id, &new.org, new.at, new.kind, &new.data)
    );
    assert_eq!(inbox(&world, Reading::All).await.len(), 1);
}

pub async fn a_late_result_tells_nobody(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    world
        .spill(at(0), world.owed(endpoint, seq, Some(at(0))))
        .await;
    let first = world.claim_one(endpoint, at(0)).await;
    world.claim_one(endpoint, at(600)).await;
    let late = AttemptRecord {
        notices: vec![notice(&world, NoticeKind::AttemptExhausted, 1)],
        ..world.leased(&first, world.exhausted())
    };
    assert_eq!(world.record_attempt(at(601), late).await, Recorded::Stale);
    assert!(untold(&world).await.is_empty());
    assert!(inbox(&world, Reading::All).await.is_empty());
}

pub async fn what_was_told_waits_no_longer(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let created = notice(&world, NoticeKind::EndpointCreated, 1);
    let deleted = notice(&world, NoticeKind::EndpointDeleted, 2);
    let quiet = NewNotice {
        webhook: false,
        ..notice(&world, NoticeKind::EndpointDisabled, 3)
    };
    for new in [&created, &deleted, &quiet] {
        tell(&world, new).await;
    }
    assert_eq!(untold(&world).await, [created.id, deleted.id]);
    for _ in 0..2 {
        world.store.told(vec![created.id]).await.expect("told");
        assert_eq!(untold(&world).await, [deleted.id]);
    }
    assert_eq!(inbox(&world, Reading::All).await.len(), 1);
}

pub async fn a_storm_makes_one_line_until_it_is_read(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let first = notice(&world, NoticeKind::AttemptExhausted, 1);
    tell(&world, &first).await;
    for seconds in 2..=50 {
        let more = notice(&world, NoticeKind::AttemptExhausted, seconds);
        tell(&world, &more).await;
    }
    let other = notice(&world, NoticeKind::EndpointDisabled, 51);
    tell(&world, &other).await;
    let lines = inbox(&world, Reading::Unread).await;
    assert_eq!(lines.len(), 2);
    assert_eq!((lines[0].id, lines[0].count), (other.id, 1));
    let line = &lines[1];
    assert_eq!((line.id, line.count), (first.id, 50));
    assert_eq!((line.first_at, line.last_at), (at(1), at(50)));
    assert_eq!(line.data, r#"{"n":50}"#);
    let read = world.store.mark_read(&world.org, first.id, at(60)).await;
    assert_eq!(read.expect("read").expect("there").read_at, Some(at(60)));
    let again = world.store.mark_read(&world.org, first.id, at(70)).await;
    assert_eq!(again.expect("read").expect("there").read_at, Some(at(60)));
    let next = notice(&world, NoticeKind::AttemptExhausted, 80);
    tell(&world, &next).await;
    let unread: Vec<_> = inbox(&world, Reading::Unread).await;
    let unread: Vec<_> = unread.iter().map(|line| (line.id, line.count)).collect();
    assert_eq!(unread, [(next.id, 1), (other.id, 1)]);
    assert_eq!(inbox(&world, Reading::All).await.len(), 3);
}

pub async fn an_inbox_belongs_to_one_organization(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let new = notice(&world, NoticeKind::EndpointDisabled, 1);
    tell(&world, &new).await;
    let other: OrganizationId = name("org_two");
    let range = Range::from_start(Order::Descending, 100);
    let lines = world.store.inbox(&other, Reading::All, range).await;
    assert!(lines.expect("read it").is_empty());
    let read = world.store.mark_read(&other, new.id, at(2)).await;
    assert_eq!(read.expect("read"), None);
    assert_eq!(inbox(&world, Reading::Unread).await.len(), 1);
}

pub async fn old_lines_go(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    tell(&world, &notice(&world, NoticeKind::EndpointDisabled, 1)).await;
    let prune = |seconds| PruneOrder {
        now: at(seconds),
        retentions: Arc::new(Retentions::for_all(Retention {
            payloads: Duration::from_secs(10),
            messages: Duration::from_secs(10),
        })),
        rows_max: 100,
    };
    world.store.prune(prune(11)).await.expect("pruned");
    assert_eq!(inbox(&world, Reading::All).await.len(), 1);
    world.store.prune(prune(12)).await.expect("pruned");
    assert!(inbox(&world, Reading::All).await.is_empty());
}
