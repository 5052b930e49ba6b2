//! Clients and requests for the tests.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use watchfire_deliver::{
    Answer, Cidr, Client, ClientConfig, Failure, NameFault, Policy, PoolLimits, Report, Request,
    Resolver, Target, Transport,
};
use watchfire_domain::ambient::Clock;
use watchfire_domain::endpoint::Method;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;

/// A deadline that will pass. Long enough that a busy machine reaches the phase it is to pass in.
pub(crate) const SHORT: Duration = Duration::from_secs(1);

pub(crate) struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::parse("2026-02-20T10:30:00Z").expect("valid")
    }
}

/// Knows no name.
pub(crate) struct NoNames;

#[async_trait]
impl Resolver for NoNames {
    async fn resolve(&self, _name: &str) -> Result<Vec<IpAddr>, NameFault> {
        Err(NameFault::NotFound)
    }
}

pub(crate) fn loopback() -> Policy {
    Policy {
        allow: vec!["127.0.0.0/8".parse::<Cidr>().expect("valid")],
        ..Policy::default()
    }
}

pub(crate) fn config() -> ClientConfig {
    ClientConfig {
        policy: loopback(),
        resolver: Arc::new(NoNames),
        clock: Arc::new(FixedClock),
        extra_ca_pem: None,
        pool: PoolLimits::default(),
    }
}

pub(crate) fn client() -> Client {
    Client::new(config()).expect("valid")
}

/// A POST that may take as long as any.
pub(crate) fn post(url: &str) -> Request {
    Request {
        target: Arc::new(Target::parse(url).expect("valid")),
        method: Method::Post,
        headers: Vec::new(),
        spelling: None,
        body: Bytes::from_static(b"{}"),
        timeout: limit::ATTEMPT_TIMEOUT_MAX,
    }
}

pub(crate) async fn send(client: &Client, url: &str) -> Report {
    client.send(post(url)).await
}

/// The same, with a deadline that will pass.
pub(crate) async fn send_short(client: &Client, url: &str) -> Report {
    let timeout = SHORT;
    client
        .send(Request {
            timeout,
            ..post(url)
        })
        .await
}

pub(crate) fn answer(report: Report) -> Answer {
    report.exchange.expect("an answer")
}

pub(crate) fn failure(report: &Report) -> Failure {
    *report.exchange.as_ref().expect_err("a failure")
}

/// What a peer has done to a socket on this host is known here after it. Yielding lets the
/// runtime look at its sockets; once would do, were the kernel never late.
pub(crate) async fn let_the_reactor_look() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}
