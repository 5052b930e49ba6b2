//! An organization or an application that was erased leaves no trace of its payloads; what belongs to
//! others stays.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use http::Method;
use serde_json::{Value, json};
use watchfire_testkit::{Postgres, Receiver, Reply, Script};

use crate::harness::{Api, Application, Ended, JWT_SECRET, Server, Setup, eventually, watchfire};

/// Stands in payloads, in what they are about, and in what receivers answer.
const SECRET: &str = "correct-horse-battery-staple";
/// The same of somebody who stays.
const OTHER: &str = "somebody-elses-own-business";

/// What can be read from a store, whoever may read it.
type Contents<'a> = &'a dyn Fn() -> Vec<u8>;

fn holds(contents: &[u8], text: &str) -> bool {
    let hex = text.bytes().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a text takes all");
        hex
    });
    let found = |needle: &[u8]| contents.windows(needle.len()).any(|part| part == needle);
    found(text.as_bytes()) || found(hex.as_bytes())
}

async fn token(organization: &str) -> String {
    let mut command = watchfire(&["token", "--org", organization]);
    command.env("WATCHFIRE_JWT_SECRET", JWT_SECRET);
    let printed = Ended::of(&mut command).await.success();
    printed.trim().to_owned()
}

/// Messages about a secret: delivered, owed, and with an answer that is remembered.
async fn tell_secrets(api: &Api, receiver: &Receiver, secret: &str) -> Application {
    let app = Application::create(api).await;
    let endpoint = app.endpoint(&receiver.url("/")).await;
    app.endpoint("http://127.0.0.1:49151/nobody-listens").await;
    for (n, key) in [(0, Some("key")), (1, None)] {
        let event = json!({
            "eventType": "secret.told",
            "eventId": format!("{n}"),
            "recordKey": secret,
            "payload": { "n": n, "text": secret },
        });
        let path = app.path("/msg?with_content=true");
        let key = key.map(|key| format!("{key}-{secret}"));
        let answer = api.exchange(Method::POST, &path, Some(&event), key.as_deref());
        answer.await.expect("answered").expect(202);
    }
    eventually("both are delivered where somebody listens", async || {
        (app.stats_of(&endpoint).await["success"] == 2).then_some(())
    })
    .await;
    app
}

/// A receiver that says again what it was told.
async fn parrot() -> Receiver {
    let script = Script::choose(|request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        Reply::status(200).body(body)
    });
    Receiver::start(script).await
}

async fn erase(server: &Server, token: &str, yes: bool) -> Ended {
    let address = format!("http://{}", server.address());
    let mut arguments = vec!["erase", "--server", &address];
    if yes {
        arguments.push("--yes");
    }
    let mut command = watchfire(&arguments);
    Ended::of(command.env("WATCHFIRE_TOKEN", token)).await
}

async fn everything_goes(setup: &Setup, while_it_runs: Contents<'_>, stopped: Contents<'_>) {
    let receiver = parrot().await;
    let server = setup.start().await;
    let (token_one, token_two) = (token("org_one").await, token("org_two").await);
    let one = Api::new(server.address(), &token_one);
    let two = Api::new(server.address(), &token_two);
    tell_secrets(&one, &receiver, SECRET).await;
    let staying = tell_secrets(&two, &receiver, OTHER).await;
    let leaving = tell_secrets(&two, &receiver, SECRET).await;
    assert!(holds(&while_it_runs(), SECRET), "the test can see it");

    let asked = erase(&server, &token_one, false).await;
    assert_eq!(asked.code, Some(1));
    assert!(asked.stderr.contains("--yes"), "{}", asked.stderr);
    let erased = erase(&server, &token_one, true).await.success();
    assert!(erased.contains("1 applications erased."), "{erased}");
    assert_eq!(one.get("/app").await.status, 401, "its token has ended");
    let path = leaving.path("");
    let deleted = two.exchange(Method::DELETE, &path, None, None);
    deleted.await.expect("answered").expect(204);

    // A start tidies up at once.
    assert_eq!(server.stop().await.code(), Some(0));
    let server = setup.start().await;
    eventually("nothing of it can be read", async || {
        (!holds(&while_it_runs(), SECRET)).then_some(())
    })
    .await;
    let staying = staying.at(&Api::new(server.address(), &token_two));
    let messages = staying
        .api
        .get(&staying.path("/msg?with_content=true"))
        .await;
    let messages: Value = messages.expect(200);
    assert_eq!(messages["data"].as_array().map(Vec::len), Some(2));
    assert!(messages.to_string().contains(OTHER));
    assert_eq!(server.stop().await.code(), Some(0));
    assert!(!holds(&stopped(), SECRET));
    assert!(holds(&stopped(), OTHER));
}

/// All bytes of the files of a folder.
fn bytes_of(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in fs::read_dir(folder).expect("read it") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            bytes.extend(fs::read(&path).unwrap_or_default());
        }
    }
    bytes
}

#[tokio::test]
async fn what_is_erased_is_gone_from_the_files_of_the_embedded_store() {
    let setup = Setup::new().retrying_fast();
    let data = setup.data();
    let contents = || bytes_of(&data);
    everything_goes(&setup, &contents, &contents).await;
}

#[tokio::test]
async fn what_is_erased_is_gone_from_all_tables_of_the_shared_store() {
    let database = tokio::task::spawn_blocking(Postgres::shared);
    let database = database.await.expect("a server");
    let url = database.fresh_database();
    let (_, name) = url.rsplit_once('/').expect("a database");
    let rows = || {
        let list = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'";
        let tables = database.run(name, list);
        let rows = tables.lines();
        let rows = rows.map(|table| database.run(name, &format!("SELECT t::text FROM {table} t")));
        rows.collect::<Vec<_>>().join("\n").into_bytes()
    };
    let setup = Setup::new().retrying_fast();
    let setup = setup.env("WATCHFIRE_DATABASE_URL", &url);
    everything_goes(&setup, &rows, &rows).await;
}
