//! Recover: everything that failed at an endpoint since a time is delivered again.

use std::time::Duration;

use watchfire_domain::id::{Ksuid, MessageId, TaskId};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{AttemptFilter, DeliveryStatus, EndpointRef, Order, Range, Seq};

use super::check::Faults;
use super::once::done_once;
use super::{Error, Repeatable, Result, attempts};
use crate::{Engine, Snapshot};

/// Messages looked for at a time.
const PAGE: usize = 1_000;
/// Deliveries made in one transaction.
const TOGETHER: usize = 500;
/// Clocks of callers may differ from ours by this much.
const SLACK: Duration = Duration::from_mins(5);

/// Which failures to recover from.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub since: Timestamp,
    /// Now, if absent.
    pub until: Option<Timestamp>,
}

/// What was set going.
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    pub id: TaskId,
    pub at: Timestamp,
    /// Deliveries that are owed again.
    pub messages: usize,
}

/// Makes a new delivery of every message of the span that failed at the endpoint: it was exhausted
/// or skipped, and its payload is still there.
///
/// When it returns, all of them are owed: nothing is left to a job that a crash could end. If it
/// is cut short, asking again completes it, and no delivery is made twice.
///
/// # Errors
///
/// [`Error::LimitReached`] if there are more than [`limit::RECOVER_MESSAGES_MAX`]; none is made.
pub async fn recover(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    span: Span,
    repeatable: Option<Repeatable<'_, Recovery>>,
) -> Result<Recovery> {
    let now = engine.clock().now();
    check(span, now)?;
    let endpoint = attempts::endpoint_key(engine, app, reference).await?;
    done_once(engine, repeatable, async {
        let failed = failed(engine, app, reference, span).await?;
        for together in failed.chunks(TOGETHER) {
            engine
                .resend_all(app.stored.key, endpoint, together)
                .await?;
        }
        Ok(Recovery {
            id: TaskId::new(now, engine.entropy()),
            at: now,
            messages: failed.len(),
        })
    })
    .await
}

fn check(span: Span, now: Timestamp) -> Result<()> {
    let mut faults = Faults::default();
    if now.since(span.since) > limit::RECOVER_SPAN + SLACK {
        let days = limit::RECOVER_SPAN.as_secs() / (24 * 60 * 60);
        faults.add(
            "since",
            format_args!("must not be more than {days} days ago"),
        );
    }
    if span.until.is_some_and(|until| until < span.since) {
        faults.add("until", "must not be before `since`");
    }
    faults.finish()
}

/// Messages of the span that failed, the oldest first.
async fn failed(
    engine: &Engine,
    app: &Snapshot,
    reference: &EndpointRef,
    span: Span,
) -> Result<Vec<Seq>> {
    let filter = AttemptFilter {
        status: Some(DeliveryStatus::Failed),
        without_content: true,
        ..AttemptFilter::default()
    };
    let first_at = |at| MessageId::from_ksuid(Ksuid::first_at(at));
    let mut range = Range {
        after: Some(first_at(span.since)),
        before: span.until.map(first_at),
        order: Order::Ascending,
        limit: PAGE,
    };
    let mut failed = Vec::new();
    loop {
        let page = attempts::messages_to(engine, app, reference, &filter, range.clone()).await?;
        let last = page.last().map(|attempted| attempted.stored.message.id);
        let full = page.len() == PAGE;
        failed.extend(page.into_iter().map(|attempted| attempted.stored.seq));
        if failed.len() > limit::RECOVER_MESSAGES_MAX {
            return Err(Error::LimitReached {
                of: "messages to recover at once; recover a shorter span",
                max: limit::RECOVER_MESSAGES_MAX,
            });
        }
        if !full {
            return Ok(failed);
        }
        range.after = last;
    }
}
