//! The same server on PostgreSQL: a database that goes away, hangs or is not the right one.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use watchfire_testkit::{Gate, Postgres, Receiver, Reply, Request, Script};

use crate::harness::{Application, Setup, eventually};

/// What a producer would wait for an answer at most.
const AT_ONCE: Duration = Duration::from_secs(8);

fn on(database: &Postgres) -> Setup {
    on_url(&database.fresh_database())
}

pub(crate) fn on_url(url: &str) -> Setup {
    let setup = Setup::new().retrying_fast();
    setup.env("WATCHFIRE_DATABASE_URL", url)
}

async fn shared() -> Postgres {
    tokio::task::spawn_blocking(Postgres::shared)
        .await
        .expect("a server")
}

pub(crate) async fn private() -> Postgres {
    let start = || Postgres::private(&[]);
    tokio::task::spawn_blocking(start).await.expect("a server")
}

pub(crate) fn event(n: u64) -> Value {
    json!({ "eventType": "threat.created", "eventId": format!("e{n}"), "payload": { "n": n } })
}

pub(crate) fn number(request: &Request) -> u64 {
    let payload: Value = serde_json::from_slice(&request.body).expect("what was posted");
    payload["n"].as_u64().expect("a number")
}

/// Posts until one is accepted, and returns all that were.
pub(crate) async fn accepted_again(app: &Application, from: u64) -> BTreeSet<u64> {
    let mut accepted = BTreeSet::new();
    let mut n = from;
    eventually("messages are accepted again", async || {
        n += 1;
        let answer = app.api.post(&app.path("/msg"), &event(n)).await;
        (answer.status == 202).then(|| accepted.insert(n))
    })
    .await;
    accepted
}

