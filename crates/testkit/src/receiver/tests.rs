use std::panic::AssertUnwindSafe;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::{Gate, Reply};

/// A client as plain as the receiver: what is written is what was typed here.
async fn connect(receiver: &Receiver) -> TcpStream {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test is the peer; there is no address policy to go round"
    )]
    let socket = TcpStream::connect(receiver.address()).await;
    socket.expect("the receiver listens")
}

const SHORT: &[u8] =
    b"POST /hook?a=1 HTTP/1.1\r\nHost: x\r\nX-Odd-CASE: yes\r\nContent-Length: 2\r\n\r\nhi";

async fn exchange(socket: &mut TcpStream, request: &[u8]) -> String {
    socket.write_all(request).await.expect("writable");
    let mut answer = vec![0; 4_096];
    let read = socket.read(&mut answer).await.expect("readable");
    answer.truncate(read);
    String::from_utf8(answer).expect("UTF-8")
}

#[tokio::test]
async fn requests_are_recorded_as_they_were_spelled() {
    let receiver = Receiver::start(Script::statuses([204])).await;
    let mut socket = connect(&receiver).await;
    let answer = exchange(&mut socket, SHORT).await;
    assert_eq!(answer, "HTTP/1.1 204 \r\n\r\n");
    let requests = receiver.wait_for_count(1).await;
    assert_eq!(requests[0].method, "POST");
    assert_eq!(requests[0].target, "/hook?a=1");
    assert_eq!(requests[0].path(), "/hook");
    assert_eq!(
        requests[0].headers[1],
        ("X-Odd-CASE".to_owned(), "yes".to_owned())
    );
    assert_eq!(requests[0].header("x-odd-case"), Some("yes"));
    assert_eq!(requests[0].body, "hi");
}

#[tokio::test]
async fn a_chunked_body_is_put_together() {
    let receiver = Receiver::start(Script::statuses([200])).await;
    let mut socket = connect(&receiver).await;
    let request =
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    exchange(&mut socket, request).await;
    assert_eq!(receiver.requests()[0].body, "abcde");
}

#[tokio::test]
async fn connections_are_kept_and_numbered() {
    let receiver = Receiver::start(Script::always(Reply::status(200))).await;
    let (mut first, mut second) = (connect(&receiver).await, connect(&receiver).await);
    for socket in [&mut first, &mut second] {
        exchange(socket, SHORT).await;
        exchange(socket, SHORT).await;
    }
    let requests = receiver.requests();
    assert_eq!(requests[0].connection, requests[1].connection);
    assert_ne!(requests[1].connection, requests[2].connection);
}

#[tokio::test]
async fn statuses_follow_their_order_and_then_the_last_word() {
    let script = Script::statuses([500, 429]).then_always(Reply::status(200));
    let receiver = Receiver::start(script).await;
    let mut socket = connect(&receiver).await;
    for expected in ["500", "429", "200", "200"] {
        let answer = exchange(&mut socket, SHORT).await;
        assert!(answer.contains(expected), "{answer}");
    }
}

#[tokio::test]
async fn a_script_may_look_at_the_request_and_be_replaced() {
    let by_path = |request: &Request| match request.path() {
        "/hook" => Reply::status(202).header("X-Seen", "1").body("ok"),
        _ => Reply::status(404),
    };
    let receiver = Receiver::start(Script::choose(by_path)).await;
    let mut socket = connect(&receiver).await;
    let answer = exchange(&mut socket, SHORT).await;
    assert_eq!(
        answer,
        "HTTP/1.1 202 \r\nX-Seen: 1\r\nContent-Length: 2\r\n\r\nok"
    );
    receiver.follow(Script::statuses([410]));
    assert!(exchange(&mut socket, SHORT).await.contains("410"));
}

#[tokio::test]
async fn a_gate_holds_answers_back() {
    let gate = Gate::closed();
    let receiver = Receiver::start(Script::always(Reply::status(200).behind(&gate))).await;
    let mut sockets = [connect(&receiver).await, connect(&receiver).await];
    for socket in &mut sockets {
        socket.write_all(SHORT).await.expect("writable");
    }
    receiver.wait_for_count(2).await;
    assert_eq!(receiver.most_at_once(), 2);
    gate.open();
    for socket in &mut sockets {
        assert!(exchange(socket, b"").await.contains("200"));
    }
}

#[tokio::test]
async fn closing_and_raw_bytes_end_the_connection() {
    let script = Script::replies([Reply::close(), Reply::raw("nonsense")]);
    let receiver = Receiver::start(script).await;
    assert_eq!(exchange(&mut connect(&receiver).await, SHORT).await, "");
    let mut socket = connect(&receiver).await;
    assert_eq!(exchange(&mut socket, SHORT).await, "nonsense");
    assert_eq!(exchange(&mut socket, b"").await, "");
}

#[tokio::test]
async fn a_hanging_receiver_has_read_the_request_and_says_nothing() {
    let script = Script::replies([Reply::hang(), Reply::raw_then_hang("HTTP/1.1 200")]);
    let receiver = Receiver::start(script).await;
    let mut socket = connect(&receiver).await;
    socket.write_all(SHORT).await.expect("writable");
    receiver.wait_for_count(1).await;
    let silence = socket.try_read(&mut [0; 8]).expect_err("nothing to read");
    assert_eq!(silence.kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(
        exchange(&mut connect(&receiver).await, SHORT).await,
        "HTTP/1.1 200"
    );
}

#[tokio::test]
async fn an_endless_body_goes_on_and_a_dripping_one_comes_in_bytes() {
    let script = Script::replies([
        Reply::endless(),
        Reply::raw("abc").dripping(Duration::from_millis(1)),
    ]);
    let receiver = Receiver::start(script).await;
    let mut socket = connect(&receiver).await;
    socket.write_all(SHORT).await.expect("writable");
    let mut much = vec![0; 1024 * 1024];
    socket.read_exact(&mut much).await.expect("it goes on");
    let mut socket = connect(&receiver).await;
    socket.write_all(SHORT).await.expect("writable");
    let mut dripped = String::new();
    socket.read_to_string(&mut dripped).await.expect("it ends");
    assert_eq!(dripped, "abc");
}

#[tokio::test]
async fn an_unexpected_request_fails_the_test() {
    let receiver = Receiver::start(Script::silence()).await;
    let answer = exchange(&mut connect(&receiver).await, SHORT).await;
    assert!(answer.contains("500"), "{answer}");
    let dropped = std::panic::catch_unwind(AssertUnwindSafe(|| drop(receiver)));
    assert!(dropped.is_err());
}

#[tokio::test]
async fn a_receiver_can_come_back_where_another_was() {
    let first = Receiver::start(Script::silence()).await;
    let address = first.stop().await;
    let second = Receiver::start_at(address, Script::statuses([200])).await;
    exchange(&mut connect(&second).await, SHORT).await;
    assert_eq!(second.url("/x"), format!("http://{address}/x"));
}
