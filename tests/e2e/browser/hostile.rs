//! Hostile texts in everything that is stored: the pages show them and run nothing.

use http::Method;
use serde_json::{Value, json};
use watchfire_testkit::{Receiver, Reply, Script};

use super::driver::Tour;
use super::seed::portal;
use crate::harness::{Application, Server, Setup, eventually};

/// Texts that would run, break out, or disturb the page. What they run is the trap of
/// `tests/node/browser/watch.js`; what they add has the attribute `data-hostile`.
const TEXTS: [&str; 14] = [
    "<script>watchfireTrap('script')</script>",
    "<img data-hostile src=x onerror=watchfireTrap('img')>",
    "<svg data-hostile onload=watchfireTrap('svg')>",
    "\"><b data-hostile onmouseover=watchfireTrap('attribute')>b</b>",
    "' autofocus onfocus=watchfireTrap('single') data-hostile='",
    "</title></textarea></pre></code><i data-hostile>i</i>",
    "<!--<i data-hostile>--><style>*{display:none}</style>",
    "javascript:watchfireTrap('address')",
    "{{constructor.constructor('watchfireTrap(1)')()}} ${watchfireTrap(2)} <%= 7*7 %>",
    "&lt;i&gt; &amp;amp; &#x3c;script&#x3e;",
    "\u{202e}desrever\u{202c} \u{200b}zero\u{feff}width\u{0301}\u{0301}\u{0301}",
    "null",
    "🧨👩\u{200d}🚒 שלום مرحبا",
    "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
];

/// An application for each text, which stands in every field that takes it.
async fn sow(server: &Server, receiver: &Receiver) -> Vec<Application> {
    let mut apps = Vec::new();
    for (number, text) in TEXTS.into_iter().enumerate() {
        let settings = json!({ "name": text, "metadata": { "note": text } });
        let app = Application::create_with(server.api(), &settings).await;
        fill(&app, receiver, number, text).await;
        apps.push(app);
    }
    apps
}

async fn fill(app: &Application, receiver: &Receiver, number: usize, text: &str) {
    let query = text.replace(|c: char| !c.is_ascii_alphanumeric(), "%3C");
    let endpoint = app
        .endpoint_with(&json!({
            "url": receiver.url(&format!("/x?q={query}")),
            "description": text,
            "metadata": { "note": text },
        }))
        .await;
    let headers = json!({ "headers": { "X-Hostile": text } });
    offer(
        app,
        Method::PUT,
        &format!("/endpoint/{endpoint}/headers"),
        &headers,
    )
    .await;
    let kind =
        json!({ "name": format!("hostile.{number}"), "description": text, "groupName": text });
    let made = app.api.post("/event-type", &kind).await;
    assert!(matches!(made.status, 201 | 422), "{:?}", made.body);
    let event = json!({
        "eventType": format!("hostile.{number}"),
        "payload": { "text": text, text: [text, { "deep": text }] },
        "recordKey": text,
    });
    app.send_event(&event).await;
    for extra in ["tags", "channels"] {
        let mut event = event.clone();
        event[extra] = json!([text]);
        offer(app, Method::POST, "/msg", &event).await;
    }
    eventually("the receiver has answered", async || {
        (!app.attempts_at(&endpoint).await.is_empty()).then_some(())
    })
    .await;
}

/// Stores a text where the API may refuse it.
async fn offer(app: &Application, method: Method, path: &str, body: &Value) {
    let answer = app
        .api
        .exchange(method, &app.path(path), Some(body), None)
        .await;
    let status = answer.expect("the server answers").status;
    assert!(matches!(status, 200..=204 | 400 | 422), "{path}: {status}");
}

/// Answers with every text, in its body and its headers.
fn hostile_reply() -> Reply {
    let mut reply = Reply::status(500).header("Content-Type", "text/html");
    for text in TEXTS.iter().filter(|text| text.is_ascii()) {
        reply = reply.header("X-Hostile", text);
    }
    reply.body(TEXTS.join("\n"))
}

#[tokio::test]
async fn hostile_texts_are_shown_and_never_run() {
    let receiver = Receiver::start(Script::always(hostile_reply())).await;
    let setup = Setup::new().flag("--retry-schedule", "2h");
    let server = setup.start().await;
    sow(&server, &receiver).await;
    let texts: Vec<_> = TEXTS.into();
    let report = Tour::new("hostile", &server)
        .with("texts", texts)
        .go()
        .await;
    report.expect_shapes(&["/dashboard/apps/{app}/endpoints"]);
    report.expect_nothing_wrong();
}

#[tokio::test]
async fn hostile_texts_do_nothing_in_a_portal() {
    let receiver = Receiver::start(Script::always(hostile_reply())).await;
    let setup = Setup::new().flag("--retry-schedule", "2h");
    let server = setup.start().await;
    let apps = sow(&server, &receiver).await;
    let link = portal(server.api(), &apps[1], &json!({})).await;
    let texts = vec![TEXTS[1]];
    let tour = Tour::new("hostile", &server).with("texts", texts);
    tour.with("link", link).go().await.expect_nothing_wrong();
}
