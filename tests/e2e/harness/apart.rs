//! Tests that cut networks or mount file systems do it in namespaces of their own, where they are in
//! nobody's way.

use tokio::process::Command;

use super::{tell, unshared};

/// Set for a test that runs apart.
const APART: &str = "WATCHFIRE_TEST_APART";

/// Runs the test of this name, of a module, once more in namespaces of its own. Returns whether the
/// caller is that run, and so has to do what is to be done.
///
/// `kinds` are what `unshare` calls the namespaces. Where the system does not allow them, the test is
/// left out, and says so.
///
/// # Panics
///
/// If the other run fails.
pub(crate) async fn is_apart(kinds: &[&str], module: &str, test: &str) -> bool {
    if std::env::var_os(APART).is_some() {
        return true;
    }
    let as_oneself = ["--user", "--map-current-user", "--keep-caps"];
    let of_user = if rustix::process::geteuid().is_root() {
        &[][..]
    } else {
        &as_oneself[..]
    };
    let namespaces: Vec<_> = of_user.iter().chain(kinds).copied().collect();
    let mut nothing = Command::new("unshare");
    nothing.args(&namespaces).arg("true");
    if !nothing.status().await.is_ok_and(|status| status.success()) {
        tell(&format!(
            "!!! NOT TESTED: this system allows no namespaces ({kinds:?}): {test}"
        ));
        return false;
    }
    // The first part of a module's path is the name of the program.
    let (_, path) = module.split_once("::").unwrap_or(("", module));
    let program = std::env::current_exe().expect("this program has a path");
    let mut again = Command::new("unshare");
    again
        .args(&namespaces)
        .arg(program)
        .args(["--exact", &format!("{path}::{test}"), "--nocapture"])
        .env(APART, "1")
        .kill_on_drop(true);
    let status = again.status().await.expect("it can be run");
    assert!(status.success(), "{test} failed apart: {status}");
    false
}

/// Runs a program that has to succeed.
pub(crate) async fn must(line: &str) {
    let mut words = line.split_whitespace();
    let program = words.next().expect("a program");
    let output = Command::new(program).args(words).output().await;
    let output = output.unwrap_or_else(|error| panic!("{line}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {said}");
}

/// A process that keeps a network namespace, reached by one cable.
pub(crate) struct Peer {
    keeper: tokio::process::Child,
}

impl Peer {
    /// This side of the cable.
    const HERE: &str = "10.77.0.1/30";
    /// The other side.
    pub(crate) const THERE: &str = "10.77.0.2";

    /// Lays the cable. The caller is apart, with a network of its own.
    pub(crate) async fn connect() -> Self {
        must("ip link set lo up").await;
        let nothing = || {
            let mut sleep = Command::new("sleep");
            sleep.arg("infinity");
            sleep
        };
        let keeper = unshared("--net", &nothing()).kill_on_drop(true).spawn();
        let peer = Self {
            keeper: keeper.expect("a network of its own"),
        };
        let own = std::fs::read_link("/proc/self/ns/net").expect("a network");
        super::eventually("the other network is there", async || {
            let other = std::fs::read_link(peer.network()).ok()?;
            (other != own).then_some(())
        })
        .await;
        let pid = peer.pid();
        must("ip link add here type veth peer name there").await;
        must(&format!("ip link set there netns {pid}")).await;
        must(&format!("ip addr add {} dev here", Self::HERE)).await;
        must("ip link set here up").await;
        peer.must(&format!("ip addr add {}/30 dev there", Self::THERE))
            .await;
        peer.mend().await;
        peer
    }

    fn pid(&self) -> u32 {
        self.keeper.id().expect("it runs")
    }

    fn network(&self) -> String {
        format!("/proc/{}/ns/net", self.pid())
    }

    async fn must(&self, line: &str) {
        must(&format!("nsenter --net={} {line}", self.network())).await;
    }

    /// From now on nothing comes through, and nobody is told.
    pub(crate) async fn cut(&self) {
        self.must("ip link set there down").await;
    }

    pub(crate) async fn mend(&self) {
        self.must("ip link set there up").await;
    }

    /// Listens on the other side, for whoever is here to accept from.
    pub(crate) fn listen(&self) -> std::net::TcpListener {
        use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
        let network = std::fs::File::open(self.network()).expect("it is there");
        // A socket stays in the network in which it was made; the thread ends there.
        let listening = std::thread::spawn(move || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&network), kind).expect("entered");
            std::net::TcpListener::bind((Self::THERE, 0)).expect("a free port")
        });
        let listener = listening.join().expect("it listens");
        listener.set_nonblocking(true).expect("a plain socket");
        listener
    }
}
