//! A store moves from a data folder into PostgreSQL, interrupted on the way, with all it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use watchfire_testkit::{Gate, Postgres, Receiver, Reply, Request, Script};

use crate::harness::{Api, Application, Ended, Setup, eventually, watchfire};

/// Messages of the history: several batches of a move.
const HISTORY: usize = 5_000;
/// Messages of one request.
const BATCH: usize = 1_000;
/// Records with a later message behind an earlier one that is owed.
const RECORDS: usize = 20;
/// Attempts after which an endpoint that fails is suspended.
const FAILURES: usize = 5;

async fn database() -> Postgres {
    tokio::task::spawn_blocking(Postgres::shared)
        .await
        .expect("a server")
}

fn migrate(setup: &Setup, to: &str) -> Command {
    let mut command = watchfire(&["migrate", "--to", to]);
    command.arg("--from").arg(setup.data());
    command
}

/// The line that says why a move failed.
async fn refusal(setup: &Setup, to: &str) -> String {
    let ended = Ended::of(&mut migrate(setup, to)).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let last = ended.stderr.lines().last().unwrap_or_default();
    let folder = setup.folder().display().to_string();
    last.replace(&folder, "[folder]")
}

/// Runs a move until it says something, and kills it there.
async fn killed_at(setup: &Setup, to: &str, words: &[&str]) {
    let mut command = migrate(setup, to);
    let mut child = command.stdout(Stdio::null()).spawn().expect("it runs");
    let stderr = child.stderr.take().expect("stderr is piped");
    let mut lines = BufReader::new(stderr).lines();
    loop {
        let line = lines.next_line().await.expect("text");
        let line = line.unwrap_or_else(|| panic!("it ended before it said {words:?}"));
        if words.iter().all(|word| line.contains(word)) {
            break;
        }
    }
    child.kill().await.expect("it ran");
}

/// A receiver with an endpoint that works, one that hangs and one that fails, until told otherwise.
struct World {
    receiver: Receiver,
    failing: Arc<AtomicBool>,
    gate: Gate,
    database: Postgres,
    url: String,
}

impl World {
    async fn new() -> Self {
        let failing = Arc::new(AtomicBool::new(true));
        let gate = Gate::closed();
        let script = {
            let (failing, gate) = (Arc::clone(&failing), gate.clone());
            Script::choose(move |request: &Request| match request.path() {
                "/hanging" => Reply::status(204).behind(&gate),
                "/failing" if failing.load(Ordering::Relaxed) => Reply::status(500),
                _ => Reply::status(204),
            })
        };
        let database = database().await;
        Self {
            receiver: Receiver::start(script).await,
            failing,
            gate,
            url: database.fresh_database(),
            database,
        }
    }

    /// Events that arrived under a path, in the order in which they did.
    fn arrived(&self, path: &str) -> Vec<(String, u64)> {
        let requests = self.receiver.requests();
        let there = requests.iter().filter(|request| request.path() == path);
        there.map(event_of).collect()
    }
}

fn event_of(request: &Request) -> (String, u64) {
    let payload: Value = serde_json::from_slice(&request.body).expect("what was posted");
    let record = payload["record"].as_str().unwrap_or_default();
    (record.to_owned(), payload["n"].as_u64().unwrap_or(u64::MAX))
}

/// What callers have seen and must see again.
async fn seen(app: &Application, endpoints: &[String]) -> BTreeMap<String, Value> {
    let api = &app.api;
    let mut seen = BTreeMap::new();
    for path in ["/msg", "/endpoint"] {
        seen.insert(path.to_owned(), json!(api.all(&app.path(path)).await));
    }
    for endpoint in endpoints {
        for rest in ["secret", "headers"] {
            let path = app.path(&format!("/endpoint/{endpoint}/{rest}"));
            seen.insert(path.clone(), api.get(&path).await.expect(200));
        }
    }
    for path in ["/app", "/event-type", "/auth/key"] {
        seen.insert(path.to_owned(), json!(api.all(path).await));
    }
    seen
}

async fn post_history(app: &Application) {
    for part in 0..HISTORY / BATCH {
        let message = |n: usize| {
            let n = part * BATCH + n;
            let payload = json!({ "n": n, "text": "a routine event with some text" });
            json!({
                "eventType": "threat.created", "eventId": format!("e{n}"),
                "recordKey": format!("r{}", n % 700), "payload": payload, "channels": ["working"]
            })
        };
        let messages: Vec<Value> = (0..BATCH).map(message).collect();
        let body = json!({ "messages": messages });
        let answer = app.api.post(&app.path("/msg-batch"), &body).await;
        assert!(answer.status < 300, "{}", answer.status);
    }
}

