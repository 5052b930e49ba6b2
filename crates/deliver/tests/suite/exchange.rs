//! Ordinary receivers: what is sent, what is reported, and when a connection is used again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use tokio::io::AsyncWriteExt;
use tokio::sync::{Notify, mpsc};
use watchfire_deliver::{Client, ClientConfig, PoolLimits, Request, Spelling, Transport};
use watchfire_domain::endpoint::Method;
use watchfire_domain::limit;
use watchfire_domain::outcome::{Cause, Outcome, SuccessRule};

use crate::receiver::{Receiver, read_request};
use crate::setup::{answer, client, config, failure, let_the_reactor_look, post, send};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Kept: yes\r\n\r\nok";
const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// What a receiver sees of `request`.
async fn on_the_wire(request: impl FnOnce(&str) -> Request) -> String {
    let (seen, mut requests) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream| {
        let seen = seen.clone();
        async move {
            seen.send(read_request(&mut stream).await).ok();
            stream.write_all(NO_CONTENT.as_bytes()).await.ok();
        }
    })
    .await;
    let report = client().send(request(&receiver.url())).await;
    assert_eq!(answer(report).status, 204);
    let text = requests.recv().await.expect("a request");
    text.replace(&receiver.address.to_string(), "HOST")
}

fn field(name: &str, value: &'static str) -> (HeaderName, HeaderValue) {
    let name = HeaderName::from_bytes(name.as_bytes()).expect("valid");
    (name, HeaderValue::from_static(value))
}

#[tokio::test]
async fn a_request_is_what_the_caller_gave_and_its_frame() {
    let text = on_the_wire(|url| Request {
        headers: vec![
            field("content-type", "application/json"),
            field("x-b", "2"),
            field("x-a", "1"),
            field("x-b", "3"),
        ],
        ..post(&format!("{url}?a=b%20c"))
    })
    .await;
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.2
    //# A user agent that sends Host SHOULD send it as the first field in the header section of a
    //# request.
    assert_eq!(
        text,
        "POST /hook?a=b%20c HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/json\r\n\
         x-b: 2\r\nx-b: 3\r\nx-a: 1\r\ncontent-length: 2\r\n\r\n{}"
    );
}

#[tokio::test]
async fn names_are_spelled_as_recorded() {
    let names = ["X-DefectDojo-Event", "CONTENT-type", "hOST", "X-Absent"];
    let text = on_the_wire(|url| Request {
        headers: vec![
            field("x-defectdojo-event", "finding_added"),
            field("content-type", "text/plain"),
            field("webhook-id", "msg_1"),
        ],
        spelling: Some(Arc::new(Spelling::of(names))),
        ..post(url)
    })
    .await;
    assert_eq!(
        text,
        "POST /hook HTTP/1.1\r\nhOST: HOST\r\nX-DefectDojo-Event: finding_added\r\n\
         CONTENT-type: text/plain\r\nwebhook-id: msg_1\r\ncontent-length: 2\r\n\r\n{}"
    );
}

#[tokio::test]
async fn fields_that_frame_the_message_are_not_the_callers() {
    let text = on_the_wire(|url| Request {
        headers: vec![
            field("host", "internal"),
            field("content-length", "0"),
            field("transfer-encoding", "chunked"),
            field("connection", "upgrade"),
            field("upgrade", "h2c"),
            field("te", "trailers"),
            field("trailer", "x"),
            field("expect", "100-continue"),
            field("keep-alive", "1"),
            field("proxy-connection", "close"),
            field("accept-encoding", "gzip"),
        ],
        ..post(url)
    })
    .await;
    assert_eq!(
        text,
        "POST /hook HTTP/1.1\r\nhost: HOST\r\ncontent-length: 2\r\n\r\n{}"
    );
}

#[tokio::test]
async fn an_empty_body_has_a_length_where_the_method_expects_one() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-8.6
    //# This can be the case even when the value is 0
    let with = |method, url: &str| Request {
        method,
        body: Bytes::new(),
        ..post(url)
    };
    for method in [Method::Post, Method::Put, Method::Patch] {
        let text = on_the_wire(|url| with(method, url)).await;
        let name = method.as_str();
        assert_eq!(
            text,
            format!("{name} /hook HTTP/1.1\r\nhost: HOST\r\ncontent-length: 0\r\n\r\n")
        );
    }
    let text = on_the_wire(|url| with(Method::Get, url)).await;
    assert_eq!(text, "GET /hook HTTP/1.1\r\nhost: HOST\r\n\r\n");
}

