//! Verifiers of others accept what we sign, and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderMap;
use serde_json::{Value, json};
use watchfire_testkit::{Receiver, Reply, Request, Script};

use crate::harness::{Application, Setup, node, python, run_judge};

/// Headers a signature is about.
const SIGNED: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// A delivery, a secret to check it with, and whether it has to be trusted.
#[derive(Clone)]
struct Case {
    about: &'static str,
    secret: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    trusted: bool,
}

impl Case {
    fn new(about: &'static str, secret: &str, request: &Request, trusted: bool) -> Self {
        let header = |name: &str| {
            let value = request.header(name).expect("a delivery is signed");
            (name.to_owned(), value.to_owned())
        };
        Self {
            about,
            secret: secret.to_owned(),
            headers: SIGNED.map(header).to_vec(),
            body: request.body.to_vec(),
            trusted,
        }
    }

    /// The same case with something changed on the way: it must not be trusted any more.
    fn forged(&self, about: &'static str, change: impl FnOnce(&mut Self)) -> Self {
        let mut forged = self.clone();
        forged.about = about;
        forged.trusted = false;
        change(&mut forged);
        forged
    }

    fn header(&mut self, name: &str) -> &mut String {
        let mut headers = self.headers.iter_mut();
        let found = headers.find(|(known, _)| known == name);
        &mut found.expect("it is one of the signed headers").1
    }

    fn json(&self) -> Value {
        let headers = self.headers.iter().cloned();
        json!({
            "about": self.about,
            "secret": self.secret,
            "headers": headers.map(|(name, value)| (name, value.into())).collect::<serde_json::Map<_, Value>>(),
            "body": BASE64.encode(&self.body),
            "trusted": self.trusted,
        })
    }

    fn judge_with_the_rust_crate(&self) {
        let verifier = standardwebhooks::Webhook::new(&self.secret).expect("a valid secret");
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name: http::HeaderName = name.parse().expect("a valid name");
            headers.insert(name, value.parse().expect("a valid value"));
        }
        let trusted = verifier.verify(&self.body, &headers).is_ok();
        assert_eq!(trusted, self.trusted, "{}", self.about);
    }
}

/// A trusted delivery, and every way to tamper with it by one bit or letter.
fn with_forgeries(genuine: &Case) -> Vec<Case> {
    let flip = |letter: &str| if letter == "A" { "B" } else { "A" };
    vec![
        genuine.clone(),
        genuine.forged("first bit of the body", |case| case.body[0] ^= 1),
        genuine.forged("last bit of the body", |case| {
            *case.body.last_mut().expect("a body") ^= 1;
        }),
        genuine.forged("one letter of the signature", |case| {
            let signatures = case.header("webhook-signature");
            let forged = signatures.split(' ').map(|signature| {
                let changed = flip(&signature[3..4]);
                format!("{}{changed}{}", &signature[..3], &signature[4..])
            });
            *signatures = forged.collect::<Vec<_>>().join(" ");
        }),
        genuine.forged("one letter of the id", |case| {
            let id = case.header("webhook-id");
            let changed = flip(&id[id.len() - 1..]);
            id.replace_range(id.len() - 1.., changed);
        }),
        genuine.forged("one second of the timestamp", |case| {
            let timestamp = case.header("webhook-timestamp");
            let seconds: u64 = timestamp.parse().expect("a number");
            *timestamp = (seconds - 1).to_string();
        }),
        genuine.forged("another secret", |case| {
            case.secret = format!("whsec_{}", BASE64.encode([7; 24]));
        }),
    ]
}

async fn secret(app: &Application, endpoint: &str) -> String {
    let path = app.path(&format!("/endpoint/{endpoint}/secret"));
    let answer = app.api.get(&path).await.expect(200);
    answer["key"].as_str().expect("a text").to_owned()
}

/// Deliveries as they came over the wire: one before its secret was replaced, one while both the
/// old and the new one are alive.
async fn deliveries() -> Vec<Case> {
    let receiver = Receiver::start(Script::always(Reply::status(204))).await;
    let setup = Setup::new().env("WATCHFIRE_SIGNATURE_HEADERS", "webhook,svix");
    let server = setup.start().await;
    let app = Application::create(server.api()).await;
    let endpoint = app.endpoint(&receiver.url("/")).await;
    let old = secret(&app, &endpoint).await;
    app.send(&json!({ "text": "größer als \u{1f525}", "n": 1.50 }))
        .await;
    receiver.wait_for_count(1).await;
    let rotate = app.path(&format!("/endpoint/{endpoint}/secret/rotate"));
    app.api.post(&rotate, &json!({})).await.expect(200);
    let new = secret(&app, &endpoint).await;
    app.send(&json!({ "spaces": "are  kept" })).await;
    let requests = receiver.wait_for_count(2).await;
    let (first, second) = (&requests[0], &requests[1]);
    for request in [first, second] {
        for name in SIGNED {
            let branded = request.header(&name.replace("webhook-", "svix-"));
            assert_eq!(request.header(name), branded, "both families say the same");
        }
    }
    let signatures = second.header("webhook-signature").expect("it is signed");
    assert_eq!(signatures.split(' ').count(), 2, "{signatures}");
    vec![
        Case::new("before the rotation", &old, first, true),
        Case::new("not yet made", &new, first, false),
        Case::new("the new secret during rotation", &new, second, true),
        Case::new("the old secret during rotation", &old, second, true),
    ]
}

#[tokio::test]
async fn verifiers_of_others_trust_what_was_signed_and_nothing_that_was_changed() {
    let deliveries = deliveries().await;
    let (genuine, refused): (Vec<_>, Vec<_>) =
        deliveries.into_iter().partition(|case| case.trusted);
    let mut cases: Vec<_> = genuine.iter().flat_map(with_forgeries).collect();
    cases.extend(refused);
    for case in &cases {
        case.judge_with_the_rust_crate();
    }
    let input = cases.iter().map(Case::json).collect::<Value>().to_string();
    run_judge(python("svix1", "verify.py"), &input).await;
    run_judge(python("svix2", "verify.py"), &input).await;
    run_judge(node("verify.js"), &input).await;
}
