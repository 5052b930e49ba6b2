//! Standard output and standard error, for people. A closed pipe is not an error worth a word.

use std::fmt::Display;
use std::io::Write as _;

/// Prints a line.
pub(crate) fn line(text: impl Display) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{text}"));
    drop(out.flush());
}

/// Prints a remark beside what was asked for, on standard error.
pub(crate) fn note(text: impl Display) {
    let mut err = std::io::stderr().lock();
    drop(writeln!(err, "{text}"));
}

/// Prints why a command failed, with all its causes, in one line.
pub(crate) fn failure(error: &anyhow::Error) {
    let mut out = std::io::stderr().lock();
    drop(writeln!(out, "watchfire: {error:#}"));
}
