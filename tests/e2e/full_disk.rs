//! A full disk: nothing more is accepted, nothing that was accepted is lost, and when there is
//! room again the server goes on by itself.
//!
//! The data folder is a small file system of its own, mounted where only the server sees it.
//! Where the system does not let us mount, the size of the server's files is limited instead.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use tokio::process::Command;
use watchfire_testkit::{Gate, Receiver, Reply, Request, Script};

use crate::harness::{Application, Server, Setup, eventually, fill, may_unshare, tell, unshared};

/// Room for the log of the database and then some.
const DISK: &str = "size=48m";
/// A payload that needs new pages, however many there are left over.
const LARGE_BYTES: usize = 200_000;

/// Mounts a file system on the folder named first and becomes the program named next.
const MOUNT: &str = r#"mount -t tmpfs -o "$1" watchfire "$2" && shift 2 && exec "$@""#;

/// Becomes the program named, in which a file that must not grow is an error, not the end.
const LIMITED: &str = r#"trap '' XFSZ && exec "$@""#;

/// How the server comes to lack room.
enum Shortage {
    /// A file takes all the room there is.
    Filler(PathBuf),
    /// The server's files must not grow.
    FileSize(Pid),
}

impl Shortage {
    fn begin(setup: &Setup, server: &Server) -> Self {
        if !may_unshare("--mount") {
            let log = setup.data().join("watchfire.db-wal");
            let bytes = log.metadata().expect("the database has a log").len();
            limit_files(server.pid(), Some(bytes));
            return Self::FileSize(server.pid());
        }
        let root = format!("/proc/{}/root", server.pid().as_raw_nonzero());
        let data = setup.data();
        let inside = data.strip_prefix("/").expect("an absolute path");
        let filler = Path::new(&root).join(inside).join("filler");
        fill(&filler);
        Self::Filler(filler)
    }

    fn end(self) {
        match self {
            Self::Filler(file) => std::fs::remove_file(file).expect("the filler is there"),
            Self::FileSize(server) => limit_files(server, None),
        }
    }
}

fn limit_files(server: Pid, bytes: Option<u64>) {
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(Some(server), Resource::Fsize, limit).expect("the server is ours");
}

fn setup_on_a_small_disk() -> Setup {
    let setup = Setup::new().retrying_fast();
    let mut shell = Command::new("sh");
    if !may_unshare("--mount") {
        tell("mounting is not allowed here: limiting the size of files instead");
        return setup.wrapped_in(shell.args(["-c", LIMITED, "sh"]));
    }
    let data = setup.data();
    std::fs::create_dir(&data).expect("the folder is new");
    shell.args(["-c", MOUNT, "sh", DISK]).arg(data);
    setup.wrapped_in(&unshared("--mount", &shell))
}

fn number(request: &Request) -> u64 {
    let payload: Value = serde_json::from_slice(&request.body).expect("what was posted");
    payload["n"].as_u64().expect("a number")
}

#[tokio::test]
async fn a_full_disk_refuses_new_messages_and_loses_none() {
    let gate = Gate::closed();
    let receiver = Receiver::start(Script::always(Reply::status(204).behind(&gate))).await;
    let setup = setup_on_a_small_disk();
    let server = setup.start().await;
    let app = Application::create(server.api()).await;
    let endpoint = app.endpoint(&receiver.url("/")).await;
    let mut accepted = BTreeSet::new();
    for n in 0..4 {
        app.send(&json!({ "n": n })).await;
        accepted.insert(n);
    }
    receiver.wait_for_count(1).await;

    let shortage = Shortage::begin(&setup, &server);
    let refused = eventually("a message is refused", async || {
        let n = 100 + u64::try_from(accepted.len()).expect("few");
        let answer = app.api.post(&app.path("/msg"), &event(n)).await;
        if answer.status == 202 {
            accepted.insert(n);
            return None;
        }
        Some(answer)
    })
    .await;
    let fault = refused.expect(503);
    assert!(fault["code"].is_string(), "{fault}");
    let wait = refused
        .header("retry-after")
        .and_then(|text| text.parse().ok());
    assert!(
        wait.is_some_and(|seconds: u64| seconds > 0),
        "{:?}",
        refused.headers
    );

    // What is under way ends, and reading goes on, although nothing can be written.
    gate.open();
    let asked = accepted.len();
    receiver
        .wait_for("what was accepted arrives", |requests| {
            requests.len() >= asked
        })
        .await;
    assert_eq!(
        app.endpoint_now(&endpoint).await["health"]["state"],
        "active"
    );

    shortage.end();
    eventually("messages are accepted again", async || {
        let n = 1_000;
        let answer = app.api.post(&app.path("/msg"), &event(n)).await;
        (answer.status == 202).then(|| accepted.insert(n))
    })
    .await;
    eventually("all outcomes are recorded", async || {
        let stats = app.stats_of(&endpoint).await;
        (stats["success"] == accepted.len()).then_some(())
    })
    .await;
    let numbers: Vec<u64> = receiver.requests().iter().map(number).collect();
    assert_eq!(numbers.len(), accepted.len(), "each came once: {numbers:?}");
    assert_eq!(
        BTreeSet::from_iter(numbers),
        accepted,
        "what was refused never came"
    );
    assert_eq!(server.stop().await.code(), Some(0));
}

fn event(n: u64) -> Value {
    let payload = json!({ "n": n, "text": "x".repeat(LARGE_BYTES) });
    json!({ "eventType": "threat.created", "payload": payload })
}
