//! A process that is killed loses nothing it has acknowledged.

use std::env;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use watchfire_store::conformance::world::{LEASE, World, at, live};
use watchfire_store::{Claim, DeliveryStatus, Life, Seq, ShardSet, Store, Wanted, Write};
use watchfire_store_sqlite::{Options, Sqlite};

/// Set for the process that is to be killed: the folder it works in.
const FOLDER: &str = "WATCHFIRE_TEST_CRASH_FOLDER";
const ROUNDS: usize = 6;

/// Does nothing unless it runs as the child of the test below; then it works until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_until_killed() {
    let Some(folder) = env::var_os(FOLDER) else {
        return;
    };
    let store = Sqlite::open(Path::new(&folder), Options::default()).expect("open it");
    let seed = u64::from(std::process::id());
    let world = World::seeded(Arc::new(store), 3, seed).await;
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(tokio::spawn(work(world.clone())));
    }
    for task in tasks {
        task.await.expect("works until it is killed");
    }
}

async fn work(world: World) {
    let [first, second, _] = world.endpoints[..] else {
        unreachable!("three endpoints");
    };
    loop {
        for seq in world.accept_many(5).await {
            say(&format!("accepted {}", seq.0));
            world.deliver(first, seq).await;
            say(&format!("delivered {}", seq.0));
            world
                .spill(at(0), world.owed(second, seq, Some(at(0))))
                .await;
            say(&format!("owed {}", seq.0));
        }
        let batch = world.claim(second, 3, at(0)).await;
        for claimed in batch.deliveries {
            let record = world.leased(&claimed, world.delivered());
            world.record_attempt(at(0), record).await;
            say(&format!("settled {}", claimed.delivery.seq.0));
        }
    }
}

/// Tells the parent, which has then been promised it. One call writes one whole line.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}")
        .and_then(|()| out.flush())
        .expect("the parent listens");
}

#[derive(Default)]
struct Promised {
    accepted: Vec<Seq>,
    delivered: Vec<Seq>,
    owed: Vec<Seq>,
    settled: Vec<Seq>,
}

impl Promised {
    fn note(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let (Some(what), Some(Ok(seq))) = (words.next(), words.next().map(str::parse)) else {
            return;
        };
        match what {
            "accepted" => self.accepted.push(Seq(seq)),
            "delivered" => self.delivered.push(Seq(seq)),
            "owed" => self.owed.push(Seq(seq)),
            "settled" => self.settled.push(Seq(seq)),
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_nothing_it_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    for round in 0..ROUNDS {
        let promised = run_and_kill(folder.path(), 200 + round * 150);
        check(folder.path(), &promised).await;
        sound(folder.path());
    }
}

fn run_and_kill(folder: &Path, lines: usize) -> Promised {
    let mut child = Command::new(env::current_exe().expect("this program"))
        .args([
            "--exact",
            "work_until_killed",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("start it");
    let mut out = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut promised = Promised::default();
    for line in out.by_ref().take(lines) {
        promised.note(&line.expect("a line"));
    }
    child.kill().expect("kill it");
    child.wait().expect("it ends");
    // What it said before it died was promised as well; the last line may be cut.
    let mut rest: Vec<String> = out.map_while(Result::ok).collect();
    rest.pop();
    for line in &rest {
        promised.note(line);
    }
    assert!(!promised.settled.is_empty(), "it came to something");
    promised
}

async fn check(folder: &Path, promised: &Promised) {
    let store = Sqlite::open(folder, Options::default()).expect("the lock went with the process");
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let life = live(&shared, "one", LEASE).await;
    let mut unfinished = std::collections::HashMap::new();
    let mut after = Some(Seq(0));
    while let Some(from) = after {
        let page = watchfire_store::Ledger::unfinished(&store, &life, from, 500).await;
        let (found, next) = page.expect("read it");
        unfinished.extend(
            found
                .into_iter()
                .map(|message| (message.stored.seq, message)),
        );
        after = next;
    }
    for seq in &promised.accepted {
        let message = unfinished
            .get(seq)
            .expect("it goes on to its third endpoint");
        let endpoints = &message.stored.matched;
        let views = watchfire_store::History::deliveries_of(&store, message.stored.app, *seq);
        let views = views.await.expect("read it");
        let first = views[0].status;
        if promised.delivered.contains(seq) {
            assert_eq!(first, DeliveryStatus::Delivered);
        }
        let fresh = message.endpoints.contains(&endpoints[0]);
        assert_eq!(
            fresh,
            first == DeliveryStatus::Sending,
            "exactly one is true"
        );
        if promised.settled.contains(seq) {
            assert_eq!(views[1].status, DeliveryStatus::Delivered);
        } else if promised.owed.contains(seq) {
            assert_ne!(
                views[1].status,
                DeliveryStatus::Sending,
                "no lease outlived its process"
            );
        }
        assert!(message.endpoints.contains(&endpoints[2]));
    }
    claimable(&store, &life).await;
    store.close().await;
}

/// Everything owed can be claimed by the next life of the node.
async fn claimable(store: &dyn Store, life: &Life) {
    for due in store
        .endpoints_owing(ShardSet::ALL, None, 100)
        .await
        .expect("read them")
    {
        let claim = Claim {
            life: life.clone(),
            now: at(1),
            lease_until: at(2),
            wanted: vec![Wanted::any(due.endpoint, 100)],
        };
        let batch = store.claim(claim).await.expect("claim");
        assert!(!batch.deliveries.is_empty());
        let returns = batch.deliveries.iter().map(|claimed| Write::Return {
            delivery: claimed.delivery,
            token: claimed.token,
            due_at: Some(at(0)),
        });
        store
            .record(life, at(1), returns.collect())
            .await
            .expect("give them back");
    }
}

fn sound(folder: &Path) {
    let connection = rusqlite::Connection::open(folder.join("watchfire.db")).expect("open it");
    let verdict: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .expect("check it");
    assert_eq!(verdict, "ok");
}