#[tokio::test]
async fn a_large_body_arrives_whole() {
    let body = Bytes::from(vec![b'x'; limit::PAYLOAD_BYTES_MAX]);
    let text = on_the_wire(|url| Request {
        body: body.clone(),
        ..post(url)
    })
    .await;
    assert!(text.ends_with(std::str::from_utf8(&body).expect("text")));
}

#[tokio::test]
async fn a_report_holds_all_facts() {
    let receiver = Receiver::answering(OK).await;
    let client = client();
    let report = send(&client, &receiver.url()).await;
    assert_eq!(report.address, Some(receiver.address));
    assert_eq!(
        report.outcome(SuccessRule::Success2xx),
        Ok(Outcome::Accepted { status: 200 })
    );
    assert!(report.timing.connect.is_some() && report.timing.first_byte.is_some());
    assert!(report.timing.resolve.is_none() && report.timing.tls.is_none());
    let answer = answer(report);
    assert_eq!(answer.response.body, "ok");
    assert!(!answer.response.truncated);
    let fields: Vec<_> = answer
        .response
        .headers
        .iter()
        .map(|(n, v)| (&**n, &**v))
        .collect();
    assert_eq!(fields, [("content-length", "2"), ("x-kept", "yes")]);

    let report = send(&client, &receiver.url()).await;
    assert_eq!(report.address, Some(receiver.address));
    assert!(report.timing.connect.is_none(), "the connection was open");
}

#[tokio::test]
async fn every_kind_of_complete_answer_leaves_its_connection_for_the_next() {
    for complete in [
        OK,
        NO_CONTENT,
        "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
    ] {
        let receiver = Receiver::answering(complete).await;
        let client = client();
        for _ in 0..5 {
            answer(send(&client, &receiver.url()).await);
        }
        assert_eq!(receiver.connections(), 1, "{complete}");
    }
}

#[tokio::test]
async fn an_answer_that_ends_its_connection_is_complete() {
    for last in [
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\n\r\nok",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
    ] {
        let receiver = Receiver::answering_once(last).await;
        let client = client();
        for _ in 0..2 {
            let answer = answer(send(&client, &receiver.url()).await);
            assert_eq!(
                (answer.status, &*answer.response.body),
                (200, &b"ok"[..]),
                "{last}"
            );
        }
        assert_eq!(receiver.connections(), 2, "{last}");
    }
}

#[tokio::test]
async fn a_connection_the_receiver_closed_while_idle_is_not_used_again() {
    let (close, closed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (must_close, tell) = (Arc::clone(&close), Arc::clone(&closed));
    let receiver = Receiver::start(move |mut stream| {
        let (must_close, tell) = (Arc::clone(&must_close), Arc::clone(&tell));
        async move {
            read_request(&mut stream).await;
            stream.write_all(OK.as_bytes()).await.ok();
            must_close.notified().await;
            stream.shutdown().await.ok();
            tell.notify_one();
            read_request(&mut stream).await;
        }
    })
    .await;
    let client = client();
    for round in 1..=3 {
        answer(send(&client, &receiver.url()).await);
        assert_eq!(receiver.connections(), round);
        close.notify_one();
        closed.notified().await;
        let_the_reactor_look().await;
    }
}

#[tokio::test]
async fn a_connection_closed_when_the_next_request_arrives_was_stale() {
    let receiver = Receiver::start(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.ok();
        read_request(&mut stream).await;
    })
    .await;
    let client = client();
    answer(send(&client, &receiver.url()).await);
    let report = send(&client, &receiver.url()).await;
    assert_eq!(failure(&report), Cause::StaleConnection.into());
    assert_eq!(report.address, Some(receiver.address));
    assert_eq!(receiver.connections(), 1, "it was not sent again");
}

#[tokio::test]
async fn a_reused_connection_that_breaks_inside_an_answer_was_not_stale() {
    let receiver = Receiver::start(|mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.ok();
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200").await.ok();
    })
    .await;
    let client = client();
    answer(send(&client, &receiver.url()).await);
    let report = send(&client, &receiver.url()).await;
    assert_eq!(failure(&report), Cause::ConnectionClosed.into());
}

