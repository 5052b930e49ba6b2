//! The manifests: lints are on everywhere, and everything comes from one registry.

use toml::Table;

use crate::repository::{File, expect_none, files};

/// Lints of the workspace that must stay on, because no other check does their work.
const LINTS: &[(&str, &str)] = &[
    ("rust", "unsafe_code"),
    ("rust", "unreachable_pub"),
    ("clippy", "all"),
    ("clippy", "pedantic"),
    ("clippy", "unwrap_used"),
    ("clippy", "todo"),
    ("clippy", "unimplemented"),
    ("clippy", "dbg_macro"),
    ("clippy", "print_stdout"),
    ("clippy", "print_stderr"),
    ("clippy", "allow_attributes"),
    ("clippy", "allow_attributes_without_reason"),
    ("clippy", "await_holding_lock"),
    ("clippy", "let_underscore_must_use"),
];

/// Packages that are no part of the workspace: what they bring must not come near it.
const OUTSIDE: &[&str] = &["fuzz/", "tests/rust-sdk/"];

/// The only place packages come from, as a lock file names it.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn parsed(file: &File) -> Table {
    let table = file.text.parse();
    table.unwrap_or_else(|error| panic!("{} is not TOML: {error}", file.path))
}

fn named(path: &str) -> Table {
    let files = files();
    let file = files.iter().find(|file| file.path == path);
    parsed(file.unwrap_or_else(|| panic!("{path} is not tracked")))
}

#[test]
fn every_crate_inherits_the_lints() {
    let files = files();
    let inherits = |file: &&File| {
        let table = parsed(file);
        let lints = table.get("lints").and_then(|lints| lints.get("workspace"));
        lints.and_then(toml::Value::as_bool) == Some(true)
    };
    let is_member = |path: &str| !OUTSIDE.iter().any(|folder| path.starts_with(folder));
    let members = files
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml") && is_member(&file.path));
    let without: Vec<String> = members
        .filter(|file| !inherits(file))
        .map(|file| file.path.clone())
        .collect();
    expect_none(
        &without,
        "These crates don't inherit the workspace's lints:",
        "add `[lints]` with `workspace = true`.",
    );
}

#[test]
fn the_lints_that_carry_a_rule_are_on() {
    let manifest = named("Cargo.toml");
    let lints = &manifest["workspace"]["lints"];
    let is_off = |group: &str, name: &str| match lints[group].get(name) {
        None => true,
        Some(level) => {
            let level = level.get("level").unwrap_or(level);
            level.as_str() == Some("allow")
        }
    };
    let off: Vec<String> = LINTS
        .iter()
        .filter(|(group, name)| is_off(group, name))
        .map(|(group, name)| format!("{group}::{name}"))
        .collect();
    expect_none(
        &off,
        "These lints are off:",
        "turn them on in `[workspace.lints]`, and mend what they find.",
    );
}

#[test]
fn every_package_comes_from_the_registry() {
    let lock = named("Cargo.lock");
    let packages = lock["package"].as_array().expect("a list of packages");
    let elsewhere: Vec<String> = packages
        .iter()
        .filter_map(|package| package.get("source").map(|source| (package, source)))
        .filter(|(_, source)| source.as_str() != Some(REGISTRY))
        .map(|(package, source)| format!("{:?} from {source:?}", package["name"]))
        .collect();
    expect_none(
        &elsewhere,
        "These packages come from elsewhere than crates.io:",
        "use a released version.",
    );
}

#[test]
fn no_test_is_retried() {
    let retries: Vec<String> = files()
        .iter()
        .filter(|file| file.path.contains("nextest"))
        .flat_map(|file| file.text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| line.trim_start().starts_with("retries"))
        .collect();
    expect_none(
        &retries,
        "Tests are retried:",
        "remove the setting; a test that fails now and then is a bug with priority.",
    );
}
