//! The tracked files of this repository, and how a broken rule is reported.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A text file of the repository, with its path from the root.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("the package stands in the repository")
        .to_owned()
}

/// What a program prints, run at the root of the checkout.
pub(crate) fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap_or_else(|error| panic!("{program} can't be run: {error}"));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {arguments:?} failed: {complaint}"
    );
    String::from_utf8(output.stdout).expect("the program prints UTF-8")
}

/// The cargo that runs this test.
pub(crate) fn cargo() -> &'static str {
    env!("CARGO")
}

/// Every text file that is tracked, or would be with `git add`.
pub(crate) fn files() -> Vec<File> {
    let listed = output_of(
        "git",
        &[
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
    );
    let paths = listed.split_terminator('\0');
    paths.filter_map(|path| read(path.to_owned())).collect()
}

/// Those files whose names end in a dot and `extension`.
pub(crate) fn files_with_extension(extension: &str) -> Vec<File> {
    let mut files = files();
    files.retain(|file| Path::new(&file.path).extension() == Some(OsStr::new(extension)));
    files
}

/// `None` for a file that is not text, or deleted and not committed yet.
fn read(path: String) -> Option<File> {
    let text = std::fs::read_to_string(root().join(&path)).ok()?;
    Some(File { path, text })
}

/// Fails with every place that breaks a rule, and what to do about it.
pub(crate) fn expect_none(offences: &[String], rule: &str, mend: &str) {
    assert!(
        offences.is_empty(),
        "{rule}\n\n  {}\n\nTo mend: {mend}",
        offences.join("\n  ")
    );
}
