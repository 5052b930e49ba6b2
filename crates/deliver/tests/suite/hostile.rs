//! Receivers that mean harm, or are broken as if they did.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use watchfire_deliver::{Client, Failure, Request, Transport};
use watchfire_domain::limit;
use watchfire_domain::outcome::{Cause, Phase};

use crate::receiver::{Receiver, read_request};
use crate::setup::{SHORT, answer, client, failure, let_the_reactor_look, post, send, send_short};

/// What comes of an answer that is exactly these bytes.
async fn failure_of(bytes: impl Into<Vec<u8>>) -> Failure {
    let receiver = Receiver::answering_once(bytes).await;
    failure(&send(&client(), &receiver.url()).await)
}

/// What comes of an answer that begins with these bytes and does not go on.
async fn failure_of_start(client: Arc<Client>, bytes: &'static [u8]) -> Failure {
    let receiver = Receiver::start(move |mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(bytes).await.ok();
        read_request(&mut stream).await;
    })
    .await;
    failure(&send_short(&client, &receiver.url()).await)
}

/// Closes so that the peer sees a reset.
fn reset(stream: TcpStream) {
    stream.set_zero_linger().expect("a socket option");
    drop(stream);
}

#[tokio::test]
async fn a_deadline_names_the_phase_it_passed_in() {
    let mut attempts = JoinSet::new();
    let client = Arc::new(client());
    for (start, phase) in [
        (&b""[..], Phase::FirstByte),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", Phase::FirstByte),
        (b"HTTP/1.1 100 Continue\r\n\r\n", Phase::FirstByte),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", Phase::Body),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n12345678",
            Phase::Body,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            Phase::Body,
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
            Phase::Body,
        ),
        (b"HTTP/1.1 200 OK\r\n\r\nno end", Phase::Body),
    ] {
        let client = Arc::clone(&client);
        attempts.spawn(async move { (start, phase, failure_of_start(client, start).await) });
    }
    while let Some(attempt) = attempts.join_next().await {
        let (start, phase, failure) = attempt.expect("no panic");
        let start = String::from_utf8_lossy(start);
        assert_eq!(failure, Failure::TimedOut { phase }, "{start:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_takes_no_bytes_times_out_while_sending() {
    let receiver = Receiver::start(|stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let request = Request {
        // More than the buffers of both sockets hold.
        body: vec![b'x'; 32 * 1024 * 1024].into(),
        timeout: SHORT,
        ..post(&receiver.url())
    };
    let phase = Phase::Send;
    assert_eq!(
        failure(&client().send(request).await),
        Failure::TimedOut { phase }
    );
}

#[tokio::test]
async fn a_listener_that_never_accepts_times_out() {
    // The kernel shakes hands for it, and takes a small request too.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let phase = Phase::FirstByte;
    let report = send_short(&client(), &url).await;
    assert_eq!(failure(&report), Failure::TimedOut { phase });
}

/// What comes of an answer that begins with `head` and goes on with a byte now and then.
async fn failure_of_drip(client: &Client, head: &'static str) -> Failure {
    let receiver = Receiver::start(move |mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(head.as_bytes()).await.ok();
        for byte in b"HTTP/1.1 200 OK\r\nX-Never-Ends: ".iter().cycle() {
            if stream.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(SHORT / 50).await;
        }
    })
    .await;
    failure(&send_short(client, &receiver.url()).await)
}

#[tokio::test]
async fn one_byte_at_a_time_does_not_move_the_deadline() {
    let client = client();
    let (in_head, in_body) = tokio::join!(
        failure_of_drip(&client, ""),
        failure_of_drip(&client, "HTTP/1.1 200 OK\r\n\r\n"),
    );
    let phase = Phase::FirstByte;
    assert_eq!(in_head, Failure::TimedOut { phase });
    let phase = Phase::Body;
    assert_eq!(in_body, Failure::TimedOut { phase });
}

#[tokio::test]
async fn hanging_up_at_each_stage_is_a_closed_connection() {
    for part in [
        &b""[..],
        b"H",
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n1234",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n0\r\n",
    ] {
        let cause = Cause::ConnectionClosed;
        let text = String::from_utf8_lossy(part);
        assert_eq!(failure_of(part).await, cause.into(), "{text:?}");
    }
}

#[tokio::test]
async fn a_reset_at_each_stage_is_a_closed_connection() {
    for part in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\nContent-",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1234",
    ] {
        let receiver = Receiver::start(move |mut stream| async move {
            read_request(&mut stream).await;
            stream.write_all(part).await.ok();
            reset(stream);
        })
        .await;
        let report = send(&client(), &receiver.url()).await;
        assert_eq!(failure(&report), Cause::ConnectionClosed.into());
    }
}

