//! What happens, as lines in the terminal.

use std::collections::HashMap;
use std::future::Future;

use tokio::sync::broadcast::error::RecvError;
use watchfire_domain::attempt::{AfterAttempt, Settlement};
use watchfire_domain::id::EndpointId;
use watchfire_domain::time::Timestamp;
use watchfire_engine::{Attempted, Engine, Event};

use crate::terminal;

/// Prints what happens from now on.
pub(super) fn follow(engine: &Engine) -> impl Future<Output = ()> + use<> {
    let mut events = engine.watch();
    async move {
        let mut receivers = HashMap::new();
        loop {
            match events.recv().await {
                Ok(event) => {
                    if let Event::Attempted(attempted) = &event {
                        receivers.insert(attempted.endpoint_id, path(attempted).to_owned());
                    }
                    terminal::line(describe(&event, &receivers));
                }
                Err(RecvError::Lagged(missed)) => terminal::line(format!("… {missed} more …")),
                Err(RecvError::Closed) => return,
            }
        }
    }
}

/// The receivers are known by their paths once something was sent to them.
fn describe(event: &Event, receivers: &HashMap<EndpointId, String>) -> String {
    match event {
        Event::Accepted {
            message, matched, ..
        } => {
            let time = clock(message.accepted_at);
            let endpoints = if *matched == 1 {
                "endpoint"
            } else {
                "endpoints"
            };
            format!(
                "{time}  accepted   {:<26} for {matched} {endpoints}",
                message.event_type
            )
        }
        Event::Attempted(attempted) => describe_attempt(attempted),
        Event::Health {
            endpoint_id,
            health,
            ..
        } => {
            let state = health.state_name();
            match receivers.get(endpoint_id) {
                Some(path) => format!("          health     /{path} is {state} now"),
                None => format!("          health     {endpoint_id} is {state} now"),
            }
        }
    }
}

fn describe_attempt(attempted: &Attempted) -> String {
    let attempt = &attempted.attempt;
    let time = clock(attempt.attempted_at + attempt.timing.total);
    let what = format!(
        "{:<26} to /{}",
        attempted.message.event_type,
        path(attempted)
    );
    match attempt.next {
        AfterAttempt::Settled {
            settlement: Settlement::Delivered,
        } => {
            let again = if attempt.number > 1 {
                format!(" at attempt {}", attempt.number)
            } else {
                String::new()
            };
            format!(
                "{time}  delivered  {what}{again}, {}",
                millis(attempt.timing.total)
            )
        }
        AfterAttempt::Settled { settlement } => {
            let word = match settlement {
                Settlement::Exhausted => "exhausted",
                Settlement::Skipped => "skipped",
                Settlement::Cancelled => "cancelled",
                Settlement::Delivered => "delivered",
            };
            format!(
                "{time}  {word:<9}  {what}: {}; it can be replayed",
                attempt.outcome
            )
        }
        AfterAttempt::Retry { due_at } => {
            let wait = due_at.since(attempt.attempted_at + attempt.timing.total);
            format!(
                "{time}  retry      {what}: {}; again in {}",
                attempt.outcome,
                millis(wait)
            )
        }
    }
}

/// Where a request went, on the demo's one host.
fn path(attempted: &Attempted) -> &str {
    let url = &attempted.attempt.url;
    url.splitn(4, '/').last().unwrap_or_default()
}

fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(11..19).unwrap_or_default().to_owned()
}

fn millis(duration: std::time::Duration) -> String {
    if duration.as_secs() >= 1 {
        format!("{:.1} s", duration.as_secs_f64())
    } else {
        format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
    }
}
