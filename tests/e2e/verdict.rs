//! What receivers' ledgers say about a run: losses, repeats, and the order of records.

use std::collections::{BTreeMap, BTreeSet};

use watchfire_domain::limit;

use crate::harness::{Application, eventually};
use crate::load::{Endpoint, ORDERED_STREAMS, Receipt, Stream};

/// Each event became one message, however often it was posted and delivered.
pub(crate) fn judge_identity(endpoints: &[Endpoint]) {
    let mut messages = BTreeMap::new();
    for receipt in endpoints.iter().flat_map(Endpoint::receipts) {
        let event = (receipt.stream, receipt.place);
        let first = messages.entry(event).or_insert(receipt.message.clone());
        assert_eq!(
            *first, receipt.message,
            "two messages of one event: {event:?}"
        );
    }
}

/// What the requests to one endpoint were, by what they mean for the promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) endpoints: usize,
    pub(crate) requests: usize,
    /// About a record, made again in a later life although they had been accepted.
    pub(crate) keyed_repeats: usize,
    /// The same of those about no record.
    pub(crate) other_repeats: usize,
    /// Repeats in the same life: no death between the request and the record of its outcome
    /// excuses them.
    pub(crate) unexcused: usize,
    /// Repeats about a record that came when a later one had been sent.
    pub(crate) late_repeats: usize,
    /// About a record, before an earlier one was accepted.
    pub(crate) out_of_order: usize,
}

impl Verdict {
    pub(crate) fn of(receipts: &[Receipt]) -> Self {
        let mut streams = BTreeMap::<Stream, Vec<Receipt>>::new();
        for receipt in receipts {
            let stream = streams.entry(receipt.stream).or_default();
            stream.push(receipt.clone());
        }
        let mut verdict = Self {
            endpoints: 1,
            requests: receipts.len(),
            ..Self::default()
        };
        for (stream, receipts) in &streams {
            let repeats = verdict.judge_repeats(receipts);
            if stream.is_ordered() {
                verdict.keyed_repeats += repeats;
                verdict.judge_order(receipts);
            } else {
                verdict.other_repeats += repeats;
            }
        }
        verdict
    }

    fn judge_repeats(&mut self, receipts: &[Receipt]) -> usize {
        let mut accepted = BTreeMap::new();
        let mut repeats = BTreeSet::new();
        for receipt in receipts {
            if let Some(life) = accepted.get(&receipt.place) {
                if receipt.life > *life {
                    repeats.insert((receipt.place, receipt.life));
                } else {
                    self.unexcused += 1;
                }
            }
            if receipt.accepted {
                accepted.insert(receipt.place, receipt.life);
            }
        }
        repeats.len()
    }

    /// Places go on only when the last one was accepted.
    fn judge_order(&mut self, receipts: &[Receipt]) {
        let mut settled_below = 0;
        for receipt in receipts {
            if receipt.place > settled_below {
                self.out_of_order += 1;
            } else if receipt.place + 1 < settled_below {
                self.late_repeats += 1;
            } else if receipt.place == settled_below && receipt.accepted {
                settled_below += 1;
            }
        }
    }

    pub(crate) fn with(self, other: Self) -> Self {
        Self {
            endpoints: self.endpoints + other.endpoints,
            requests: self.requests + other.requests,
            keyed_repeats: self.keyed_repeats + other.keyed_repeats,
            other_repeats: self.other_repeats + other.other_repeats,
            unexcused: self.unexcused + other.unexcused,
            late_repeats: self.late_repeats + other.late_repeats,
            out_of_order: self.out_of_order + other.out_of_order,
        }
    }

    /// Only what was in flight at a fault may come twice: of records, one delivery each and endpoint.
    pub(crate) fn assert_few_repeats(self, faults: usize) {
        let keyed = faults * self.endpoints * ORDERED_STREAMS;
        assert!(self.keyed_repeats <= keyed, "{self:?}");
        let others = faults * limit::ATTEMPTS_IN_FLIGHT_MAX;
        assert!(self.other_repeats <= others, "{self:?}");
    }

    pub(crate) fn repeats(self) -> usize {
        self.keyed_repeats + self.other_repeats
    }
}

/// The history says of each message that it was delivered, once, and that nothing is owed.
pub(crate) async fn judge_history(
    app: &Application,
    endpoint: &str,
    accepted: &BTreeMap<Stream, u64>,
) {
    let messages: u64 = accepted.values().sum();
    let stats = eventually("every outcome is recorded", async || {
        let stats = app.stats_of(endpoint).await;
        (stats["success"] == messages).then_some(stats)
    })
    .await;
    assert_eq!(
        (&stats["pending"], &stats["fail"]),
        (&0.into(), &0.into()),
        "{stats}"
    );
    let mut delivered = BTreeMap::<String, usize>::new();
    for attempt in app.attempts_at(endpoint).await {
        if attempt["statusText"] == "success" {
            *delivered.entry(attempt["msgId"].to_string()).or_default() += 1;
        }
    }
    assert_eq!(u64::try_from(delivered.len()), Ok(messages));
    let twice: Vec<_> = delivered.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "settled twice: {twice:?}");
}
