//! The address policy at connect: what a name resolves to, whatever it resolved to before.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use watchfire_deliver::{
    Cidr, Client, ClientConfig, Failure, NameFault, Policy, PoolLimits, Resolver,
};
use watchfire_domain::limit;
use watchfire_domain::outcome::{Cause, Phase, Verdict};

use crate::receiver::Receiver;
use crate::setup::{answer, config, failure, loopback, send, send_short};

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const PUBLIC: &str = "93.184.215.14";

type Names = Result<Vec<IpAddr>, NameFault>;

/// Gives its answers one after the other, the last one for ever.
struct Scripted(Mutex<VecDeque<Names>>);

#[async_trait]
impl Resolver for Scripted {
    async fn resolve(&self, name: &str) -> Names {
        assert_eq!(name, "hooks.example.com");
        let mut answers = self.0.lock();
        if answers.len() > 1 {
            answers.pop_front().expect("more than one")
        } else {
            answers.front().expect("at least one").clone()
        }
    }
}

/// Never answers.
struct Silent;

#[async_trait]
impl Resolver for Silent {
    async fn resolve(&self, _name: &str) -> Names {
        std::future::pending().await
    }
}

fn names(addresses: &[&str]) -> Names {
    let parse = |text: &&str| text.parse().map_err(|_| NameFault::NotFound);
    addresses.iter().map(parse).collect()
}

fn client(policy: Policy, answers: impl IntoIterator<Item = Names>) -> Client {
    let answers = answers.into_iter().collect();
    Client::new(ClientConfig {
        policy,
        resolver: Arc::new(Scripted(Mutex::new(answers))),
        ..config()
    })
    .expect("valid")
}

fn named_url(address: SocketAddr) -> String {
    format!("http://hooks.example.com:{}/hook", address.port())
}

