//! What an attempt sent, looked at later.

use std::time::Duration;

use watchfire_domain::attempt::{Attempt, RecipeNumber};
use watchfire_domain::endpoint::Method;
use watchfire_domain::limit;
use watchfire_store::{AppKey, Change, EndpointKey, EndpointRef, MessageRef, Seq};

use super::harness::{Behavior, Harness, PAYLOAD};
use crate::service::requests::{self, Made, Shown, SignatureVerdict, Unshown};

/// Posts a message, waits for its end, and returns its last attempt.
async fn attempted(harness: &Harness, app: AppKey, endpoint: EndpointKey) -> (Seq, Attempt) {
    // Attempts of one millisecond are in no order of time.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let seq = harness.post(app, "threat.created", None).await;
    harness.until_settled(app, seq).await;
    let attempts = harness.attempts(endpoint).await;
    (seq, attempts.last().expect("one was made").clone())
}

fn recipe(attempt: &Attempt) -> RecipeNumber {
    attempt.sent.as_ref().expect("a request was made").recipe
}

async fn shown(
    harness: &Harness,
    (app, endpoint): (AppKey, EndpointKey),
    (seq, attempt): &(Seq, Attempt),
) -> Result<Shown, Unshown> {
    let mut stored = harness.store.messages_at(app, vec![*seq]).await;
    let id = stored.as_mut().expect("read")[0].message.id;
    let stored = harness.store.message(app, &MessageRef::Id(id)).await;
    let stored = stored.expect("read").expect("it is there");
    let app = harness.snapshot(app).await;
    let shown = requests::show(&harness.engine, (&app, endpoint), &stored, attempt).await;
    shown.expect("read")
}

