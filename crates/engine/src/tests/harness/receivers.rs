//! Receivers that do as they are told: the transport of the harness.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;
use watchfire_deliver::{Answer, Failure, Report, Request, Transport};
use watchfire_domain::ambient::{Clock, Entropy as _};
use watchfire_domain::attempt::{Response, Timing};
use watchfire_domain::id::MessageId;
use watchfire_domain::outcome::Cause;
use watchfire_domain::time::Timestamp;
use watchfire_testkit::SeededEntropy;

use super::Harness;

/// What a scripted endpoint does with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behavior {
    Status(u16),
    Refuses,
    /// This server has no file left for a connection.
    Exhausts,
    Hangs,
    /// Accepts after so long.
    Slow(Duration),
}

/// A request the transport was given.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// The node that sent it.
    pub(crate) by: String,
    pub(crate) at: Timestamp,
    pub(crate) id: MessageId,
    pub(crate) number: u64,
    pub(crate) record: Option<String>,
    pub(crate) body: String,
}

#[derive(Default)]
pub(super) struct Scripts {
    next: HashMap<String, VecDeque<Behavior>>,
    always: HashMap<String, Behavior>,
    /// Failures per hundred requests.
    random: HashMap<String, u8>,
    sent: Vec<(String, Sent)>,
}

/// A transport that does as it is told and remembers what it was given.
pub(super) struct Scripted {
    pub(super) node: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) scripts: Arc<Mutex<Scripts>>,
    pub(super) entropy: SeededEntropy,
}

#[async_trait]
impl Transport for Scripted {
    async fn send(&self, request: Request) -> Report {
        let path = request
            .target
            .url()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned();
        let behavior = self.note(&path, &request);
        let begun = Instant::now();
        let exchange = match behavior {
            Behavior::Status(status) => Ok(Answer {
                status,
                retry_after: None,
                response: Response::default(),
            }),
            Behavior::Refuses => Err(Failure::Unreachable {
                cause: Cause::ConnectionRefused,
            }),
            Behavior::Exhausts => Err(Failure::Exhausted),
            Behavior::Hangs => std::future::pending().await,
            Behavior::Slow(wait) => {
                tokio::time::sleep(wait).await;
                Ok(Answer {
                    status: 200,
                    retry_after: None,
                    response: Response::default(),
                })
            }
        };
        Report {
            exchange,
            address: None,
            timing: Timing {
                total: begun.elapsed(),
                ..Timing::default()
            },
        }
    }
}

impl Scripted {
    fn note(&self, path: &str, request: &Request) -> Behavior {
        let id = request
            .headers
            .iter()
            .find(|(name, _)| name == "webhook-id");
        let id = id
            .and_then(|(_, value)| value.to_str().ok())
            .and_then(|id| id.parse().ok());
        let body: serde_json::Value = serde_json::from_slice(&request.body).expect("JSON");
        let sent = Sent {
            by: self.node.clone(),
            at: self.clock.now(),
            id: id.expect("every request has an id"),
            number: body["n"].as_u64().unwrap_or_default(),
            record: body["record"].as_str().map(str::to_owned),
            body: String::from_utf8(request.body.to_vec()).expect("text"),
        };
        let mut scripts = self.scripts.lock();
        scripts.sent.push((path.to_owned(), sent));
        if let Some(next) = scripts.next.get_mut(path).and_then(VecDeque::pop_front) {
            return next;
        }
        if let Some(percent) = scripts.random.get(path) {
            let fails = self.entropy.unit() * 100.0 < f64::from(*percent);
            return Behavior::Status(if fails { 500 } else { 200 });
        }
        scripts
            .always
            .get(path)
            .copied()
            .unwrap_or(Behavior::Status(200))
    }
}

impl Harness {
    /// Does these things first, then succeeds.
    pub(crate) fn script(&self, path: &str, behaviors: impl IntoIterator<Item = Behavior>) {
        let mut scripts = self.transport.scripts.lock();
        scripts
            .next
            .entry(path.to_owned())
            .or_default()
            .extend(behaviors);
    }

    pub(crate) fn always(&self, path: &str, behavior: Behavior) {
        self.transport
            .scripts
            .lock()
            .always
            .insert(path.to_owned(), behavior);
    }

    /// Fails so many of a hundred requests.
    pub(crate) fn fail_at_random(&self, path: &str, percent: u8) {
        self.transport
            .scripts
            .lock()
            .random
            .insert(path.to_owned(), percent);
    }

    pub(crate) fn sent_to(&self, path: &str) -> Vec<Sent> {
        let scripts = self.transport.scripts.lock();
        let sent = scripts.sent.iter().filter(|(to, _)| to == path);
        sent.map(|(_, sent)| sent.clone()).collect()
    }

    /// The paths requests went to and the numbers of their messages, in the order of sending.
    pub(crate) fn sent_in_order(&self) -> Vec<(String, u64)> {
        let scripts = self.transport.scripts.lock();
        let sent = scripts.sent.iter();
        sent.map(|(path, sent)| (path.clone(), sent.number))
            .collect()
    }
}
