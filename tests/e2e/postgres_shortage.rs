//! A database that has no room, or answers too late.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use watchfire_testkit::{Gate, Receiver, Reply, Script};

use crate::harness::{Application, eventually, fill, is_apart, must};
use crate::postgres::{
    accepted_again, arrives_once, event, number, on_url, private, refused_at_once,
};

/// Room for the tables of a small store and then some.
const DISK: &str = "64m";
/// A payload that needs new pages, however many there are left over.
const LARGE_BYTES: usize = 200_000;

#[tokio::test]
async fn a_table_that_somebody_locks_refuses_messages_at_once() {
    let gate = Gate::closed();
    let receiver = Receiver::start(Script::always(Reply::status(204).behind(&gate))).await;
    let database = private().await;
    let url = database.fresh_database();
    let (_, name) = url.rsplit_once('/').expect("a database");
    // Refusals take their time while the first attempts hang.
    let setup = on_url(&url).flag("--attempt-timeout", "2m");
    let server = setup.start().await;
    let app = Application::create(server.api()).await;
    let endpoint = app.endpoint(&receiver.url("/")).await;
    let mut accepted = BTreeSet::new();
    for n in 0..4 {
        app.send_event(&event(n)).await;
        accepted.insert(n);
    }
    receiver.wait_for_count(1).await;
    let lock = "BEGIN; LOCK TABLE message, attempt IN ACCESS EXCLUSIVE MODE";
    let session = database.session(name, lock);
    // Longer than every deadline: the first waits for its own, whoever comes later is told at once.
    for n in 0..4 {
        refused_at_once(&app, 100 + n).await;
    }
    // What is under way ends, although its outcome can't be written down.
    gate.open();
    receiver.wait_for_count(4).await;
    refused_at_once(&app, 104).await;
    drop(session);
    accepted.extend(accepted_again(&app, 200).await);
    arrives_once(&app, &endpoint, &receiver, &accepted).await;
    assert_eq!(server.stop().await.code(), Some(0));
}

#[tokio::test]
async fn a_full_database_refuses_new_messages_and_loses_none() {
    let name = "a_full_database_refuses_new_messages_and_loses_none";
    if !is_apart(&["--mount"], module_path!(), name).await {
        return;
    }
    let database = private().await;
    // The tables lie on a small disk of their own; the log of the database does not.
    let disk = database.data().with_file_name("disk");
    std::fs::create_dir(&disk).expect("a new folder");
    let folder = disk.display();
    must(&format!("mount -t tmpfs -o size={DISK} watchfire {folder}")).await;
    if rustix::process::geteuid().is_root() {
        must(&format!("chown postgres {folder}")).await;
    }
    database.run(
        "postgres",
        &format!("CREATE TABLESPACE small LOCATION '{folder}'"),
    );
    database.run("postgres", "CREATE DATABASE small TABLESPACE small");
    let gate = Gate::closed();
    let receiver = Receiver::start(Script::always(Reply::status(204).behind(&gate))).await;
    let server = on_url(&database.url("small")).start().await;
    let app = Application::create(server.api()).await;
    let endpoint = app.endpoint(&receiver.url("/")).await;
    let mut accepted = BTreeSet::new();
    for n in 0..4 {
        app.send_event(&event(n)).await;
        accepted.insert(n);
    }
    receiver.wait_for_count(1).await;

    let filler = disk.join("filler");
    fill(&filler);
    let refused = eventually("a message is refused", async || {
        let n = 100 + u64::try_from(accepted.len()).expect("few");
        let answer = app.api.post(&app.path("/msg"), &large(n)).await;
        if answer.status == 202 {
            accepted.insert(n);
            return None;
        }
        Some((n, answer))
    })
    .await;
    let (without_room, refused) = refused;
    let fault = refused.expect(503);
    assert_eq!(fault["code"], "storage_full", "{fault}");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");

    gate.open();
    let asked = accepted.len();
    receiver
        .wait_for("what was accepted arrives", |requests| {
            requests.len() >= asked
        })
        .await;
    std::fs::remove_file(&filler).expect("the filler is there");
    accepted.extend(accepted_again(&app, 1_000).await);
    arrives_once(&app, &endpoint, &receiver, &accepted).await;
    let came = |request| number(request) == without_room;
    assert!(
        !receiver.requests().iter().any(came),
        "what found no room never came"
    );
    assert_eq!(server.stop().await.code(), Some(0));
}

fn large(n: u64) -> Value {
    // No compression makes it small.
    let numbers = (0_u32..).take(LARGE_BYTES / 8);
    let words: Vec<_> = numbers
        .map(|place| format!("{:08x}", place.wrapping_mul(2_654_435_761)))
        .collect();
    let text = words.concat();
    let payload = json!({ "n": n, "text": text });
    json!({ "eventType": "threat.created", "payload": payload })
}
