//! Running `watchfire` to its end.

use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// A `watchfire` command in a world of its own: nothing is set but what the test sets.
pub(crate) fn watchfire(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    command.args(arguments).env_clear();
    piped(command)
}

/// A command that is read by the test, and ends with it.
pub(crate) fn piped(mut command: Command) -> Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Whether the system lets us make a namespace of that kind; containers often do not.
pub(crate) fn may_unshare(kind: &str) -> bool {
    let nothing = Command::new("true");
    let tried = unshared(kind, &nothing).into_std().output();
    tried.expect("unshare can be run").status.success()
}

/// A command in a namespace of its own; `kind` is what `unshare` calls it. A user who is not root
/// is root there.
pub(crate) fn unshared(kind: &str, command: &Command) -> Command {
    let command = command.as_std();
    let mut unshared = Command::new("unshare");
    unshared.arg(kind);
    if !rustix::process::geteuid().is_root() {
        unshared.arg("--map-root-user");
    }
    unshared.arg(command.get_program()).args(command.get_args());
    unshared
}

/// How a command ended, and what it printed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Absent if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Runs a command to its end.
    pub(crate) async fn of(command: &mut Command) -> Self {
        let output = command.output().await.expect("watchfire can be run");
        Self::from(output)
    }

    /// Runs a command to its end, with `input` on its standard input.
    pub(crate) async fn with_input(command: &mut Command, input: &[u8]) -> Self {
        command.stdin(Stdio::piped());
        let mut child = command.spawn().expect("watchfire can be run");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin.write_all(input).await.expect("it reads its input");
        drop(stdin);
        let output = child.wait_with_output().await;
        Self::from(output.expect("it ends"))
    }

    /// Standard output of a command that has to have succeeded.
    pub(crate) fn success(self) -> String {
        assert_eq!(self.code, Some(0), "it failed: {}", self.stderr);
        self.stdout
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("it prints UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}
