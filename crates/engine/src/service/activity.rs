//! What happened, and what is owed: figures and charts.

use std::collections::BTreeMap;

use watchfire_domain::id::{EndpointId, EventType, MessageId};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    ActivityCounts, ActivityPoint, EndpointHour, EndpointKey, EventTypeHour, OwedNow, Owner, Step,
};

use super::Result;
use super::check::Faults;
use crate::{Engine, Snapshot};

/// What happened in a span, step by step.
#[derive(Clone, Debug)]
pub struct Chart {
    pub step: Step,
    /// One for each step of the span, also where nothing happened.
    pub points: Vec<ActivityPoint>,
    pub total: ActivityCounts,
}

/// What is owed, and where its oldest message is.
#[derive(Clone, Copy, Debug)]
pub struct Owing {
    pub now: OwedNow,
    pub oldest: Option<Oldest>,
}

/// The oldest message that is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oldest {
    pub message: MessageId,
    pub endpoint: EndpointKey,
    /// To 1/256 s, as its id says it.
    pub accepted_at: Timestamp,
}

/// The activity of the steps that begin within a span, at most
/// [`limit::ACTIVITY_POINTS_MAX`] of them.
pub async fn chart(
    engine: &Engine,
    of: &Owner,
    span: (Timestamp, Timestamp),
    step: Step,
) -> Result<Chart> {
    let first = step.begin_of(step.slot_of(span.0));
    let steps = span.1.since(first).as_secs() / step.seconds().unsigned_abs();
    let most = u64::try_from(limit::ACTIVITY_POINTS_MAX).unwrap_or(u64::MAX);
    if steps > most {
        let mut faults = Faults::default();
        faults.add("since", format_args!("the span has more than {most} steps"));
        return Err(faults.into_error());
    }
    let stored = engine.store().activity(of, (first, span.1), step).await?;
    Ok(dense(stored, (first, span.1), step))
}

/// Fills in the steps without activity.
fn dense(stored: Vec<ActivityPoint>, span: (Timestamp, Timestamp), step: Step) -> Chart {
    let mut total = ActivityCounts::default();
    let mut known = BTreeMap::new();
    for point in stored {
        total.merge(&point.counts);
        known.insert(step.slot_of(point.begins_at), point.counts);
    }
    let slots = step.slot_of(span.0)..;
    let points = slots
        .map(|slot| ActivityPoint {
            begins_at: step.begin_of(slot),
            counts: known.get(&slot).copied().unwrap_or_default(),
        })
        .take_while(|point| point.begins_at < span.1)
        .collect();
    Chart {
        step,
        points,
        total,
    }
}

/// What is owed now, and since when the oldest waits.
pub async fn owing(engine: &Engine, of: &Owner) -> Result<Owing> {
    let now = engine.store().owed_now(of).await?;
    let oldest = now.oldest.map(|(message, endpoint)| Oldest {
        message,
        endpoint,
        accepted_at: message.ksuid().created_at(),
    });
    Ok(Owing { now, oldest })
}

/// Settled deliveries of an application's endpoints by the hour, by endpoint.
pub async fn by_endpoint(
    engine: &Engine,
    app: &Snapshot,
    endpoints: Vec<EndpointKey>,
    span: (Timestamp, Timestamp),
) -> Result<BTreeMap<EndpointId, Vec<EndpointHour>>> {
    let store = engine.store();
    let hours = store
        .endpoint_hours(app.stored.key, endpoints, span)
        .await?;
    let mut by_endpoint: BTreeMap<EndpointId, Vec<EndpointHour>> = BTreeMap::new();
    for hour in hours {
        if let Some(endpoint) = app.endpoint(hour.endpoint) {
            let id = endpoint.stored.endpoint.identity.id;
            by_endpoint.entry(id).or_default().push(hour);
        }
    }
    Ok(by_endpoint)
}

/// Messages that an application accepted, by event type and hour.
pub async fn by_event_type(
    engine: &Engine,
    app: &Snapshot,
    span: (Timestamp, Timestamp),
) -> Result<BTreeMap<EventType, Vec<EventTypeHour>>> {
    let hours = engine
        .store()
        .event_type_hours(app.stored.key, span)
        .await?;
    let mut by_type: BTreeMap<EventType, Vec<EventTypeHour>> = BTreeMap::new();
    for hour in hours {
        by_type
            .entry(hour.event_type.clone())
            .or_default()
            .push(hour);
    }
    Ok(by_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_without_activity_stand_in_a_chart() {
        let at = |minutes| Step::Minute.begin_of(minutes);
        let counts = ActivityCounts {
            accepted: 3,
            ..ActivityCounts::default()
        };
        let point = ActivityPoint {
            begins_at: at(12),
            counts,
        };
        let chart = dense(vec![point], (at(10), at(14)), Step::Minute);
        let accepted = chart.points.iter().map(|point| point.counts.accepted);
        assert_eq!(accepted.collect::<Vec<_>>(), [0, 0, 3, 0]);
        assert_eq!(chart.total, counts);
        assert!(
            dense(Vec::new(), (at(10), at(10)), Step::Minute)
                .points
                .is_empty()
        );
    }
}
