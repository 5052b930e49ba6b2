//! What people look at: deliveries across an application, records, and who matched.

use std::sync::Arc;

use watchfire_domain::filter::Mismatch;
use watchfire_store::{
    AppKey, DeliveryStatus, MessageFilter, MessageRef, Order, OwedReason, Owner, Range,
};

use super::harness::{Behavior, Harness};
use crate::Snapshot;
use crate::service::deliveries::{self, DeliveryQuery};
use crate::service::matching::Settings;
use crate::service::{activity, matching, messages, records};

async fn snapshot(harness: &Harness, app: AppKey) -> Arc<Snapshot> {
    let snapshot = harness.engine.application_by_key(app).await;
    snapshot.expect("read").expect("it is there")
}

#[tokio::test(start_paused = true)]
async fn a_search_goes_on_where_it_ended_and_names_endpoints() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    harness.endpoint(app, "fine", &[]).await;
    harness.endpoint(app, "broken", &[]).await;
    harness.always("broken", Behavior::Status(500));
    for _ in 0..3 {
        let seq = harness.post(app, "threat.created", None).await;
        harness.until_settled(app, seq).await;
    }
    let app = snapshot(&harness, app).await;
    let failed = DeliveryQuery {
        status: Some(DeliveryStatus::Failed),
        ..DeliveryQuery::default()
    };
    let (mut from, mut pages, mut found) = (None, 0, Vec::new());
    loop {
        let page = deliveries::find(&harness.engine, &app, failed.clone(), (from, 2)).await;
        let page = page.expect("found");
        found.extend(page.found);
        pages += 1;
        assert_eq!(page.next.is_some(), page.searched_to.is_some());
        from = page
            .next
            .map(|next| next.to_string().parse().expect("a place"));
        if from.is_none() {
            break;
        }
    }
    assert_eq!((found.len(), pages), (3, 2));
    let broken = app.endpoints[1].stored.endpoint.identity.id;
    assert!(found.iter().all(|found| found.endpoint == broken));
}

#[tokio::test(start_paused = true)]
async fn a_record_says_what_waits_and_behind_what() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    harness.endpoint(app, "broken", &[]).await;
    harness.always("broken", Behavior::Status(500));
    let first = harness.post(app, "threat.created", Some("r1")).await;
    harness.post(app, "threat.closed", Some("r1")).await;
    harness.post(app, "threat.created", Some("r2")).await;
    harness
        .until(async || {
            let views = harness.engine.store().deliveries_of(app, first).await;
            views.expect("read")[0].owed.is_some()
        })
        .await;
    let app = snapshot(&harness, app).await;
    let range = || Range::from_start(Order::Ascending, 10);
    let record = records::read(&harness.engine, &app, "r1", range()).await;
    let record = record.expect("read");
    assert_eq!(record.messages.len(), 2);
    assert_eq!(record.messages[0].stored.seq, first);
    let (endpoint, head) = record.heads.iter().next().expect("it owes something");
    assert_eq!(*endpoint, app.endpoints[0].stored.endpoint.identity.id);
    assert_eq!((head.seq, head.waiting), (first, 1));
    let second = &record.messages[1].deliveries[endpoint];
    assert_eq!(second.owed.map(|owed| owed.reason), Some(OwedReason::Turn));
    let nobody = records::read(&harness.engine, &app, "r3", range()).await;
    assert!(nobody.expect("read").messages.is_empty());
    let owing = activity::owing(&harness.engine, &Owner::Application(app.stored.key)).await;
    let oldest = owing.expect("read").oldest.expect("something is owed");
    assert_eq!(oldest.endpoint, app.endpoints[0].stored.key);
}

#[tokio::test(start_paused = true)]
async fn who_matched_and_why_the_others_did_not_is_told() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    harness.endpoint(app, "all", &[]).await;
    harness.endpoint(app, "logins", &["login.failed"]).await;
    let seq = harness.post(app, "threat.created", None).await;
    harness.until_settled(app, seq).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    harness.endpoint(app, "late", &[]).await;
    let app = snapshot(&harness, app).await;
    let range = Range::from_start(Order::Ascending, 1);
    let listed = messages::list(&harness.engine, &app, &MessageFilter::default(), range).await;
    let id = listed.expect("read")[0].message.id;
    let stored = messages::find(&harness.engine, &app, &MessageRef::Id(id)).await;
    let verdicts = matching::of(&app, &stored.expect("found"));
    let said: Vec<_> = verdicts
        .iter()
        .map(|verdict| (verdict.matched, verdict.today, verdict.settings))
        .collect();
    assert_eq!(
        said,
        [
            (true, Ok(()), Settings::Same),
            (false, Err(Mismatch::EventType), Settings::Same),
            (false, Ok(()), Settings::Younger),
        ]
    );
}
