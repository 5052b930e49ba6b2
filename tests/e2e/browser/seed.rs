//! A server that has seen everything: all contracts, endpoints in every state, deliveries in every
//! state, notices.

use std::time::Duration;

use serde_json::{Value, json};
use watchfire_contracts::Catalog;
use watchfire_testkit::{Receiver, Reply, Request, Script};

use crate::harness::{Api, Application, Server, Setup, eventually};

/// The second attempt fails as well, and the third is owed for as long as a test looks.
const SCHEDULE: &str = "50ms,2h";
/// The products that insist on https meet a receiver without.
const CONFIG: &str = "\
[contracts.dfend.endpoint]
https = \"optional\"
[contracts.defense-com.endpoint]
https = \"optional\"
";
/// Our own contracts; they list no event types.
const OURS: [&str; 2] = ["standard", "envelope"];
/// Endpoints of the application: how the receiver treats them, and what they are for.
const ENDPOINTS: [(&str, &str); 6] = [
    ("healthy", "Case management"),
    ("fails", "SIEM of the second line"),
    ("hangs", "On-call paging"),
    ("gone", "A tool that was switched off"),
    ("flaky", "Chat of the blue team"),
    ("off", "Kept for the audit"),
];
const EVENTS: [(&str, &str); 4] = [
    ("threat.created", "thr_8121"),
    ("threat.updated", "thr_8121"),
    ("login.suspicious", "lgn_5512"),
    ("threat.closed", "thr_8121"),
];

/// A server and who is known to it.
pub(super) struct Seeded {
    pub(super) server: Server,
    /// With endpoints and deliveries in every state.
    pub(super) busy: Application,
    _receiver: Receiver,
    _setup: Setup,
}

impl Seeded {
    pub(super) async fn start() -> Self {
        let setup = Setup::new()
            .config(CONFIG)
            .flag("--retry-schedule", SCHEDULE)
            .flag("--attempt-timeout", "300ms");
        let receiver = Receiver::start(Script::choose(reply)).await;
        let server = setup.start().await;
        products(server.api(), &receiver).await;
        let busy = busy(server.api(), &receiver).await;
        Self {
            server,
            busy,
            _receiver: receiver,
            _setup: setup,
        }
    }

    /// A link to an application's portal.
    pub(super) async fn portal(&self, app: &Application, settings: &Value) -> String {
        portal(self.server.api(), app, settings).await
    }
}

/// A link to an application's portal.
pub(super) async fn portal(api: &Api, app: &Application, settings: &Value) -> String {
    let path = format!("/auth/app-portal-access/{}", app.id);
    let made = api.post(&path, settings).await.expect(200);
    made["url"].as_str().expect("a link").to_owned()
}

/// How the receiver treats each path.
fn reply(request: &Request) -> Reply {
    match request.path() {
        "/fails" => Reply::status(503)
            .header("Content-Type", "text/html")
            .body("<html><body><h1>503</h1><p>Try again later.</p></body></html>"),
        "/hangs" => Reply::hang(),
        "/gone" => Reply::status(410),
        "/flaky" if request.body.len().is_multiple_of(2) => {
            Reply::status(429).header("Retry-After", "3600")
        }
        _ => Reply::status(200)
            .header("Content-Type", "application/json")
            .body(r#"{"message":"ok"}"#)
            .after(Duration::from_millis(3)),
    }
}

/// An application for each product, with its events.
async fn products(api: &Api, receiver: &Receiver) {
    let catalog = Catalog::embedded();
    for contract in catalog.iter().filter(|one| !OURS.contains(&one.name())) {
        let name = contract.name();
        let title = &contract.manifest().title;
        let settings = json!({ "name": title, "uid": name, "contract": name });
        let app = Application::create_with(api, &settings).await;
        let url = receiver.url(&format!("/products/{name}"));
        app.endpoint_with(&json!({ "url": url, "description": "The customer's receiver" }))
            .await;
        for event in contract.event_types() {
            let payload: Value = serde_json::from_str(&event.sample).expect("samples are JSON");
            app.send_event(&json!({ "eventType": event.name, "payload": payload }))
                .await;
        }
    }
}

async fn busy(api: &Api, receiver: &Receiver) -> Application {
    let settings = json!({ "name": "Acme Bank", "uid": "acme", "metadata": { "plan": "gold" } });
    let app = Application::create_with(api, &settings).await;
    let mut endpoints = Vec::new();
    for (path, about) in ENDPOINTS {
        let settings = json!({
            "url": receiver.url(&format!("/{path}")),
            "description": about,
            "disabled": path == "off",
            "metadata": { "team": "blue" },
        });
        endpoints.push(app.endpoint_with(&settings).await);
    }
    for round in 0..15 {
        for (event_type, record) in EVENTS {
            let payload = json!({ "id": record, "round": round, "risk": "high" });
            let event = json!({
                "eventType": event_type,
                "payload": payload,
                "recordKey": record,
                "tags": ["night"],
            });
            app.send_event(&event).await;
        }
    }
    eventually("the endpoint that is gone is disabled", async || {
        let gone = app.endpoint_now(&endpoints[3]).await;
        (gone["disabled"] == true).then_some(())
    })
    .await;
    for failing in &endpoints[1..3] {
        eventually("attempts have failed", async || {
            (!app.attempts_at(failing).await.is_empty()).then_some(())
        })
        .await;
    }
    app
}
