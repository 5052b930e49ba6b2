//! pgbouncer in transaction mode between the nodes and their database: no statement may count on
//! what another left in its connection.

use std::net::TcpListener;
use std::path::Path;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::nodes::{Cluster, Leases, Trial, shared_database};
use crate::harness::eventually;
use crate::load::seed;

/// Messages to each endpoint.
const MESSAGES: usize = 500;
/// Connections to the database: fewer than the nodes would take, so that they take turns.
const CONNECTIONS: usize = 5;

struct Pooler {
    _process: Child,
    _folder: TempDir,
    port: u16,
}

impl Pooler {
    async fn start(database_port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        drop(listener);
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pgbouncer.ini");
        let settings = format!(
            "[databases]\n\
             * = host=127.0.0.1 port={database_port} user=watchfire\n\
             [pgbouncer]\n\
             listen_addr = 127.0.0.1\n\
             listen_port = {port}\n\
             unix_socket_dir =\n\
             auth_type = any\n\
             pool_mode = transaction\n\
             default_pool_size = {CONNECTIONS}\n\
             max_client_conn = 200\n"
        );
        std::fs::write(&file, settings).expect("written");
        let process = as_ordinary_user(folder.path(), &file).spawn();
        let pooler = Self {
            _process: process.expect("pgbouncer is installed; scripts/setup does it"),
            _folder: folder,
            port,
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "a test's own pooler, on this machine"
        )]
        eventually("pgbouncer listens", async || {
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        pooler
    }
}

/// It refuses to run as root.
fn as_ordinary_user(folder: &Path, file: &Path) -> Command {
    let mut command = if rustix::process::geteuid().is_root() {
        let mode = rustix::fs::Mode::from_raw_mode(0o755);
        rustix::fs::chmod(folder, mode).expect("opened");
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "postgres", "--regid", "postgres"]);
        command.args(["--clear-groups", "pgbouncer"]);
        command
    } else {
        Command::new("pgbouncer")
    };
    command
        .args(["-q"])
        .arg(file)
        .current_dir("/")
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn nodes_behind_a_pooler_lose_and_repeat_nothing() {
    let database = shared_database().await;
    let url = database.fresh_database();
    let pooler = Pooler::start(database.port()).await;
    let through = url.replace(
        &format!(":{}/", database.port()),
        &format!(":{}/", pooler.port),
    );
    assert_ne!(through, url);
    let cluster = Cluster::start(2, &through, Leases::Usual).await;
    let trial = Trial::begin(&cluster, seed()).await;
    trial.goes_on(MESSAGES).await;
    for node in 0..2 {
        assert_eq!(cluster.said(node, "it joins again"), 0);
        let log = cluster.node(node).log();
        // A server of tests does not sync, and a busy machine is slow; the store says so.
        let expected = ["fsync", "in time", "does not answer"];
        let is_odd = |line: &&str| {
            line.contains("WARN") && !expected.iter().any(|words| line.contains(words))
        };
        let warnings: Vec<_> = log.lines().filter(is_odd).collect();
        assert_eq!(warnings, Vec::<&str>::new());
    }
    let verdict = trial.judge("two nodes behind pgbouncer", &cluster).await;
    assert_eq!(verdict.repeats(), 0, "{verdict:?}");
}
