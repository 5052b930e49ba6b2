//! Reaches a receiver without a network, so that tests may pause the clock of their runtime.

use std::future;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::time::Instant;
use watchfire_deliver::{Answer, Failure, Report, Transport, parse_retry_after};
use watchfire_domain::attempt::{Response, Timing};
use watchfire_domain::limit;
use watchfire_domain::outcome::{Cause, Phase};
use watchfire_domain::time::Timestamp;

use crate::log::Log;
use crate::script::{Act, Page, Reply, Request};

/// Leads to one receiver, whatever the URL.
pub(super) struct Memory(pub(super) Arc<Log>);

#[async_trait]
impl Transport for Memory {
    async fn send(&self, request: watchfire_deliver::Request) -> Report {
        let started = Instant::now();
        let timeout = request.timeout;
        let (reply, _here) = self.0.record(recorded(request));
        let late = Err(Failure::TimedOut {
            phase: Phase::FirstByte,
        });
        let exchange = tokio::time::timeout(timeout, play(reply)).await;
        Report {
            exchange: exchange.unwrap_or(late),
            address: Some(super::ADDRESS_IN_MEMORY),
            timing: Timing {
                total: started.elapsed(),
                ..Timing::default()
            },
        }
    }
}

fn recorded(request: watchfire_deliver::Request) -> Request {
    let headers = request.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.as_str().to_owned(), value.into_owned())
    });
    let after_origin = request.target.url().splitn(4, '/').nth(3);
    Request {
        method: request.method.as_str().to_owned(),
        target: format!("/{}", after_origin.unwrap_or_default()),
        headers: headers.collect(),
        body: request.body,
        connection: 0,
    }
}

/// What a client would report of the same reply over a socket.
async fn play(reply: Reply) -> Result<Answer, Failure> {
    reply.wait.over().await;
    match reply.act {
        Act::Answer(page) => Ok(heard(page)),
        Act::Fail(failure) => Err(failure),
        Act::Raw(bytes) if bytes.is_empty() => Err(Cause::ConnectionClosed.into()),
        Act::Raw(_) => Err(Failure::Malformed),
        Act::RawThenHang(_) => future::pending().await,
        Act::Endless => Ok(endless()),
    }
}

fn heard(page: Page) -> Answer {
    let mut headers = page.headers.iter();
    let hint = headers.find(|(name, _)| name.eq_ignore_ascii_case("retry-after"));
    Answer {
        status: page.status,
        // A number of seconds needs no time of day, and a script has no reason to name a date.
        retry_after: hint.and_then(|(_, value)| parse_retry_after(value, Timestamp::EPOCH)),
        response: Response {
            headers: page.headers,
            body: page.body,
            truncated: false,
        },
    }
}

fn endless() -> Answer {
    Answer {
        status: 200,
        retry_after: None,
        response: Response {
            headers: Vec::new(),
            body: Bytes::from(vec![b'x'; limit::RESPONSE_BODY_BYTES]),
            truncated: true,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use watchfire_deliver::Target;
    use watchfire_domain::endpoint::Method;
    use watchfire_domain::outcome::{Outcome, SuccessRule};

    use crate::{Receiver, Reply, Script};

    use super::*;

    fn request(receiver: &Receiver, path: &str) -> watchfire_deliver::Request {
        let target = Target::parse(&receiver.url(path)).expect("a valid URL");
        watchfire_deliver::Request {
            target: Arc::new(target),
            method: Method::Post,
            headers: Vec::new(),
            spelling: None,
            body: Bytes::from_static(b"{}"),
            timeout: Duration::from_secs(15),
        }
    }

    async fn outcome(receiver: &Receiver) -> Outcome {
        let report = receiver.transport().send(request(receiver, "/")).await;
        let outcome = report.outcome(SuccessRule::Success2xx);
        outcome.expect("a script plays no fault of ours")
    }

    #[tokio::test]
    async fn requests_are_recorded_without_a_socket() {
        let receiver = Receiver::in_memory(Script::statuses([204]));
        let report = receiver
            .transport()
            .send(request(&receiver, "/hook?a=1"))
            .await;
        assert_eq!(report.address, Some(receiver.address()));
        let requests = receiver.wait_for_count(1).await;
        assert_eq!(requests[0].method, "POST");
        assert_eq!(requests[0].target, "/hook?a=1");
        assert_eq!(requests[0].body, "{}");
    }

    #[tokio::test(start_paused = true)]
    async fn replies_become_the_outcomes_a_client_would_report() {
        let cause = Cause::NameNotFound;
        let receiver = Receiver::in_memory(Script::replies([
            Reply::status(200).after(Duration::from_secs(14)),
            Reply::status(429).header("Retry-After", "60"),
            Reply::hang(),
            Reply::close(),
            Reply::raw("nonsense"),
            Reply::fail(cause.into()),
            Reply::endless(),
        ]));
        let closed = Cause::ConnectionClosed;
        for expected in [
            Outcome::Accepted { status: 200 },
            Outcome::Refused {
                status: 429,
                retry_after: Some(Duration::from_mins(1)),
            },
            Outcome::TimedOut {
                phase: Phase::FirstByte,
            },
            Outcome::Unreachable { cause: closed },
            Outcome::Malformed,
            Outcome::Unreachable { cause },
            Outcome::Accepted { status: 200 },
        ] {
            assert_eq!(outcome(&receiver).await, expected);
        }
    }

    #[tokio::test]
    async fn an_unexpected_request_fails_the_test() {
        let receiver = Receiver::in_memory(Script::silence());
        let refused = Outcome::Refused {
            status: 500,
            retry_after: None,
        };
        assert_eq!(outcome(&receiver).await, refused);
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(receiver)));
        assert!(dropped.is_err());
    }
}