#[tokio::test]
async fn a_reset_before_the_request_is_taken_is_a_closed_connection() {
    let receiver = Receiver::start(|stream| async move { reset(stream) }).await;
    let report = send(&client(), &receiver.url()).await;
    assert_eq!(failure(&report), Cause::ConnectionClosed.into());
}

#[tokio::test]
async fn an_answer_before_the_request_was_read_counts_and_ends_the_connection() {
    let receiver = Receiver::start(|mut stream| async move {
        let mut first = [0];
        stream.read_exact(&mut first).await.expect("a byte");
        stream
            .write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            .await
            .ok();
        // Keeps the rest waiting, so that the answer is not lost to a reset.
        while stream
            .read(&mut [0; 4096])
            .await
            .is_ok_and(|count| count > 0)
        {}
    })
    .await;
    let client = client();
    let body = vec![b'x'; 8 * 1024 * 1024];
    for _ in 0..2 {
        let request = Request {
            body: body.clone().into(),
            ..post(&receiver.url())
        };
        assert_eq!(answer(client.send(request).await).status, 413);
    }
}

#[tokio::test]
async fn a_half_closed_receiver_may_still_answer() {
    let receiver = Receiver::start(|stream| async move {
        let (mut from, mut to) = stream.into_split();
        read_request(&mut from).await;
        to.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await
            .ok();
        to.shutdown().await.ok();
        read_request(&mut from).await;
    })
    .await;
    let client = client();
    for _ in 0..2 {
        assert_eq!(
            answer(send(&client, &receiver.url()).await).response.body,
            "ok"
        );
    }
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn bytes_after_an_answer_end_the_connection() {
    let receiver =
        Receiver::answering("HTTP/1.1 204 No\r\n\r\nHTTP/1.1 200 Smuggled\r\n\r\n").await;
    let client = client();
    for _ in 0..2 {
        assert_eq!(answer(send(&client, &receiver.url()).await).status, 204);
    }
    assert_eq!(receiver.connections(), 2);
}

#[tokio::test]
async fn bytes_on_an_idle_connection_are_no_answer_to_the_next_request() {
    let pushed = Arc::new(Notify::new());
    let is_pushed = Arc::clone(&pushed);
    let receiver = Receiver::start(move |mut stream| {
        let pushed = Arc::clone(&pushed);
        async move {
            read_request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 204 No\r\n\r\n").await.ok();
            tokio::task::yield_now().await;
            stream
                .write_all(b"HTTP/1.1 200 Forged\r\nContent-Length: 0\r\n\r\n")
                .await
                .ok();
            pushed.notify_one();
            read_request(&mut stream).await;
        }
    })
    .await;
    let client = client();
    for _ in 0..3 {
        let report = send(&client, &receiver.url()).await;
        assert!(report.exchange.is_ok_and(|answer| answer.status == 204));
        is_pushed.notified().await;
        let_the_reactor_look().await;
    }
    assert_eq!(receiver.connections(), 3);
}

fn with_fields(count: usize) -> String {
    let fields = "X: y\r\n".repeat(count - 1);
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 0\r\n\r\n")
}

/// An answer whose head has exactly `bytes`.
fn with_head_of(bytes: usize) -> String {
    let frame = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: \r\n\r\n".len();
    let padding = "a".repeat(bytes - frame);
    format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: {padding}\r\n\r\n")
}

#[tokio::test]
async fn the_number_of_fields_is_limited() {
    let at_limit = with_fields(limit::RESPONSE_HEADERS_MAX);
    let receiver = Receiver::answering_once(at_limit).await;
    let answer = answer(send(&client(), &receiver.url()).await);
    assert_eq!(answer.response.headers.len(), limit::RESPONSE_HEADERS_MAX);
    for count in [limit::RESPONSE_HEADERS_MAX + 1, 100, 101, 10_000] {
        assert_eq!(
            failure_of(with_fields(count)).await,
            Failure::Oversize,
            "{count}"
        );
    }
}

#[tokio::test]
async fn the_size_of_the_head_is_limited() {
    let at_limit = with_head_of(limit::RESPONSE_HEAD_BYTES_MAX);
    let receiver = Receiver::answering_once(at_limit).await;
    answer(send(&client(), &receiver.url()).await);
    for bytes in [limit::RESPONSE_HEAD_BYTES_MAX + 1, 1 << 20] {
        assert_eq!(
            failure_of(with_head_of(bytes)).await,
            Failure::Oversize,
            "{bytes}"
        );
    }
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(1 << 20));
    assert_eq!(failure_of(endless).await, Failure::Oversize);
    let endless = format!("HTTP/1.1 200 {}", "a".repeat(1 << 20));
    assert_eq!(failure_of(endless).await, Failure::Oversize);
}