async fn post_records(app: &Application, channel: &str, round: u64) {
    for record in 0..RECORDS {
        let record = format!("{channel}{record}");
        let payload = json!({ "record": record, "n": round });
        app.send_event(&json!({
            "eventType": "threat.created", "recordKey": record, "payload": payload,
            "channels": [channel]
        }))
        .await;
    }
}

async fn endpoint(app: &Application, world: &World, name: &str) -> String {
    let settings = json!({
        "url": world.receiver.url(&format!("/{name}")), "uid": name, "channels": [name]
    });
    app.endpoint_with(&settings).await
}

async fn settled(app: &Application, endpoint: &str, count: usize) {
    eventually("all of it is delivered", async || {
        let stats = app.stats_of(endpoint).await;
        (stats["success"] == count && stats["pending"] == 0 && stats["sending"] == 0).then_some(())
    })
    .await;
}

async fn once(app: &Application, key: &str) -> Value {
    let event = json!({ "eventType": "threat.created", "payload": {}, "channels": ["nobody"] });
    let path = app.path("/msg");
    let answer = app
        .api
        .exchange(Method::POST, &path, Some(&event), Some(key))
        .await;
    answer.expect("an answer").expect(202)["id"].clone()
}

async fn api_key(api: &Api) -> String {
    let wanted = json!({ "name": "of the move", "scopes": ["admin"] });
    let made = api.post("/auth/key", &wanted).await.expect(201);
    made["key"].as_str().expect("a key").to_owned()
}

/// Tasks that are at work, which a killed server leaves behind.
async fn replayed(app: &Application, endpoint: &str) -> String {
    let path = app.path(&format!("/endpoint/{endpoint}/bulk-replay"));
    let started = app
        .api
        .post(&path, &json!({ "since": "2020-01-01T00:00:00Z" }))
        .await;
    assert!(started.status < 300, "{started:?}");
    let task: Value = serde_json::from_slice(&started.body).expect("a task");
    task["id"].as_str().expect("its id").to_owned()
}

#[tokio::test]
async fn a_store_moves_with_all_it_holds_however_often_it_is_interrupted() {
    let world = World::new().await;
    let setup = Setup::new()
        .flag("--retry-schedule", &delays())
        .config(RESTS);
    let server = setup.start().await;
    let app = Application::create(server.api()).await;
    let working = endpoint(&app, &world, "working").await;
    let failing = endpoint(&app, &world, "failing").await;
    let hanging = endpoint(&app, &world, "hanging").await;
    post_history(&app).await;
    settled(&app, &working, HISTORY).await;
    let answered = once(&app, "a-request").await;
    let key = api_key(server.api()).await;
    post_records(&app, "failing", 0).await;
    post_records(&app, "failing", 1).await;
    eventually("some have failed", async || {
        (world.arrived("/failing").len() >= FAILURES).then_some(())
    })
    .await;
    // Under way or in memory when the server is killed.
    post_records(&app, "hanging", 0).await;
    post_records(&app, "hanging", 1).await;
    let task = replayed(&app, &working).await;
    let endpoints = [working.clone(), failing.clone(), hanging.clone()];
    let before = seen(&app, &endpoints).await;
    server.kill().await;

    move_it(&world, &setup).await;

    let on = setup_on(&world, &setup);
    let server = on.start().await;
    let app = app.at(&server.api().with_token(&key));
    unchanged(&before, &seen(&app, &endpoints).await);
    assert_eq!(once(&app, "a-request").await, answered, "it is remembered");
    let known = json!({ "eventType": "threat.created", "eventId": "e7", "payload": {} });
    let twice = app.api.post(&app.path("/msg"), &known).await;
    assert_eq!(twice.status, 409, "an event id stays taken");

    world.failing.store(false, Ordering::Relaxed);
    world.gate.open();
    let path = app.path(&format!("/endpoint/{failing}/activate"));
    app.api.post(&path, &json!({})).await;
    settled(&app, &hanging, 2 * RECORDS).await;
    settled(&app, &failing, 2 * RECORDS).await;
    for path in ["/failing", "/hanging"] {
        in_order(&world.arrived(path));
    }
    let task = format!("/background-task/{task}");
    eventually("the replay ends", async || {
        let task = app.api.get(&task).await.expect(200);
        (task["status"] == "finished").then_some(())
    })
    .await;
    // Once more each, and not one of them twice.
    settled(&app, &working, 2 * HISTORY).await;
    // New messages stand above all that was moved.
    app.send(&json!({ "after": true })).await;
    assert_eq!(server.stop().await.code(), Some(0));
    drop(world.database);
}

