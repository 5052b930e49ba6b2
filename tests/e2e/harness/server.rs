//! The real server, in its own process and folder.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::command::piped;
use super::{Api, Ended, tell, watchfire};

/// The secret that the tests' servers sign tokens with.
pub(crate) const JWT_SECRET: &str = "a secret of the end-to-end tests";

/// How long a start may take: a start under load reads what the last run left.
const START_PATIENCE: Duration = Duration::from_mins(1);
/// How long a stop may take: its grace period and more.
const STOP_PATIENCE: Duration = Duration::from_mins(1);
const READY: &str = "Watchfire is ready: http://";

/// A data folder and how servers are started on it, as often as a test likes.
pub(crate) struct Setup {
    data: TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// A program, with arguments, that runs the server; none if it is run as it is.
    wrapper: Vec<OsString>,
    /// Another binary than this version's.
    program: Option<String>,
}

impl Setup {
    /// An empty folder, receivers on loopback allowed, any free port.
    pub(crate) fn new() -> Self {
        let setup = Self {
            data: tempfile::tempdir().expect("a folder can be made"),
            arguments: Vec::new(),
            environment: Vec::new(),
            wrapper: Vec::new(),
            program: None,
        };
        setup
            .env("WATCHFIRE_JWT_SECRET", JWT_SECRET)
            .flag("--listen", "127.0.0.1:0")
            .flag("--allow-cidr", "127.0.0.0/8")
    }

    pub(crate) fn flag(mut self, flag: &str, value: &str) -> Self {
        self.arguments.extend([flag.to_owned(), value.to_owned()]);
        self
    }

    /// Takes a flag and its value away again.
    pub(crate) fn without(mut self, flag: &str) -> Self {
        let place = self.arguments.iter().position(|known| known == flag);
        let place = place.expect("the flag was set");
        self.arguments.drain(place..place + 2);
        self
    }

    pub(crate) fn env(self, name: &str, value: &str) -> Self {
        let mut other = self.without_env(name);
        other.environment.push((name.to_owned(), value.to_owned()));
        other
    }

    /// Retries soon enough to wait for, and often enough for any receiver to recover.
    pub(crate) fn retrying_fast(self) -> Self {
        let delays = ["50ms"; 30].join(",");
        self.flag("--retry-schedule", &delays)
    }

    pub(crate) fn without_env(mut self, name: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self
    }

    /// Writes a configuration file and uses it.
    pub(crate) fn config(self, text: &str) -> Self {
        let file = self.folder().join("watchfire.toml");
        std::fs::write(&file, text).expect("the folder can be written to");
        self.env("WATCHFIRE_CONFIG", &file.display().to_string())
    }

    /// Runs the server through another program, which takes the server's command as its last
    /// arguments and becomes it with `exec`.
    pub(crate) fn wrapped_in(mut self, wrapper: &Command) -> Self {
        let wrapper = wrapper.as_std();
        let words = [wrapper.get_program()]
            .into_iter()
            .chain(wrapper.get_args());
        self.wrapper = words.map(ToOwned::to_owned).collect();
        self
    }

    /// Runs servers of another version.
    pub(crate) fn program(mut self, program: &str) -> Self {
        self.program = Some(program.to_owned());
        self
    }