fn client_with(pool: PoolLimits) -> Client {
    Client::new(ClientConfig { pool, ..config() }).expect("valid")
}

#[tokio::test]
async fn connections_past_their_time_are_not_used_again() {
    let receiver = Receiver::answering(OK).await;
    for pool in [
        PoolLimits {
            idle_max: Duration::ZERO,
            ..PoolLimits::default()
        },
        PoolLimits {
            age_max: Duration::ZERO,
            ..PoolLimits::default()
        },
        PoolLimits {
            idle_per_origin_max: 0,
            ..PoolLimits::default()
        },
        PoolLimits {
            idle_total_max: 0,
            ..PoolLimits::default()
        },
    ] {
        let before = receiver.connections();
        let client = client_with(pool);
        answer(send(&client, &receiver.url()).await);
        answer(send(&client, &receiver.url()).await);
        assert_eq!(receiver.connections() - before, 2, "{pool:?}");
    }
}

#[tokio::test]
async fn idle_connections_are_closed_without_anyone_asking() {
    let (ended, mut is_ended) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream| {
        let ended = ended.clone();
        async move {
            while !read_request(&mut stream).await.is_empty() {
                stream.write_all(OK.as_bytes()).await.ok();
            }
            ended.send(()).ok();
        }
    })
    .await;
    let idle_max = Duration::from_millis(40);
    let client = client_with(PoolLimits {
        idle_max,
        ..PoolLimits::default()
    });
    // Twice: the sweeper ends with the last connection and starts again with the next.
    for _ in 0..2 {
        answer(send(&client, &receiver.url()).await);
        is_ended.recv().await.expect("closed by the client");
    }
}

#[tokio::test]
async fn parallel_requests_have_their_own_connections_and_surplus_is_closed() {
    const PARALLEL: usize = 8;
    const KEPT: usize = 3;
    let barrier = Arc::new(tokio::sync::Barrier::new(PARALLEL));
    let (ended, mut is_ended) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream| {
        let (barrier, ended) = (Arc::clone(&barrier), ended.clone());
        async move {
            while !read_request(&mut stream).await.is_empty() {
                barrier.wait().await;
                stream.write_all(OK.as_bytes()).await.ok();
            }
            ended.send(()).ok();
        }
    })
    .await;
    let idle_per_origin_max = KEPT;
    let client = Arc::new(client_with(PoolLimits {
        idle_per_origin_max,
        ..PoolLimits::default()
    }));
    let mut attempts = tokio::task::JoinSet::new();
    for _ in 0..PARALLEL {
        let (client, url) = (Arc::clone(&client), receiver.url());
        attempts.spawn(async move { answer(send(&client, &url).await) });
    }
    while let Some(done) = attempts.join_next().await {
        done.expect("no panic");
    }
    assert_eq!(receiver.connections(), PARALLEL);
    for _ in KEPT..PARALLEL {
        is_ended.recv().await.expect("closed by the client");
    }
}

#[tokio::test]
async fn a_dropped_attempt_closes_its_connection() {
    let (asked, mut is_asked) = mpsc::unbounded_channel();
    let (ended, mut is_ended) = mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut stream| {
        let (asked, ended) = (asked.clone(), ended.clone());
        async move {
            read_request(&mut stream).await;
            asked.send(()).ok();
            assert!(read_request(&mut stream).await.is_empty());
            ended.send(()).ok();
        }
    })
    .await;
    let client = client();
    let url = receiver.url();
    tokio::select! {
        _ = send(&client, &url) => panic!("there is no answer"),
        () = async { is_asked.recv().await.expect("asked") } => {}
    }
    is_ended.recv().await.expect("closed by the client");
}

#[tokio::test]
async fn retry_after_is_read_and_bounded() {
    for (value, expected) in [
        ("120", Some(Duration::from_mins(2))),
        (
            "Fri, 20 Feb 2026 10:31:00 GMT",
            Some(Duration::from_mins(1)),
        ),
        ("99999999999999999999", Some(limit::RETRY_AFTER_MAX)),
        ("-1", None),
        ("NaN", None),
        ("\u{ff}", None),
    ] {
        let text =
            format!("HTTP/1.1 503 Busy\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n");
        let receiver = Receiver::answering_once(text).await;
        let answer = answer(send(&client(), &receiver.url()).await);
        assert_eq!(answer.retry_after, expected, "{value:?}");
    }
}
