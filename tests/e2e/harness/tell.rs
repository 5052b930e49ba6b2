//! Telling the person who reads a test's output.

/// Prints a line that helps when the test fails, and is not shown when it does not.
#[expect(clippy::print_stderr, reason = "test runners keep it with the test")]
pub(crate) fn tell(line: &str) {
    eprintln!("{line}");
}
