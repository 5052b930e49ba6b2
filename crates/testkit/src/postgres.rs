//! A private PostgreSQL for tests, from whatever server is installed, in a folder of its own.
//!
//! # Problem
//!
//! Making a server takes two seconds, tests run in many processes, and a process may be killed.
//!
//! # Idea
//!
//! Everybody who uses a server holds a shared lock on a file; the system lets go of it however a
//! process ends. A keeper, a small shell script outside the tests' process group, waits until the
//! lock is free for a moment, then stops the server and removes the folder. So the server is shared
//! while anybody needs it, and nothing is left behind.
//!
//! # What it does not do
//!
//! It does not sync to disk unless a test asks for it: a test server that loses power may lose all.

mod replica;

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

/// A running server. It may be stopped once nobody holds a handle any more.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    /// Holds the shared lock.
    _lock: File,
}

/// Someone else who is connected to a database.
#[derive(Debug)]
pub struct Session {
    psql: Child,
    /// psql ends with its input.
    input: Option<ChildStdin>,
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.input.take());
        drop(self.psql.wait());
    }
}

/// The system user that runs the server when the tests run as root, which it refuses to.
const USER: &str = "postgres";
/// The role that tests log in as.
const ROLE: &str = "watchfire";
const STARTS_WITHIN: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Postgres {
    /// The server that all tests of this user share.
    ///
    /// # Panics
    ///
    /// If no server is installed (`scripts/setup` installs it) or it does not start.
    pub fn shared() -> Self {
        Self::in_folder(shared_folder(), &["fsync=off"])
    }

    /// A server for one test alone, that may stop it; with further settings.
    pub fn private(settings: &[&str]) -> Self {
        let port = free_port();
        let name = format!("watchfire-postgres-{}-{port}", std::process::id());
        Self::in_folder(std::env::temp_dir().join(name), settings)
    }

    fn in_folder(folder: PathBuf, settings: &[&str]) -> Self {
        let lock = lock_file(&folder, "lock");
        lock.lock_shared().expect("lock the server's file");
        let starting = lock_file(&folder, "starting");
        starting.lock().expect("lock the server's start");
        if !folder.join("port").exists() {
            start(&folder, settings);
        }
        let port = fs::read_to_string(folder.join("port")).expect("the server says its port");
        Self {
            port: port.trim().parse().expect("a port"),
            folder,
            _lock: lock,
        }
    }

    /// Makes an empty database and says where it is.
    pub fn fresh_database(&self) -> String {
        let name = format!("d{}", self.next_number());
        self.run("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// Makes an empty schema in a database of all tests, which is faster, and says where it is.
    pub fn fresh_schema(&self) -> String {
        let name = format!("s{}", self.next_number());
        self.run("postgres", &format!("CREATE SCHEMA {name}"));
        format!("{}?options=-c%20search_path%3D{name}", self.url("postgres"))
    }

    /// A number that nobody else of this server has drawn, in whatever process.
    fn next_number(&self) -> u64 {
        let lock = lock_file(&self.folder, "starting");
        lock.lock().expect("lock the server's numbers");
        let file = self.folder.join("number");
        let last = fs::read_to_string(&file).unwrap_or_default();
        let next = last.parse().unwrap_or(0) + 1;
        fs::write(&file, next.to_string()).expect("write the number");
        next
    }

    /// Where a database of the server is.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}@127.0.0.1:{}/{database}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs statements in a database and returns what they say, without headings.
    ///
    /// # Panics
    ///
    /// If the server refuses one.
    pub fn run(&self, database: &str, sql: &str) -> String {
        let output = command(&program("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .arg(self.url(database))
            .env("PGOPTIONS", "-c client_min_messages=warning")
            .output();
        said(output, sql)
    }

    /// A session that has run statements and stays, with all the locks it holds, until it is
    /// dropped.
    ///
    /// # Panics
    ///
    /// If the server refuses one.
    pub fn session(&self, database: &str, sql: &str) -> Session {
        const DONE: &str = "done";
        let mut psql = command(&program("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-"])
            .arg(self.url(database))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("psql runs");
        let mut said = psql.stdout.take().expect("it is piped");
        let mut input = psql.stdin.take().expect("it is piped");
        let asked = writeln!(input, "{sql};\n\\echo {DONE}");
        asked.expect("psql reads");
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(DONE.as_bytes()) {
            assert_eq!(said.read(&mut byte).expect("psql speaks"), 1, "{sql}");
            answer.push(byte[0]);
        }
        Session {
            psql,
            input: Some(input),
        }
    }

    /// Stops the server as an administrator would in a hurry: connections are cut, nothing that
    /// was acknowledged is lost.
    pub fn stop(&self) {
        self.control(&["stop", "-m", "fast"]);
    }

    /// Stops the server as a loss of power would.
    pub fn crash(&self) {
        self.control(&["stop", "-m", "immediate"]);
    }

    /// Starts a stopped server again, with the same data on the same port.
    pub fn start_again(&self) {
        let log = self.folder.join("again.log");
        let log = log.to_str().expect("a plain path");
        self.control(&["start", "-l", log]);
    }

    /// The server does nothing any more, and does not say so.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// It goes on where it was.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    /// Signals the server and all processes that serve a connection.
    fn signal(&self, name: &str) {
        let file = self.data().join("postmaster.pid");
        let text = fs::read_to_string(file).expect("the server runs");
        let first = text.lines().next().expect("its process");
        let children = Command::new("ps")
            .args(["-o", "pid=", "--ppid", first])
            .output();
        let children = said(children, "ps");
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}")).arg(first);
        kill.args(children.split_whitespace());
        // A child may have ended since it was listed.
        drop(kill.stderr(Stdio::null()).status());
    }

    fn control(&self, arguments: &[&str]) {
        let output = as_user(&program("pg_ctl"))
            .arg("-D")
            .arg(self.data())
            .arg("-w")
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let status = output.expect("pg_ctl runs");
        assert!(status.success(), "pg_ctl {arguments:?}: {status}");
    }

    /// Where it keeps its files.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }
}

fn lock_file(folder: &Path, what: &str) -> File {
    let path = folder.with_extension(what);
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .unwrap_or_else(|error| panic!("open {}: {error}", path.display()))
}

/// Waits for the server in `$folder/data` to be needed by nobody, then stops and removes it.
const KEEPER: &str = r#"
folder=$1
exec 9<>"$2"
while :; do
    flock -x 9
    flock -u 9
    sleep 2
    if flock -n -x 9; then break; fi
done
rm -f "$folder/port"
if [ -s "$folder/data/postmaster.pid" ]; then
    server=$(head -n 1 "$folder/data/postmaster.pid")
    kill -CONT "$server"
    kill -QUIT "$server"
    while kill -0 "$server" 2>/dev/null; do sleep 0.05; done
fi
rm -rf "$folder" $3
"#;

fn start(folder: &Path, settings: &[&str]) {
    make_folder(folder);
    let data = folder.join("data");
    let made = as_user(&program("initdb"))
        .arg("-D")
        .arg(&data)
        .args(["-U", ROLE, "-A", "trust", "-E", "UTF8"])
        .args(["--locale=C", "--no-sync", "--no-instructions"])
        .output();
    said(made, "initdb");
    launch(folder, settings);
}

/// Makes a folder that the server may write to.
fn make_folder(folder: &Path) {
    drop(fs::remove_dir_all(folder));
    fs::create_dir_all(folder).expect("make the server's folder");
    if user_id() == "0" {
        said(
            Command::new("chown").arg(USER).arg(folder).output(),
            "chown",
        );
    }
}

/// Starts the server whose data lie in the folder.
fn launch(folder: &Path, settings: &[&str]) {
    let data = folder.join("data");
    let port = free_port();
    let mut text = format!(
        "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{}'\n\
         max_connections = 300\nshared_buffers = 64MB\nlog_min_messages = fatal\n",
        folder.display()
    );
    for setting in settings {
        text.push_str(setting);
        text.push('\n');
    }
    let file = data.join("postgresql.auto.conf");
    // A copy of another server brings where that one is.
    let before = fs::read_to_string(&file).unwrap_or_default();
    fs::write(file, before + &text).expect("write its settings");
    let log = folder.join("log");
    let started = as_user(&program("pg_ctl"))
        .arg("-D")
        .arg(&data)
        .arg("-l")
        .arg(&log)
        .args(["-w", "-s", "-t"])
        .arg(STARTS_WITHIN.as_secs().to_string())
        .arg("start")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let log = || fs::read_to_string(&log).unwrap_or_default();
    assert!(started.is_ok_and(|status| status.success()), "{}", log());
    keep(folder);
    fs::write(folder.join("port"), port.to_string()).expect("say its port");
}

/// Starts the keeper, out of reach of signals to the tests.
fn keep(folder: &Path) {
    let keeper = Command::new("setsid")
        .args(["sh", "-c", KEEPER, "keeper"])
        .arg(folder)
        .arg(folder.with_extension("lock"))
        .arg(lone_files(folder))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    drop(keeper.expect("start the server's keeper"));
}

/// The lock files of a private server, which go with it. Those of the shared one stay: somebody may
/// have opened them just now.
fn lone_files(folder: &Path) -> String {
    let lock = folder.with_extension("lock");
    let starting = folder.with_extension("starting");
    if folder == shared_folder() {
        String::new()
    } else {
        format!("{} {}", lock.display(), starting.display())
    }
}

fn shared_folder() -> PathBuf {
    std::env::temp_dir().join(format!("watchfire-postgres-{}", user_id()))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

fn user_id() -> String {
    said(Command::new("id").arg("-u").output(), "id")
}

/// A program of the server, which Debian keeps outside the search path.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .flatten()
        .filter_map(|version| {
            let number = version.file_name().to_str()?.parse().ok()?;
            let program = version.path().join("bin").join(name);
            program.exists().then_some((number, program))
        })
        .collect();
    found.sort();
    found
        .pop()
        .map_or_else(|| PathBuf::from(name), |(_, program)| program)
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).env_remove("PGOPTIONS");
    // Wherever the tests were started, the server's user may look.
    command.current_dir("/");
    command
}

/// The server refuses to run as root.
fn as_user(program: &Path) -> Command {
    if user_id() != "0" {
        return command(program);
    }
    let mut wrapped = command(Path::new("setpriv"));
    wrapped
        .args(["--reuid", USER, "--regid", USER, "--clear-groups"])
        .arg(program);
    wrapped
}

fn said(output: io::Result<Output>, what: &str) -> String {
    let output = output.unwrap_or_else(|error| {
        panic!("{what}: {error}; is PostgreSQL installed? scripts/setup does it")
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Waits until something holds, which another process brings about.
///
/// # Panics
///
/// If it does not within a minute.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let looks = STARTS_WITHIN.as_millis() / LOOK_AGAIN.as_millis();
    for _ in 0..looks {
        if holds() {
            return;
        }
        thread::sleep(LOOK_AGAIN);
    }
    panic!("{what} did not come about");
}