    /// The folder that holds the data folder; a test may keep its files here.
    pub(crate) fn folder(&self) -> &Path {
        self.data.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// The `serve` command of this setup.
    pub(crate) fn command(&self) -> Command {
        let data = self.data().display().to_string();
        let arguments = ["serve", "--data", &data];
        let mut serve = match &self.program {
            None => watchfire(&arguments),
            Some(program) => {
                let mut other = Command::new(program);
                other.args(arguments).env_clear();
                piped(other)
            }
        };
        serve.args(&self.arguments);
        let mut command = match self.wrapper.split_first() {
            None => serve,
            Some((program, arguments)) => wrap(program, arguments, &serve),
        };
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts a server and waits until it is ready.
    pub(crate) async fn start(&self) -> Server {
        let mut child = self.command().spawn().expect("the server can be run");
        let log = Arc::new(Mutex::new(String::new()));
        let logging = tokio::spawn(keep(
            child.stderr.take().expect("stderr is piped"),
            Arc::clone(&log),
        ));
        let stdout = child.stdout.take().expect("stdout is piped");
        let ready = tokio::time::timeout(START_PATIENCE, ready_line(stdout)).await;
        let mut server = Server {
            child,
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            api: Api::new(SocketAddr::from(([0, 0, 0, 0], 0)), ""),
            log,
            logging: Some(logging),
        };
        let ready = ready.expect("the server takes too long to start");
        if ready.is_none() {
            server.finish_log().await;
        }
        server.address = ready.expect("the server has to start");
        server.api = Api::new(server.address, &token().await);
        server
    }

    /// Starts a server and kills it after so many milliseconds, ready or not.
    pub(crate) async fn stillborn(&self, milliseconds: usize) {
        let mut child = self.command().spawn().expect("the server can be run");
        let life = Duration::from_millis(u64::try_from(milliseconds).expect("a short life"));
        drop(tokio::time::timeout(life, child.wait()).await);
        child.kill().await.expect("the server ran");
    }

    /// Starts a server that has to refuse to start, and returns the one line that says why.
    pub(crate) async fn refusal(&self) -> String {
        let ended = tokio::time::timeout(START_PATIENCE, Ended::of(&mut self.command())).await;
        let ended = ended.expect("the server refuses to start");
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert_eq!(ended.stdout, "");
        let folder = self.folder().display().to_string();
        let lines: Vec<_> = ended.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "one line says why: {lines:#?}");
        lines[0].replace(&folder, "[folder]")
    }
}

fn wrap(program: &OsStr, arguments: &[OsString], serve: &Command) -> Command {
    let serve = serve.as_std();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg(serve.get_program())
        .args(serve.get_args());
    piped(command)
}

/// A token of the default organization.
async fn token() -> String {
    let mut command = watchfire(&["token"]);
    command.env("WATCHFIRE_JWT_SECRET", JWT_SECRET);
    Ended::of(&mut command).await.success().trim().to_owned()
}

/// The address in the line that says the server is ready; `None` if it ended without.
async fn ready_line(stdout: ChildStdout) -> Option<SocketAddr> {
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await.expect("the server prints UTF-8") {
        if let Some(rest) = line.strip_prefix(READY) {
            let address = rest.trim_end_matches('/').parse();
            return Some(address.expect("the ready line names an address"));
        }
    }
    None
}

/// Reads a server's log to its end, so that the server never waits for a reader.
async fn keep(mut stderr: ChildStderr, log: Arc<Mutex<String>>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        log.lock()
            .push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
}

/// A running server. It is killed when it is dropped; if the test has failed, its log is shown.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    api: Api,
    log: Arc<Mutex<String>>,
    logging: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its API, as the default organization.
    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().clone()
    }

    pub(crate) fn pid(&self) -> Pid {
        let id = self.child.id().expect("the server runs");
        let id = i32::try_from(id).expect("the system's ids are small");
        Pid::from_raw(id).expect("no process has the id 0")
    }

    /// Kills it as a power failure would: nothing is finished, nothing is written.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("the server ran");
        self.finish_log().await;
    }

    /// Asks it to stop, as an operator does, and returns how it ended.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        kill_process(self.pid(), Signal::TERM).expect("the server runs");
        let ended = tokio::time::timeout(STOP_PATIENCE, self.child.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("no end within {STOP_PATIENCE:?}"));
        self.finish_log().await;
        ended.expect("it is our child")
    }

    /// Asks it to stop, which has to succeed, and returns what it logged until its end.
    pub(crate) async fn stopped_log(self) -> String {
        let log = Arc::clone(&self.log);
        let ended = self.stop().await;
        assert_eq!(ended.code(), Some(0), "{ended}");
        let log = log.lock();
        log.clone()
    }

    async fn finish_log(&mut self) {
        if let Some(logging) = self.logging.take() {
            logging.await.expect("reading a log does not fail");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tell(&format!("--- log of the server ---\n{}", self.log.lock()));
        }
    }
}