#[tokio::test]
async fn interim_answers_are_passed_over_but_not_for_ever() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";
    let some = interim.repeat(100) + "HTTP/1.1 204 No Content\r\n\r\n";
    let receiver = Receiver::answering_once(some).await;
    assert_eq!(answer(send(&client(), &receiver.url()).await).status, 204);

    let receiver = Receiver::start(move |mut stream| async move {
        read_request(&mut stream).await;
        while stream.write_all(interim.as_bytes()).await.is_ok() {}
    })
    .await;
    let report = send(&client(), &receiver.url()).await;
    assert_eq!(failure(&report), Failure::Oversize);
}

#[tokio::test]
async fn what_is_not_http_is_malformed() {
    for bytes in [
        &b"\0\0\0\0\0\0\0\0"[..],
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"220 mail.example.com ESMTP\r\n",
        b"<html>hello</html>\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 99 Low\r\n\r\n",
        b"HTTP/1.1 099 Low\r\n\r\n",
        b"HTTP/1.1 -200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: y\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX\0: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(failure_of(bytes).await, Failure::Malformed, "{text:?}");
    }
}

#[tokio::test]
async fn bad_framing_is_malformed() {
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //# Such a message might indicate an attempt to perform request smuggling or response
    //# splitting and ought to be handled as an error.
    for (framing, body) in [
        (
            "Content-Length: 2\r\nTransfer-Encoding: chunked",
            "2\r\nok\r\n0\r\n\r\n",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 2",
            "2\r\nok\r\n0\r\n\r\n",
        ),
        ("Content-Length: 2\r\nTransfer-Encoding: identity", "ok"),
        ("Content-Length: -1", ""),
        ("Content-Length: +2", "ok"),
        ("Content-Length: 0x2", "ok"),
        ("Content-Length: 2 2", "ok"),
        ("Content-Length: two", "ok"),
        ("Content-Length: ", "ok"),
        ("Content-Length: 99999999999999999999", "ok"),
        ("Content-Length: 2\r\nContent-Length: 3", "ok"),
        ("Transfer-Encoding: chunked", "zz\r\nok\r\n"),
        ("Transfer-Encoding: chunked", "-2\r\nok\r\n"),
        ("Transfer-Encoding: chunked", "\r\n\r\n"),
        ("Transfer-Encoding: chunked", "2\r\nok!!\r\n"),
        ("Transfer-Encoding: chunked", "fffffffffffffffff\r\nok\r\n"),
        ("Transfer-Encoding: chunked", "2;ext=\nok\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", "0\r\nbad trailer\r\n\r\n"),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}");
        assert_eq!(
            failure_of(answer.clone()).await,
            Failure::Malformed,
            "{answer:?}"
        );
    }
    // A number, but so large that the library keeps it for something else.
    let largest = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\nok", u64::MAX);
    assert_eq!(failure_of(largest).await, Failure::Oversize);
    let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(failure_of(old).await, Failure::Malformed);
}

#[tokio::test]
async fn endless_chunk_extensions_and_trailers_are_stopped() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for flood in ["2;", "0\r\nX: "] {
        let answer = format!("{head}{flood}{}", "a".repeat(1 << 20));
        assert_eq!(failure_of(answer).await, Failure::Malformed, "{flood:?}");
    }
}

#[tokio::test]
async fn a_switch_of_protocol_nobody_asked_for_is_malformed() {
    //= https://www.rfc-editor.org/rfc/rfc9110#section-7.8
    //# A server MUST NOT switch to a protocol that was not indicated by the client in the
    //# corresponding request's Upgrade header field.
    let switch = "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n";
    assert_eq!(failure_of(switch).await, Failure::Malformed);
}

