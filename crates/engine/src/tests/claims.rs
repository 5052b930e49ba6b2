//! Claimed deliveries that wait in their lane, in simulated time.

use std::collections::BTreeSet;
use std::time::Duration;

use watchfire_domain::limit;

use super::harness::{Behavior, Harness};

/// So many that the last ones would wait in the lane for longer than a claim lasts.
const MESSAGES: usize = 60;
const TAKES: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn what_waits_longer_than_its_claim_lasts_is_sent_once() {
    let harness = Harness::start().await;
    let app = harness.application().await;
    harness.endpoint(app, "hook", &[]).await;
    harness.always("hook", Behavior::Slow(TAKES));
    let later = harness.now() + Duration::from_hours(1);
    let mut seqs = Vec::new();
    for _ in 0..MESSAGES {
        seqs.push(harness.post_at(app, later).await);
    }
    for seq in seqs {
        harness.until_settled(app, seq).await;
    }
    let sent = harness.sent_to("hook");
    let took = sent[MESSAGES - 1].at.since(sent[0].at);
    assert!(
        took > limit::LEASE,
        "they were claimed for longer: {took:?}"
    );
    let distinct: BTreeSet<_> = sent.iter().map(|sent| sent.number).collect();
    assert_eq!((sent.len(), distinct.len()), (MESSAGES, MESSAGES));
}
