//! What may stand in Rust code, and how long a file may be.

use crate::repository::{File, expect_none, files_with_extension};

/// Lines of code, tests apart, after which a file is split by concept.
const FILE_LINES_MAX: usize = 500;

/// Files that are longer, with their length. A number here may only fall.
const LONG_FILES: &[(&str, usize)] = &[];

/// Folders whose code may read the clock, draw chance or open connections, where `clippy.toml`
/// forbids it to everyone else.
const AMBIENT: &[&str] = &[
    "crates/deliver/",
    "crates/watchfire/",
    "crates/testkit/",
    "tests/",
];

/// Words that begin an SQL statement. Upper case, so that prose does not match.
const SQL: &[&str] = &[
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "DELETE FROM ",
    "CREATE TABLE ",
    "CREATE INDEX ",
    "CREATE UNIQUE ",
    "ALTER TABLE ",
    "PRAGMA ",
];

/// Types that make a `static` a place where tests and servers in one process meet.
const SHARED_CELLS: &[&str] = &[
    "Mutex<",
    "RwLock<",
    "Atomic",
    "OnceLock<",
    "OnceCell<",
    "RefCell<",
    "Cell<",
];

fn sources() -> Vec<File> {
    files_with_extension("rs")
}

fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// The lines of a file without the tests at its end.
fn untested(file: &File) -> Vec<&str> {
    let mut lines: Vec<&str> = file.text.lines().collect();
    let is_tests = |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ");
    let end = lines.windows(2).position(is_tests).unwrap_or(lines.len());
    lines.truncate(end);
    lines
}

/// The numbered lines of a file that are shipped: neither comments nor the tests at its end.
fn shipped(file: &File) -> Vec<(usize, &str)> {
    let numbered = (1..).zip(untested(file));
    numbered
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .collect()
}

/// The places in shipped code where `is_offence` holds.
fn places(applies: impl Fn(&str) -> bool, is_offence: impl Fn(&str) -> bool) -> Vec<String> {
    let files = sources();
    let mut places = Vec::new();
    for file in files.iter().filter(|file| applies(&file.path)) {
        let found = shipped(file)
            .into_iter()
            .filter(|(_, line)| is_offence(line));
        places
            .extend(found.map(|(number, line)| format!("{}:{number}: {}", file.path, line.trim())));
    }
    places
}

fn contains_any(line: &str, words: &[&str]) -> bool {
    words.iter().any(|word| line.contains(word))
}

#[test]
fn sql_stands_only_in_the_back_ends() {
    let outside = |path: &str| !path.starts_with("crates/store-") && !path.starts_with("tests/");
    expect_none(
        &places(outside, |line| contains_any(line, SQL)),
        "SQL stands outside the back ends:",
        "make it a method of Store, extend the conformance suite, and write it in each back end.",
    );
}

#[test]
fn lints_are_expected_and_never_allowed() {
    // Put together here so that this file does not match.
    let outer = concat!("#[", "allow(");
    let inner = concat!("#![", "allow(");
    expect_none(
        &places(|_| true, |line| contains_any(line, &[outer, inner])),
        "Lints are allowed:",
        "write `#[expect(lint, reason = \"…\")]`, which fails when it is no longer needed.",
    );
}

#[test]
fn no_test_is_ignored() {
    let ignored = concat!("#[", "ignore");
    let everywhere: Vec<String> = sources()
        .iter()
        .filter(|file| file.text.contains(ignored))
        .map(|file| file.path.clone())
        .collect();
    expect_none(
        &everywhere,
        "Tests are ignored:",
        "mend the test, or remove it with what it tested.",
    );
}

#[test]
fn no_state_is_shared_by_the_whole_process() {
    let is_shared = |line: &str| {
        let line = line.trim_start();
        let declared = line.trim_start_matches("pub ").starts_with("static ");
        (declared && contains_any(line, SHARED_CELLS)) || line.contains("thread_local!")
    };
    expect_none(
        &places(|path| !is_test(path), is_shared),
        "State is shared by the whole process:",
        "construct a handle in the binary and pass it.",
    );
}

#[test]
fn time_chance_and_connections_come_from_outside() {
    let expected = "clippy::disallowed_methods";
    let outside = |path: &str| !AMBIENT.iter().any(|folder| path.starts_with(folder));
    expect_none(
        &places(
            |path| outside(path) && !is_test(path),
            |line| line.contains(expected),
        ),
        "Code goes round the bans of clippy.toml where it may not:",
        "take the time or the drawn number as an argument; let deliver open the connection.",
    );
}

#[test]
fn no_decision_reads_the_text_of_an_error() {
    expect_none(
        &places(
            |path| !is_test(path),
            |line| line.contains(".to_string().contains("),
        ),
        "A decision reads a text:",
        "match on a variant of the error.",
    );
}

#[test]
fn files_say_first_what_they_are_for() {
    let mute: Vec<String> = sources()
        .iter()
        .filter(|file| !is_test(&file.path) && untested(file).len() > 1)
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| file.path.clone())
        .collect();
    expect_none(
        &mute,
        "These files don't begin with a `//!` line:",
        "say in one sentence what the file is for.",
    );
}

#[test]
fn crates_say_what_they_must_never_do() {
    let is_head = |path: &str| path.starts_with("crates/") && path.ends_with("/src/lib.rs");
    let silent: Vec<String> = sources()
        .iter()
        .filter(|file| is_head(&file.path) && untested(file).len() > 1)
        .filter(|file| !file.text.contains("must never do"))
        .map(|file| file.path.clone())
        .collect();
    expect_none(
        &silent,
        "These crates don't say what they must never do:",
        "add a section of that name to the `//!` head of lib.rs: purpose, players, and what is \
         none of its business.",
    );
}

#[test]
fn files_stay_short() {
    let listed = |path: &str| LONG_FILES.iter().find(|(long, _)| *long == path);
    let too_long = |file: &File| {
        let lines = untested(file).len();
        let bound = listed(&file.path).map_or(FILE_LINES_MAX, |(_, lines)| *lines);
        (lines > bound).then(|| format!("{}: {lines} lines, {bound} at most", file.path))
    };
    let shipped_files = sources().into_iter().filter(|file| !is_test(&file.path));
    expect_none(
        &shipped_files
            .filter_map(|file| too_long(&file))
            .collect::<Vec<_>>(),
        "These files are too long, tests apart:",
        "split by concept, never into a second part of the same.",
    );
}

#[test]
fn the_list_of_long_files_only_shrinks() {
    let files = sources();
    let length = |path: &str| {
        let file = files.iter().find(|file| file.path == path);
        file.map_or(0, |file| untested(file).len())
    };
    let outdated: Vec<String> = LONG_FILES
        .iter()
        .filter(|(path, lines)| length(path) < *lines)
        .map(|(path, _)| format!("{path} has {} lines now", length(path)))
        .collect();
    expect_none(
        &outdated,
        "LONG_FILES in tests/house/sources.rs is out of date:",
        "lower the number, or remove the row if the file is within the limit.",
    );
}
