//! Certificates and handshakes, fitting and not.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use watchfire_deliver::{Client, ClientConfig, NameFault, Resolver, TlsFault};
use watchfire_domain::outcome::{Cause, Phase};

use crate::receiver::{Receiver, read_request};
use crate::setup::{answer, config, failure, send, send_short};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const NAME: &str = "hooks.example.com";

/// Every name is this host.
struct Loopback;

#[async_trait]
impl Resolver for Loopback {
    async fn resolve(&self, _name: &str) -> Result<Vec<IpAddr>, NameFault> {
        Ok(vec![IpAddr::from([127, 0, 0, 1])])
    }
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn authority() -> Authority {
    authority_named("Test Authority")
}

fn authority_named(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, key()).expect("an authority")
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).expect("names")
}

/// A certificate chain and its key, as a server needs them.
struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

fn signed(params: &CertificateParams, authority: &Authority) -> Identity {
    let key = key();
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    Identity {
        certificate: certificate.der().clone(),
        key: PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
    }
}

fn self_signed(names: &[&str]) -> Identity {
    let key = key();
    let certificate = params(names).self_signed(&key).expect("a certificate");
    Identity {
        certificate: certificate.der().clone(),
        key: PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
    }
}

fn client_trusting(authority: Option<&Authority>) -> Client {
    Client::new(ClientConfig {
        resolver: Arc::new(Loopback),
        extra_ca_pem: authority.map(|authority| authority.pem().into_bytes()),
        ..config()
    })
    .expect("valid")
}

fn acceptor(identity: Identity, versions: &[&'static SupportedProtocolVersion]) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate], identity.key)
        .expect("an identity");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

/// Answers every request, naming the server name and protocol that were asked for.
async fn serving(acceptor: TlsAcceptor) -> Receiver {
    Receiver::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return;
            };
            let asked = stream.get_ref().1;
            let name = asked.server_name().unwrap_or("none").to_owned();
            let protocol = asked
                .alpn_protocol()
                .map(<[u8]>::to_vec)
                .unwrap_or_default();
            let body = format!("{name} {}", String::from_utf8_lossy(&protocol));
            while !read_request(&mut stream).await.is_empty() {
                let length = body.len();
                let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
                stream.write_all(text.as_bytes()).await.ok();
                stream.flush().await.ok();
            }
        }
    })
    .await
}

async fn serving_all_versions(identity: Identity) -> Receiver {
    serving(acceptor(identity, rustls::ALL_VERSIONS)).await
}

fn url(receiver: &Receiver, host: &str) -> String {
    format!("https://{host}:{}/", receiver.address.port())
}