#[tokio::test]
async fn a_body_is_kept_to_the_limit_and_the_answer_counts() {
    let body_max = limit::RESPONSE_BODY_BYTES;
    for (bytes, truncated) in [
        (body_max - 1, false),
        (body_max, false),
        (body_max + 1, true),
    ] {
        let receiver = Receiver::answering_once(format!(
            "HTTP/1.1 500 No\r\nContent-Length: {bytes}\r\n\r\n{}",
            "x".repeat(bytes)
        ))
        .await;
        let answer = answer(send(&client(), &receiver.url()).await);
        assert_eq!(answer.status, 500);
        assert_eq!(answer.response.body.len(), bytes.min(body_max));
        assert_eq!(answer.response.truncated, truncated, "{bytes}");
    }
}

/// Writes `frame` without end until the client hangs up, then tells.
async fn pouring(head: &'static str, frame: &'static [u8]) -> (Receiver, Arc<Notify>) {
    let hung_up = Arc::new(Notify::new());
    let tell = Arc::clone(&hung_up);
    let receiver = Receiver::start(move |mut stream| {
        let tell = Arc::clone(&tell);
        async move {
            read_request(&mut stream).await;
            stream.write_all(head.as_bytes()).await.ok();
            while stream.write_all(frame).await.is_ok() {}
            tell.notify_one();
        }
    })
    .await;
    (receiver, hung_up)
}

#[tokio::test]
async fn an_endless_body_is_cut_and_its_connection_closed() {
    for (head, frame) in [
        ("HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 4096][..]),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n",
            &[b'x'; 4096],
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"4\r\naaaa\r\n",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\na\r\n",
        ),
    ] {
        let (receiver, hung_up) = pouring(head, frame).await;
        let client = client();
        let answer = answer(send(&client, &receiver.url()).await);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.response.body.len(), limit::RESPONSE_BODY_BYTES);
        assert!(answer.response.truncated);
        hung_up.notified().await;
    }
}

#[tokio::test]
async fn compressed_answers_stay_as_they_came() {
    // A gzip member; what it would inflate to does not matter, because nobody does.
    let bytes = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x4b\x4c\x4a\x06\0\xc2\x41\x24\x35\x03\0\0\0";
    let mut text = format!(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        bytes.len()
    )
    .into_bytes();
    text.extend_from_slice(bytes);
    let receiver = Receiver::answering_once(text).await;
    let answer = answer(send(&client(), &receiver.url()).await);
    assert_eq!(answer.response.body, &bytes[..]);
}

#[tokio::test]
async fn header_values_that_are_not_text_are_shown_as_well_as_possible() {
    let bytes = b"HTTP/1.1 200 OK\r\nX-Odd: a\xffb\x9f\r\nContent-Length: 0\r\n\r\n";
    let receiver = Receiver::answering_once(&bytes[..]).await;
    let answer = answer(send(&client(), &receiver.url()).await);
    let shown = ("x-odd".to_owned(), "a\u{fffd}b\u{fffd}".to_owned());
    assert!(answer.response.headers.contains(&shown));
}

/// Peak resident memory of this process, in bytes.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("a peak");
    let kib: usize = line
        .split_whitespace()
        .nth(1)
        .expect("a number")
        .parse()
        .expect("a number");
    kib * 1024
}

#[tokio::test]
async fn a_thousand_endless_bodies_at_once_take_bounded_memory() {
    const PARALLEL: usize = 1_000;
    let (receiver, _) = pouring("HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 16 * 1024]).await;
    let client = Arc::new(client());
    let before = peak_memory();
    let mut attempts = JoinSet::new();
    for _ in 0..PARALLEL {
        let (client, url) = (Arc::clone(&client), receiver.url());
        attempts.spawn(async move {
            let answer = answer(send(&client, &url).await);
            assert!(answer.response.truncated);
            answer.response.body.len()
        });
    }
    let mut kept = 0;
    while let Some(body_bytes) = attempts.join_next().await {
        kept += body_bytes.expect("no panic");
    }
    assert_eq!(kept, PARALLEL * limit::RESPONSE_BODY_BYTES);
    // Twice what is kept for the growth of buffers, and as much again for the sockets and the
    // receiver, which shares the process. Without the limit it would be gigabytes.
    let grown = peak_memory() - before;
    assert!(
        grown < 4 * PARALLEL * limit::RESPONSE_BODY_BYTES,
        "{grown} bytes"
    );
}
