//! Backups of a server that runs, and what comes of them.

use std::path::Path;

use serde_json::json;
use watchfire_testkit::{Receiver, Reply, Script};

use crate::harness::{Application, Ended, Setup, eventually, watchfire};

/// Messages accepted before the backup begins.
const BEFORE: usize = 300;

async fn command(words: &[&str], paths: &[(&str, &Path)]) -> Ended {
    let mut command = watchfire(words);
    for (flag, path) in paths {
        command.arg(flag).arg(path);
    }
    Ended::of(&mut command).await
}

async fn back_up(setup: &Setup, to: &Path) -> Ended {
    command(&["backup"], &[("--data", &setup.data()), ("--to", to)]).await
}

async fn restore(from: &Path, data: &Path) -> Ended {
    command(&["restore"], &[("--from", from), ("--data", data)]).await
}

/// Why a command failed, without the folder of this run.
fn reason(ended: &Ended, setup: &Setup) -> String {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let folder = setup.folder().display().to_string();
    let last = ended.stderr.lines().last().unwrap_or_default();
    last.replace(&folder, "[folder]")
}

#[tokio::test]
async fn a_backup_of_a_busy_server_has_all_that_was_accepted_before_it() {
    let receiver = Receiver::start(Script::always(Reply::status(204))).await;
    let setup = Setup::new();
    let server = setup.start().await;
    let application = Application::create(server.api()).await;
    let endpoint = application.endpoint(&receiver.url("/hook")).await;
    let secret = application.path(&format!("/endpoint/{endpoint}/secret"));
    let key = server.api().get(&secret).await.expect(200)["key"].clone();
    let mut accepted = Vec::new();
    for number in 0..BEFORE {
        accepted.push(application.send(&json!({ "number": number })).await);
    }
    // It is written to all the while.
    let busy = tokio::spawn({
        let application = application.clone();
        async move {
            for number in 0.. {
                application.send(&json!({ "busy": number })).await;
            }
        }
    });
    let backup = setup.folder().join("backup");
    let ended = back_up(&setup, &backup).await;
    busy.abort();
    let said = ended.success();
    assert!(said.contains("messages of 1 applications"), "{said}");
    drop(server);

    let restored = Setup::new();
    let ended = restore(&backup, &restored.data()).await;
    ended.success();
    let server = restored.start().await;
    let application = application.at(server.api());
    let there = server
        .api()
        .all(&application.path("/msg?with_content=false"))
        .await;
    let ids: Vec<_> = there.iter().filter_map(|one| one["id"].as_str()).collect();
    for id in &accepted {
        assert!(
            ids.contains(&id.as_str()),
            "{id} was accepted and is not in the backup"
        );
    }
    let restored_key = server.api().get(&secret).await.expect(200)["key"].clone();
    assert_eq!(restored_key, key, "what the keys sealed can be read");
    let sent = application.send(&json!({ "after": true })).await;
    eventually("it delivers", async || {
        let attempts = application.attempts_of(&sent).await;
        attempts.iter().any(|one| one["status"] == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_is_there_is_not_overwritten_and_what_is_damaged_is_not_restored() {
    let setup = Setup::new();
    let backup = setup.folder().join("backup");
    let missing = back_up(&setup, &backup).await;
    let why = reason(&missing, &setup);
    assert!(
        why.contains("there is no database in [folder]/data"),
        "{why}"
    );
    let server = setup.start().await;
    Application::create(server.api()).await;
    back_up(&setup, &backup).await.success();
    let again = reason(&back_up(&setup, &backup).await, &setup);
    assert!(again.contains("there is something already"), "{again}");
    let taken = reason(&restore(&backup, &setup.data()).await, &setup);
    assert!(taken.contains("there is something already"), "{taken}");

    let other = setup.folder().join("other");
    let database = backup.join("watchfire.db");
    let mut bytes = std::fs::read(&database).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&database, bytes).expect("written");
    let damaged = reason(&restore(&backup, &other).await, &setup);
    assert!(
        damaged.contains("it is not the file that was backed up"),
        "{damaged}"
    );
    std::fs::remove_file(backup.join("backup.json")).expect("removed");
    let unlabelled = reason(&restore(&backup, &other).await, &setup);
    assert!(
        unlabelled.contains("it is no finished backup"),
        "{unlabelled}"
    );
    assert!(!other.exists());
}