/// A refusal that says when to try again, in a time in which nobody gives up.
pub(crate) async fn refused_at_once(app: &Application, n: u64) {
    let posted = app.path("/msg");
    let event = event(n);
    let answer = tokio::time::timeout(AT_ONCE, app.api.post(&posted, &event)).await;
    let answer = answer.expect("it is answered at once");
    let fault = answer.expect(503);
    assert_eq!(fault["code"], "unavailable", "{fault}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

/// Everything accepted arrives and nothing comes twice. What was refused because nobody knew may have
/// been stored, and is then delivered.
pub(crate) async fn arrives_once(
    app: &Application,
    endpoint: &str,
    receiver: &Receiver,
    accepted: &BTreeSet<u64>,
) {
    eventually("all of it arrives", async || {
        let arrived: BTreeSet<u64> = receiver.requests().iter().map(number).collect();
        arrived.is_superset(accepted).then_some(())
    })
    .await;
    eventually("nothing is left owing or unrecorded", async || {
        let stats = app.stats_of(endpoint).await;
        let settled = stats["pending"] == 0 && stats["sending"] == 0;
        (settled && stats["success"] == receiver.requests().len()).then_some(())
    })
    .await;
    let numbers: Vec<u64> = receiver.requests().iter().map(number).collect();
    let distinct: BTreeSet<u64> = numbers.iter().copied().collect();
    assert_eq!(numbers.len(), distinct.len(), "each came once: {numbers:?}");
}

#[tokio::test]
async fn messages_are_accepted_and_delivered_and_survive_a_kill() {
    let receiver = Receiver::start(Script::always(Reply::status(204))).await;
    let database = shared().await;
    let setup = on(&database);
    let server = setup.start().await;
    let app = Application::create(server.api()).await;
    let endpoint = app.endpoint(&receiver.url("/")).await;
    for n in 0..20 {
        app.send_event(&event(n)).await;
    }
    server.kill().await;
    let server = setup.start().await;
    let app = app.at(server.api());
    app.send_event(&event(20)).await;
    eventually("all outcomes are recorded", async || {
        let stats = app.stats_of(&endpoint).await;
        (stats["success"] == 21).then_some(())
    })
    .await;
    let arrived: BTreeSet<u64> = receiver.requests().iter().map(number).collect();
    assert_eq!(arrived, (0..21).collect::<BTreeSet<u64>>());
    assert_eq!(server.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_database_that_restarts_costs_no_message() {
    let gate = Gate::closed();
    let receiver = Receiver::start(Script::always(Reply::status(204).behind(&gate))).await;
    let database = private().await;
    let server = on(&database).start().await;
    let app = Application::create(server.api()).await;
    let endpoint = app.endpoint(&receiver.url("/")).await;
    let mut accepted = BTreeSet::new();
    for n in 0..4 {
        app.send_event(&event(n)).await;
        accepted.insert(n);
    }
    receiver.wait_for_count(1).await;
    database.crash();
    refused_at_once(&app, 100).await;
    // What is under way ends, although its outcome can't be written down.
    gate.open();
    receiver.wait_for_count(4).await;
    database.start_again();
    accepted.extend(accepted_again(&app, 200).await);
    arrives_once(&app, &endpoint, &receiver, &accepted).await;
    assert_eq!(server.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_database_that_hangs_refuses_messages_at_once() {
    let receiver = Receiver::start(Script::always(Reply::status(204))).await;
    let database = private().await;
    let server = on(&database).start().await;
    let app = Application::create(server.api()).await;
    let endpoint = app.endpoint(&receiver.url("/")).await;
    app.send_event(&event(0)).await;
    eventually("the first is delivered", async || {
        let stats = app.stats_of(&endpoint).await;
        (stats["success"] == 1).then_some(())
    })
    .await;
    database.freeze();
    refused_at_once(&app, 100).await;
    refused_at_once(&app, 101).await;
    database.thaw();
    let accepted = accepted_again(&app, 200).await;
    arrives_once(&app, &endpoint, &receiver, &accepted).await;
    assert_eq!(server.stop().await.code(), Some(0));
}

#[tokio::test]
async fn what_is_wrong_with_a_database_is_said_in_one_line() {
    let database = shared().await;
    let refusal = async |url: &str| {
        let setup = Setup::new().env("WATCHFIRE_DATABASE_URL", url);
        setup.refusal().await
    };
    let nowhere = refusal("postgres://u:secret@127.0.0.1:1/x").await;
    assert!(
        nowhere.contains("reach the database at 127.0.0.1:1/x"),
        "{nowhere}"
    );
    assert!(!nowhere.contains("secret"), "{nowhere}");
    let unknown = refusal(&database.url("nothing")).await;
    assert!(unknown.contains("no database of this name"), "{unknown}");
    let mode = refusal("postgres://u@h/x?sslmode=maybe").await;
    assert!(
        mode.contains("WATCHFIRE_DATABASE_URL: sslmode is"),
        "{mode}"
    );
    let encrypted = format!("{}?sslmode=require", database.url("postgres"));
    let plain = refusal(&encrypted).await;
    assert!(plain.contains("TLS"), "{plain}");
}

#[tokio::test]
async fn a_node_with_another_master_key_is_refused() {
    let database = private().await;
    let url = database.fresh_database();
    let on = |key: &str| {
        let setup = Setup::new().env("WATCHFIRE_DATABASE_URL", &url);
        setup.env("WATCHFIRE_MASTER_KEY", key)
    };
    let one = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let other = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA=";
    let server = on(one).start().await;
    let refusal = on(other).refusal().await;
    assert!(refusal.contains("another master key"), "{refusal}");
    assert_eq!(server.stop().await.code(), Some(0));
    let short = on("c2hvcnQ=").refusal().await;
    assert!(
        short.contains("WATCHFIRE_MASTER_KEY: is not 32 bytes"),
        "{short}"
    );
}

#[tokio::test]
async fn a_node_takes_over_what_a_killed_one_left() {
    const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let receiver = Receiver::start(Script::always(Reply::status(204))).await;
    let database = shared().await;
    let url = database.fresh_database();
    let node = || {
        let setup = Setup::new().env("WATCHFIRE_DATABASE_URL", &url);
        setup.retrying_fast().env("WATCHFIRE_MASTER_KEY", KEY)
    };
    let (one, two) = (node(), node());
    let (first, second) = (one.start().await, two.start().await);
    let app = Application::create(first.api()).await;
    let mut endpoints = Vec::new();
    for _ in 0..6 {
        endpoints.push(app.endpoint(&receiver.url("/")).await);
    }
    let at_second = app.at(second.api());
    eventually("the other node knows the application", async || {
        let answer = at_second.api.post(&app.path("/msg"), &event(0)).await;
        (answer.status == 202).then_some(())
    })
    .await;
    for n in 1..40 {
        let app = if n % 2 == 0 { &app } else { &at_second };
        app.send_event(&event(n)).await;
    }
    second.kill().await;
    for n in 40..50 {
        app.send_event(&event(n)).await;
    }
    eventually("every endpoint has got every message", async || {
        for endpoint in &endpoints {
            let stats = app.stats_of(endpoint).await;
            if stats["success"] != 50 {
                return None;
            }
        }
        Some(())
    })
    .await;
    let arrived: BTreeSet<u64> = receiver.requests().iter().map(number).collect();
    assert_eq!(arrived, (0..50).collect::<BTreeSet<u64>>());
    assert_eq!(first.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_row_that_cannot_be_read_stops_no_other_endpoint() {
    let receiver = Receiver::start(Script::always(Reply::status(204))).await;
    let database = shared().await;
    let url = database.fresh_database();
    let (_, name) = url.rsplit_once('/').expect("a database");
    let setup = on_url(&url);
    let server = setup.start().await;
    let app = Application::create(server.api()).await;
    for path in ["/damaged", "/sound"] {
        app.endpoint(&receiver.url(path)).await;
    }
    let soon = "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '3 s', \
         'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')";
    let soon = database.run(name, soon);
    let event = json!({
        "eventType": "threat.created",
        "payload": { "n": 1 },
        "deliverAt": soon.trim(),
    });
    app.send_event(&event).await;
    let damage = "ALTER TABLE owed DROP CONSTRAINT owed_trigger_check; \
         UPDATE owed SET trigger = 9 WHERE endpoint = (SELECT min(endpoint) FROM owed)";
    database.run(name, damage);
    receiver.wait_for_count(1).await;
    eventually("an operator is told", async || {
        let log = server.log();
        let told = log.contains("nothing that is owed to this endpoint can be sent");
        (told && log.contains("read owed.trigger of row")).then_some(())
    })
    .await;
    assert_eq!(server.stop().await.code(), Some(0));
    database.run(name, "UPDATE owed SET trigger = 0 WHERE trigger = 9");
    let server = setup.start().await;
    receiver.wait_for_count(2).await;
    let requests = receiver.requests();
    let targets: Vec<_> = requests.iter().map(|request| &*request.target).collect();
    assert_eq!(targets, ["/sound", "/damaged"]);
    assert_eq!(server.stop().await.code(), Some(0));
}
