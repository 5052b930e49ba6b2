//! Foreign programs that judge us: the SDKs and verifiers that `make setup` installs.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::command::piped;

/// The root of the checkout.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().nth(2);
    root.expect("the package stands in the repository")
        .to_owned()
}

/// A program of one of the Python environments in `.test-tools`.
pub(crate) fn shared_python(environment: &str, program: &str) -> Command {
    let folder = root()
        .join(".test-tools")
        .join(format!("python-{environment}"));
    judge(&folder.join("bin").join(program))
}

/// A script of `tests/python` in one of the Python environments.
pub(crate) fn python(environment: &str, script: &str) -> Command {
    let mut command = shared_python(environment, "python");
    command.arg(root().join("tests/python").join(script));
    command
}

/// A file of the checkout.
pub(crate) fn in_checkout(path: &str) -> PathBuf {
    root().join(path)
}

/// A script of `tests/node`.
pub(crate) fn node(script: &str) -> Command {
    let folder = root().join("tests/node");
    assert!(
        folder.join("node_modules").is_dir(),
        "the tests' tools are not installed: run `make setup`"
    );
    let mut command = Command::new("node");
    command.arg(folder.join(script)).current_dir(folder);
    ready(command)
}

/// The tour of the SDK for Rust, a program that `make setup` builds.
pub(crate) fn rust_sdk() -> Command {
    judge(&root().join(".test-tools/rust-sdk/debug/watchfire-rust-judge"))
}

fn judge(program: &Path) -> Command {
    assert!(
        program.is_file(),
        "{} is not installed: run `make setup`",
        program.display()
    );
    ready(Command::new(program))
}

/// Where pictures of pages go, or `all` for `target/pictures`; none are taken if it is not set.
const PICTURES: &str = "WATCHFIRE_PICTURES";

/// The folder for pictures of pages, if they are to be taken.
pub(crate) fn pictures() -> Option<PathBuf> {
    let folder = std::env::var_os(PICTURES)?;
    if folder != "all" {
        return Some(folder.into());
    }
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    Some(target.with_file_name("pictures"))
}

/// A script of `tests/node` that goes through pages.
pub(crate) fn tour(script: &str) -> Command {
    let mut command = node(script);
    if let Some(folder) = pictures() {
        command.env("PICTURES", folder);
    }
    command
}

/// Sets up a judge that [`run_judge`] can run.
pub(crate) fn ready(command: Command) -> Command {
    let mut command = piped(command);
    command
        // A proxy of the machine must not stand between a judge and the server on loopback.
        .env("NO_PROXY", "*")
        .env("no_proxy", "*")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped());
    command
}

/// Runs a judge with `input` on its standard input.
///
/// # Panics
///
/// If its verdict is no, with everything it said.
pub(crate) async fn run_judge(mut command: Command, input: &str) -> String {
    let mut child = command.spawn().expect("the judge can be run");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    // A judge that needs no input may have closed it.
    stdin.write_all(input.as_bytes()).await.ok();
    drop(stdin);
    let output = child.wait_with_output().await.expect("the judge ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} says no ({}):\n{said}\n{complaint}",
        output.status
    );
    said
}