#[tokio::test(start_paused = true)]
async fn requests_made_alike_share_a_recipe() {
    let harness = Harness::start_leaping().await;
    let app = harness.application_of("dfend").await;
    let endpoint = harness.endpoint(app, "hook", &[]).await;
    let mut numbers = Vec::new();
    let mut note = async |harness: &Harness| {
        let (_, attempt) = attempted(harness, app, endpoint).await;
        numbers.push(recipe(&attempt).0);
    };
    note(&harness).await;
    note(&harness).await;
    let method = async |method| {
        let change = harness.change(app, endpoint, |settings| settings.method = method);
        change.await;
    };
    method(Some(Method::Put)).await;
    note(&harness).await;
    // What does not shape requests makes no recipe.
    let describe = harness.change(app, endpoint, |settings| settings.description = "b".into());
    describe.await;
    note(&harness).await;
    method(None).await;
    note(&harness).await;
    // Long after what the engine remembers, and after a restart.
    tokio::time::sleep(limit::RECIPE_TOLD * 3).await;
    note(&harness).await;
    let harness = harness.restart().await;
    note(&harness).await;
    assert_eq!(numbers, [1, 1, 2, 2, 1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_used_keeps_its_recipe_for_good() {
    let harness = Harness::start_leaping().await;
    let app = harness.application().await;
    let endpoint = harness.endpoint(app, "hook", &[]).await;
    let first = attempted(&harness, app, endpoint).await;
    for _ in 0..2 {
        tokio::time::sleep(limit::RECIPE_LOOKED_AT + Duration::from_secs(1)).await;
        attempted(&harness, app, endpoint).await;
    }
    let shown = shown(&harness, (app, endpoint), &first)
        .await
        .expect("kept");
    assert_eq!(shown.made, Made::AsThen);
    assert_eq!(shown.body.as_deref(), Some(PAYLOAD.as_bytes()));
}

#[tokio::test(start_paused = true)]
async fn a_request_outlives_its_endpoint() {
    let harness = Harness::start_leaping().await;
    let app = harness.application().await;
    let endpoint = harness.endpoint(app, "hook", &[]).await;
    let found = attempted(&harness, app, endpoint).await;
    let place = (app, endpoint);
    let before = shown(&harness, place, &found).await.expect("shown");
    let (key, now) = (endpoint, harness.now());
    let delete = Change::DeleteEndpoint { key, now };
    harness.engine.apply(vec![delete]).await.expect("deleted");
    let after = shown(&harness, place, &found).await.expect("shown");
    assert_eq!(after.made, Made::AsThen);
    assert_eq!(after.headers, before.headers);
    let signature = after.header("webhook-signature");
    let sent = found.1.sent.as_ref().map(|sent| sent.signature.as_str());
    assert_eq!(signature, sent);
    assert!(signature.is_some_and(|text| text.starts_with("v1,")));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_from_before_recipes_is_shown_as_of_today() {
    let harness = Harness::start_leaping().await;
    let app = harness.application().await;
    let endpoint = harness.endpoint(app, "hook", &[]).await;
    let seqs = harness.store_failed(app, endpoint, 1).await;
    let attempt = harness.attempts(endpoint).await.remove(0);
    assert_eq!(attempt.sent, None);
    let found = (seqs[0], attempt);
    let place = (app, endpoint);
    let made =
        async |harness: &Harness| shown(harness, place, &found).await.map(|shown| shown.made);
    let changed_since = false;
    assert_eq!(made(&harness).await, Ok(Made::AsToday { changed_since }));
    let (key, now) = (endpoint, harness.now());
    let delete = Change::DeleteEndpoint { key, now };
    harness.engine.apply(vec![delete]).await.expect("deleted");
    assert_eq!(made(&harness).await, Err(Unshown::EndpointDeleted));
}

#[tokio::test(start_paused = true)]
async fn what_was_not_answered_was_sent_and_what_was_skipped_was_not() {
    let harness = Harness::start_leaping().await;
    let app = harness.application().await;
    let endpoint = harness.endpoint(app, "hook", &[]).await;
    let place = (app, endpoint);
    harness.script("hook", [Behavior::Refuses]);
    let seq = harness.post(app, "threat.created", None).await;
    harness.until_settled(app, seq).await;
    let refused = (seq, harness.attempts(endpoint).await.remove(0));
    assert!(shown(&harness, place, &refused).await.is_ok());
    harness.switch_off(app, endpoint).await;
    let seqs = harness.store_old(app, &[endpoint], 1).await;
    harness
        .engine
        .resend(app, endpoint, seqs[0])
        .await
        .expect("asked for");
    harness.until_settled(app, seqs[0]).await;
    let attempts = harness.attempts(endpoint).await;
    let skipped = (seqs[0], attempts.last().expect("noted").clone());
    assert_eq!(skipped.1.sent, None);
    let missing = shown(&harness, place, &skipped).await.map(|_| ());
    assert_eq!(missing, Err(Unshown::NotMade));
}

#[tokio::test(start_paused = true)]
async fn without_its_payload_a_request_is_shown_without_its_body() {
    let harness = Harness::start_leaping().await;
    let app = harness.application_of("dfend").await;
    let endpoint = harness.endpoint(app, "hook", &[]).await;
    let place = (app, endpoint);
    let found = attempted(&harness, app, endpoint).await;
    let before = shown(&harness, place, &found).await.expect("shown");
    assert!(before.body.is_some());
    let expunged = harness.store.expunge_payloads(app, vec![found.0]).await;
    expunged.expect("removed");
    let after = shown(&harness, place, &found).await.expect("shown");
    assert_eq!(after.body, None);
    assert_eq!(after.headers, before.headers);
    assert_eq!(after.signed_prefix(), before.signed_prefix());
    let judge = async |signature: &str| {
        let snapshot = harness.snapshot(app).await;
        let id = snapshot
            .endpoint(endpoint)
            .expect("there")
            .stored
            .endpoint
            .identity
            .id;
        let reference = EndpointRef::Id(id);
        requests::judge(&harness.engine, &snapshot, &reference, &after, signature).await
    };
    let sent = after.header("webhook-signature").expect("it is signed");
    let verdict = judge(sent).await.expect("judged");
    assert_eq!(verdict, SignatureVerdict::Recorded);
    let verdict = judge("v1,AAAA").await.expect("judged");
    assert_eq!(verdict, SignatureVerdict::Wrong);
}