async fn cause_for(identity: Identity, client: &Client, host: &str) -> Cause {
    let receiver = serving_all_versions(identity).await;
    let report = send(client, &url(&receiver, host)).await;
    assert!(report.timing.tls.is_some() && report.timing.first_byte.is_none());
    match failure(&report) {
        watchfire_deliver::Failure::Unreachable { cause } => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_name_is_asked_for_and_checked_though_an_address_is_dialled() {
    let authority = authority();
    let client = client_trusting(Some(&authority));
    for versions in [[&rustls::version::TLS13], [&rustls::version::TLS12]] {
        let identity = signed(&params(&[NAME]), &authority);
        let receiver = serving(acceptor(identity, &versions)).await;
        for _ in 0..3 {
            let report = send(&client, &url(&receiver, NAME)).await;
            assert_eq!(report.address, Some(receiver.address));
            assert_eq!(answer(report).response.body, format!("{NAME} http/1.1"));
        }
        assert_eq!(receiver.connections(), 1, "one handshake for all");
    }
}

#[tokio::test]
async fn an_address_in_a_url_is_checked_against_the_certificate() {
    let authority = authority();
    let client = client_trusting(Some(&authority));
    let receiver = serving_all_versions(signed(&params(&["127.0.0.1"]), &authority)).await;
    let report = send(&client, &url(&receiver, "127.0.0.1")).await;
    assert_eq!(answer(report).response.body, "none http/1.1");

    let identity = signed(&params(&[NAME]), &authority);
    let cause = cause_for(identity, &client, "127.0.0.1").await;
    assert_eq!(cause, Cause::TlsNameMismatch);
}

#[tokio::test]
async fn certificates_that_do_not_fit_are_refused_by_name() {
    let trusted = authority();
    let client = client_trusting(Some(&trusted));

    let identity = signed(&params(&["other.example.com"]), &trusted);
    assert_eq!(
        cause_for(identity, &client, NAME).await,
        Cause::TlsNameMismatch
    );

    let identity = signed(&params(&["*.example.com"]), &trusted);
    let cause = cause_for(identity, &client, "a.b.example.com").await;
    assert_eq!(cause, Cause::TlsNameMismatch, "a star stands for one label");

    let mut expired = params(&[NAME]);
    expired.not_before = date_time_ymd(2020, 1, 1);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let identity = signed(&expired, &trusted);
    assert_eq!(
        cause_for(identity, &client, NAME).await,
        Cause::TlsCertificateExpired
    );

    let mut early = params(&[NAME]);
    early.not_before = date_time_ymd(3000, 1, 1);
    early.not_after = date_time_ymd(3001, 1, 1);
    let identity = signed(&early, &trusted);
    assert_eq!(
        cause_for(identity, &client, NAME).await,
        Cause::TlsCertificateExpired
    );

    let stranger = authority_named("Another Authority");
    let identity = signed(&params(&[NAME]), &stranger);
    assert_eq!(
        cause_for(identity, &client, NAME).await,
        Cause::TlsUnknownIssuer
    );

    let impostor = signed(&params(&[NAME]), &authority());
    assert_eq!(
        cause_for(impostor, &client, NAME).await,
        Cause::TlsCertificateInvalid
    );

    let cause = cause_for(self_signed(&[NAME]), &client, NAME).await;
    assert_eq!(cause, Cause::TlsUnknownIssuer);

    let mut common_name_only = params(&[]);
    common_name_only
        .distinguished_name
        .push(DnType::CommonName, NAME);
    let identity = signed(&common_name_only, &trusted);
    assert_eq!(
        cause_for(identity, &client, NAME).await,
        Cause::TlsNameMismatch
    );

    let mut for_clients = params(&[NAME]);
    for_clients.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let identity = signed(&for_clients, &trusted);
    assert_eq!(
        cause_for(identity, &client, NAME).await,
        Cause::TlsCertificateInvalid
    );

    let mut an_authority = params(&[NAME]);
    an_authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let identity = signed(&an_authority, &trusted);
    assert_eq!(
        cause_for(identity, &client, NAME).await,
        Cause::TlsCertificateInvalid
    );
}

#[tokio::test]
async fn an_authority_that_was_not_added_is_unknown() {
    let authority = authority();
    let client = client_trusting(None);
    let identity = signed(&params(&[NAME]), &authority);
    assert_eq!(
        cause_for(identity, &client, NAME).await,
        Cause::TlsUnknownIssuer
    );
}

#[test]
fn additional_authorities_must_be_certificates() {
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "hello", broken] {
        let extra_ca_pem = Some(pem.as_bytes().to_vec());
        let client = Client::new(ClientConfig {
            extra_ca_pem,
            ..config()
        });
        assert!(matches!(client.err(), Some(TlsFault::ExtraCa)), "{pem:?}");
    }
}

/// Reads the hello, answers with these bytes, and hangs up.
async fn cause_of_hello(answer: &'static [u8]) -> Cause {
    let receiver = Receiver::start(move |mut stream| async move {
        let mut hello = [0; 4096];
        assert!(stream.read(&mut hello).await.is_ok_and(|count| count > 0));
        stream.write_all(answer).await.ok();
        stream.shutdown().await.ok();
        while stream.read(&mut hello).await.is_ok_and(|count| count > 0) {}
    })
    .await;
    match failure(&send(&client_trusting(None), &url(&receiver, NAME)).await) {
        watchfire_deliver::Failure::Unreachable { cause } => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_handshake_without_anything_in_common_is_named() {
    for alert in [
        &b"\x15\x03\x03\0\x02\x02\x28"[..], // handshake failure
        b"\x15\x03\x03\0\x02\x02\x46",      // protocol version
        b"\x15\x03\x03\0\x02\x02\x47",      // insufficient security
        b"\x15\x03\x03\0\x02\x02\x78",      // no application protocol
    ] {
        assert_eq!(cause_of_hello(alert).await, Cause::TlsNoCommonCipher);
    }
    // A hello from a server that chose TLS 1.1.
    let mut old = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    old.extend([7; 32]);
    old.extend([0, 0xc0, 0x13, 0]);
    let cause = cause_of_hello(old.leak()).await;
    assert_eq!(cause, Cause::TlsNoCommonCipher);
}

#[tokio::test]
async fn a_peer_that_does_not_speak_tls_fails_the_handshake() {
    for answer in [
        &b""[..],
        b"HTTP/1.1 400 Plain HTTP\r\n\r\n",
        b"\x15\x03\x03\0\x02\x02\x50",
    ] {
        assert_eq!(cause_of_hello(answer).await, Cause::TlsHandshake);
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_times_out_in_its_phase() {
    let receiver = Receiver::start(|mut stream| async move {
        while stream
            .read(&mut [0; 4096])
            .await
            .is_ok_and(|count| count > 0)
        {}
    })
    .await;
    let report = send_short(&client_trusting(None), &url(&receiver, NAME)).await;
    let phase = Phase::Tls;
    assert_eq!(
        failure(&report),
        watchfire_deliver::Failure::TimedOut { phase }
    );
    assert_eq!(report.address, Some(receiver.address));
}

/// Answers once and drops the socket without saying goodbye in TLS.
async fn ending_abruptly(identity: Identity, text: &'static [u8]) -> Receiver {
    let acceptor = acceptor(identity, rustls::ALL_VERSIONS);
    Receiver::start(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.expect("a handshake");
            read_request(&mut stream).await;
            stream.write_all(text).await.ok();
            stream.flush().await.ok();
            let (mut tcp, _) = stream.into_inner();
            tcp.shutdown().await.ok();
            while tcp.read(&mut [0; 4096]).await.is_ok_and(|count| count > 0) {}
        }
    })
    .await
}

#[tokio::test]
async fn a_body_that_tls_did_not_end_counts_only_if_it_has_no_other_end() {
    let authority = authority();
    let client = client_trusting(Some(&authority));
    let identity = || signed(&params(&[NAME]), &authority);

    let receiver = ending_abruptly(identity(), b"HTTP/1.1 200 OK\r\n\r\npart").await;
    let answer_cut = answer(send(&client, &url(&receiver, NAME)).await);
    assert_eq!(answer_cut.response.body, "part");
    assert!(answer_cut.response.truncated);

    let receiver = ending_abruptly(identity(), OK).await;
    let whole = answer(send(&client, &url(&receiver, NAME)).await);
    assert!(!whole.response.truncated);

    let framed = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart";
    let receiver = ending_abruptly(identity(), framed).await;
    let report = send(&client, &url(&receiver, NAME)).await;
    assert_eq!(failure(&report), Cause::ConnectionClosed.into());
}