#[tokio::test]
async fn every_forbidden_address_a_name_resolves_to_is_refused_undialled() {
    let receiver = Receiver::answering(NO_CONTENT).await;
    for (address, verdict) in [
        ("127.0.0.1", Verdict::Loopback),
        ("0.0.0.0", Verdict::Unspecified),
        ("10.0.0.1", Verdict::Private),
        ("100.64.0.1", Verdict::SharedCarrier),
        ("169.254.1.1", Verdict::LinkLocal),
        ("169.254.169.254", Verdict::Metadata),
        ("168.63.129.16", Verdict::Metadata),
        ("224.0.0.1", Verdict::Multicast),
        ("::1", Verdict::Loopback),
        ("::", Verdict::Unspecified),
        ("::ffff:127.0.0.1", Verdict::Transition),
        ("::127.0.0.1", Verdict::Transition),
        ("::ffff:0:127.0.0.1", Verdict::Transition),
        ("64:ff9b::7f00:1", Verdict::Transition),
        ("2002:7f00:1::", Verdict::Transition),
        ("2001:0:7f00:1::", Verdict::Transition),
        ("fe80::1", Verdict::LinkLocal),
        ("fd00::1", Verdict::UniqueLocal),
        ("fec0::1", Verdict::SiteLocal),
    ] {
        let client = client(Policy::default(), [names(&[address])]);
        let report = send(&client, &named_url(receiver.address)).await;
        assert_eq!(failure(&report), verdict.into(), "{address}");
        assert_eq!(
            report.address, None,
            "{address}: no internal address is shown"
        );
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn literals_are_judged_at_connect_too() {
    let receiver = Receiver::answering(NO_CONTENT).await;
    let client = client(Policy::default(), [names(&[])]);
    let report = send(&client, &receiver.url()).await;
    assert_eq!(failure(&report), Verdict::Loopback.into());
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn internal_names_and_denied_ports_are_refused_before_they_are_resolved() {
    // The resolver would panic on another name.
    let client = client(Policy::default(), [names(&[PUBLIC])]);
    for (url, verdict) in [
        ("http://localhost/", Verdict::InternalName),
        ("http://metadata.google.internal/", Verdict::Metadata),
        ("http://hooks.example.com:25/", Verdict::Port),
    ] {
        assert_eq!(failure(&send(&client, url).await), verdict.into(), "{url}");
    }
}

#[tokio::test]
async fn one_forbidden_address_among_public_ones_refuses_the_name() {
    let receiver = Receiver::answering(NO_CONTENT).await;
    for answer in [
        names(&[PUBLIC, "127.0.0.1"]),
        names(&["127.0.0.1", PUBLIC]),
        names(&[
            PUBLIC,
            "1.1.1.1",
            "8.8.8.8",
            "9.9.9.9",
            "2606:4700::1111",
            "127.0.0.1",
        ]),
    ] {
        let client = client(Policy::default(), [answer]);
        let report = send(&client, &named_url(receiver.address)).await;
        assert_eq!(failure(&report), Verdict::Loopback.into());
    }
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_name_that_alternates_never_reaches_the_private_listener() {
    let private = Receiver::answering(NO_CONTENT).await;
    // Allowed is 127.0.0.2, which plays the public address; 127.0.0.1 is the private one.
    let policy = Policy {
        allow: vec!["127.0.0.2/32".parse::<Cidr>().expect("valid")],
        ..Policy::default()
    };
    let rounds = 1_000;
    let answers = (0..rounds).map(|round| {
        let last = if round % 2 == 0 { 2 } else { 1 };
        Ok(vec![IpAddr::from([127, 0, 0, last])])
    });
    let client = client(policy, answers);
    for round in 0..rounds {
        let report = send(&client, &named_url(private.address)).await;
        let expected = if round % 2 == 0 {
            Failure::from(Cause::ConnectionRefused)
        } else {
            Verdict::Loopback.into()
        };
        assert_eq!(failure(&report), expected, "round {round}");
    }
    assert_eq!(private.connections(), 0);
}

#[tokio::test]
async fn a_name_is_resolved_again_for_every_new_connection() {
    let receiver = Receiver::answering(NO_CONTENT).await;
    let once = PoolLimits {
        idle_total_max: 0,
        ..PoolLimits::default()
    };
    let answers = [names(&["127.0.0.1"]), names(&["10.0.0.1"])].into();
    let client = Client::new(ClientConfig {
        resolver: Arc::new(Scripted(Mutex::new(answers))),
        pool: once,
        ..config()
    })
    .expect("valid");
    let url = named_url(receiver.address);
    let report = send(&client, &url).await;
    assert_eq!(
        report.address,
        Some(receiver.address),
        "the judged address is the dialled one"
    );
    assert!(report.timing.resolve.is_some());
    answer(report);
    assert_eq!(failure(&send(&client, &url).await), Verdict::Private.into());
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let receiver = Receiver::answering(NO_CONTENT).await;
    let answer_of = names(&["127.0.0.2", "127.0.0.3", "127.0.0.1"]);
    let client = client(loopback(), [answer_of]);
    let report = send(&client, &named_url(receiver.address)).await;
    assert_eq!(report.address, Some(receiver.address));
    answer(report);
}

#[tokio::test]
async fn a_limited_number_of_addresses_is_tried() {
    let receiver = Receiver::answering(NO_CONTENT).await;
    let refusing = (0..limit::CONNECT_ADDRESSES_MAX)
        .map(|last| IpAddr::from([127, 0, 1, u8::try_from(last).expect("few")]));
    let addresses = refusing.chain([receiver.address.ip()]).collect();
    let client = client(loopback(), [Ok(addresses)]);
    let report = send(&client, &named_url(receiver.address)).await;
    assert_eq!(failure(&report), Cause::ConnectionRefused.into());
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_name_without_an_answer_is_named_as_such() {
    for (answer, cause) in [
        (Err(NameFault::NotFound), Cause::NameNotFound),
        (Ok(Vec::new()), Cause::NameNotFound),
        (Err(NameFault::ServerFailed), Cause::NameServerFailed),
    ] {
        let client = client(Policy::default(), [answer]);
        let report = send(&client, "https://hooks.example.com/").await;
        assert_eq!(failure(&report), cause.into());
        assert_eq!(report.address, None);
        assert!(report.timing.resolve.is_some() && report.timing.connect.is_none());
    }
}

#[tokio::test]
async fn a_name_server_that_never_answers_uses_up_the_deadline_in_its_phase() {
    let client = Client::new(ClientConfig {
        resolver: Arc::new(Silent),
        ..config()
    })
    .expect("valid");
    let report = send_short(&client, "https://hooks.example.com/").await;
    let phase = Phase::Resolve;
    assert_eq!(failure(&report), Failure::TimedOut { phase });
}

#[tokio::test(start_paused = true)]
async fn a_name_server_that_never_answers_fails_before_the_longest_deadline() {
    let client = Client::new(ClientConfig {
        resolver: Arc::new(Silent),
        ..config()
    })
    .expect("valid");
    let report = send(&client, "https://hooks.example.com/").await;
    assert_eq!(failure(&report), Cause::NameServerFailed.into());
}

#[tokio::test]
async fn a_host_without_a_listener_refuses() {
    let address = Receiver::answering(NO_CONTENT).await.address;
    // The receiver is dropped; its task may still hold the port for a moment, so another
    // loopback address is used, on which nothing ever listened.
    let url = format!("http://127.0.0.9:{}/", address.port());
    let report = send(&crate::setup::client(), &url).await;
    assert_eq!(failure(&report), Cause::ConnectionRefused.into());
}

#[tokio::test]
async fn our_own_listener_is_refused_although_its_network_is_allowed() {
    let own = Receiver::answering(NO_CONTENT).await;
    for listening_on in [
        own.address,
        SocketAddr::from(([0, 0, 0, 0], own.address.port())),
    ] {
        let policy = Policy {
            own_addresses: vec![listening_on],
            ..loopback()
        };
        let client = client(policy, [names(&["127.0.0.1"])]);
        for url in [own.url(), named_url(own.address)] {
            let report = send(&client, &url).await;
            assert_eq!(failure(&report), Verdict::OwnAddress.into(), "{url}");
        }
    }
    assert_eq!(own.connections(), 0);
}

#[tokio::test]
async fn redirects_are_answers_and_nobody_follows_them() {
    let target = Receiver::answering(NO_CONTENT).await;
    for status in [301, 302, 303, 307, 308] {
        let location = target.url();
        let receiver = Receiver::answering_once(format!(
            "HTTP/1.1 {status} Elsewhere\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
        ))
        .await;
        let answer = answer(send(&crate::setup::client(), &receiver.url()).await);
        assert_eq!(answer.status, status);
        let shown = ("location".to_owned(), location);
        assert!(
            answer.response.headers.contains(&shown),
            "the target is shown"
        );
    }
    assert_eq!(target.connections(), 0);
}