/// Moves a store, which is interrupted three times.
async fn move_it(world: &World, setup: &Setup) {
    for words in [
        &["message:", "copied ("][..],
        &["attempt:", "copied ("],
        &["message:", "checked ("],
    ] {
        killed_at(setup, &world.url, words).await;
        let on = setup_on(world, setup);
        let half = Ended::of(&mut on.command()).await;
        assert_eq!(half.code, Some(1), "{half:?}");
        assert!(half.stderr.contains("is being moved into it"), "{half:?}");
    }
    let moved = Ended::of(&mut migrate(setup, &world.url)).await;
    assert!(
        moved.stderr.contains("it goes on where it was"),
        "{moved:?}"
    );
    let moved = moved.success();
    let messages = HISTORY + 4 * RECORDS + 1;
    assert!(moved.contains(&format!("{messages} messages")), "{moved}");
    let again = refusal(setup, &world.url).await;
    assert!(again.contains("holds data already"), "{again}");
}

/// An endpoint that is suspended stays so until the test activates it, however long a move takes.
const RESTS: &str = "[contracts.standard.health]\ncooldown = \"1h\"\n";

/// Retries soon, for longer than the test takes.
fn delays() -> String {
    ["2s"; 30].join(",")
}

/// A node of the database that the store was moved to.
fn setup_on(world: &World, source: &Setup) -> Setup {
    let master = std::fs::read_to_string(source.data().join("master.key")).expect("a key");
    Setup::new()
        .flag("--retry-schedule", &delays())
        .config(RESTS)
        .env("WATCHFIRE_DATABASE_URL", &world.url)
        .env("WATCHFIRE_MASTER_KEY", master.trim())
}

fn unchanged(before: &BTreeMap<String, Value>, after: &BTreeMap<String, Value>) {
    for (path, was) in before {
        let is = &after[path];
        assert!(
            same(path, was, is),
            "{path} was {:.2000} and is {:.2000}",
            was.to_string(),
            is.to_string()
        );
    }
}

/// Lists are the same; a key's last use is later.
fn same(path: &str, was: &Value, is: &Value) -> bool {
    if path != "/auth/key" {
        return was == is;
    }
    let ids = |list: &Value| -> BTreeSet<String> {
        let keys = list.as_array().expect("a list").iter();
        keys.map(|key| key["id"].to_string()).collect()
    };
    ids(was) == ids(is)
}

/// The first arrivals of each record come in its order.
fn in_order(arrived: &[(String, u64)]) {
    let mut reached: BTreeMap<&str, u64> = BTreeMap::new();
    for (record, n) in arrived {
        let last = reached.entry(record).or_insert(0);
        assert!(n >= last, "{record}: {n} after {last}");
        *last = *n;
    }
    assert_eq!(reached.len(), RECORDS);
    assert!(reached.values().all(|last| *last == 1), "{reached:?}");
}

#[tokio::test]
async fn what_can_not_be_moved_is_refused_and_says_why() {
    let database = database().await;
    let setup = Setup::new();
    let to = database.fresh_database();
    let missing = refusal(&setup, &to).await;
    assert!(
        missing.contains("there is no database in [folder]/data"),
        "{missing}"
    );
    let server = setup.start().await;
    Application::create(server.api()).await;
    let running = refusal(&setup, &to).await;
    assert!(
        running.contains("another server uses it (process "),
        "{running}"
    );
    assert_eq!(server.stop().await.code(), Some(0));

    let taken = database.fresh_database();
    let other = Setup::new().env("WATCHFIRE_DATABASE_URL", &taken);
    let server = other.start().await;
    Application::create(server.api()).await;
    assert_eq!(server.stop().await.code(), Some(0));
    let full = refusal(&setup, &taken).await;
    assert!(
        full.contains("holds data already, in application"),
        "{full}"
    );

    // A server ran on the source after the move had begun.
    killed_at(&setup, &to, &["application: all", "copied"]).await;
    let server = setup.start().await;
    assert_eq!(server.stop().await.code(), Some(0));
    let changed = refusal(&setup, &to).await;
    assert!(
        changed.contains("a server has run on the source since"),
        "{changed}"
    );

    // What stands there is not what was sent.
    let to = database.fresh_database();
    killed_at(&setup, &to, &["audit: all", "copied"]).await;
    let name = to.rsplit('/').next().expect("a name");
    database.run(name, "UPDATE application SET settings = '{}'");
    let differs = refusal(&setup, &to).await;
    assert!(
        differs.contains("application: 1 rows were sent and 1 are there"),
        "{differs}"
    );
}
