//! Who may depend on whom. A new edge needs a row here, and a reason in the commit.

use serde_json::Value;

use crate::repository::{cargo, expect_none, output_of};

/// The crates of ours that each may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("contracts", &["domain"]),
    ("store", &["domain"]),
    ("store-sqlite", &["domain", "store"]),
    ("store-postgres", &["domain", "store"]),
    ("deliver", &["domain"]),
    ("engine", &["domain", "contracts", "store", "deliver"]),
    ("api", &["domain", "contracts", "store", "engine"]),
    ("dashboard", &["domain", "contracts", "store", "engine"]),
    (
        "watchfire",
        &[
            "domain",
            "contracts",
            "store",
            "store-sqlite",
            "store-postgres",
            "deliver",
            "engine",
            "api",
            "dashboard",
        ],
    ),
    ("testkit", &["domain", "deliver"]),
    ("tests", &[]),
];

/// The crates of ours that tests may use on top of that.
const TEST_ARROWS: &[&str] = &["testkit", "store-sqlite"];

/// What tests of the whole repository may use; they are not built into anything.
const WHOLE_REPOSITORY: &str = "tests";

/// Crates that bring async, I/O, a clock, chance, SQL or an HTTP server.
const IMPURE: &[&str] = &[
    "async-std",
    "axum",
    "deadpool",
    "hyper",
    "hyper-util",
    "libsqlite3-sys",
    "mio",
    "postgres",
    "reqwest",
    "rusqlite",
    "smol",
    "socket2",
    "sqlx",
    "tokio",
    "tokio-postgres",
    "tower",
    "tower-http",
    "tracing-subscriber",
];

/// The crates that decide and compute, and so hold none of [`IMPURE`], however indirectly.
const PURE: &[&str] = &["domain", "contracts"];

/// Crates that speak to a database.
const DATABASE_DRIVERS: &[&str] = &["postgres", "rusqlite", "sqlx", "tokio-postgres"];

/// Crates that open outbound connections of their own accord: one HTTP stack is enough.
const OTHER_HTTP_CLIENTS: &[&str] = &[
    "attohttpc",
    "awc",
    "curl",
    "hyper-rustls",
    "hyper-tls",
    "isahc",
    "native-tls",
    "openssl",
    "reqwest",
    "ureq",
];

/// Who may hold an HTTP client: the one that delivers, and the binary for its demo and bench.
const HTTP_CLIENT_HOLDERS: &[&str] = &["deliver", "watchfire", "testkit", "tests"];

/// One crate of the workspace asking for another crate.
struct Edge {
    from: String,
    /// As it is called in the registry; ours begin with `watchfire-`.
    to: String,
    for_tests: bool,
    features: Vec<String>,
}

/// Our own crates by their folder: `watchfire-domain` is `domain`.
fn short(package: &str) -> &str {
    package.strip_prefix("watchfire-").unwrap_or(package)
}

fn edges() -> Vec<Edge> {
    let arguments = ["metadata", "--no-deps", "--format-version=1", "--locked"];
    let metadata = output_of(cargo(), &arguments);
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    packages.iter().flat_map(edges_of).collect()
}

fn edges_of(package: &Value) -> Vec<Edge> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let from = short(&text(&package["name"])).to_owned();
    let dependencies = package["dependencies"].as_array().expect("a list");
    let edge = |dependency: &Value| Edge {
        from: from.clone(),
        to: text(&dependency["name"]),
        for_tests: dependency["kind"] == "dev",
        features: dependency["features"]
            .as_array()
            .expect("a list")
            .iter()
            .map(text)
            .collect(),
    };
    dependencies.iter().map(edge).collect()
}

fn may_depend(edge: &Edge) -> bool {
    let to = short(&edge.to);
    let row = ARROWS.iter().find(|(from, _)| *from == edge.from);
    let listed = row.is_some_and(|(_, allowed)| allowed.contains(&to));
    let in_tests = edge.for_tests && (edge.from == WHOLE_REPOSITORY || TEST_ARROWS.contains(&to));
    listed || in_tests
}

/// The edges of `edges` that `is_offence` picks out, as text.
fn offences(edges: &[Edge], is_offence: impl Fn(&Edge) -> bool) -> Vec<String> {
    let picked = edges.iter().filter(|edge| is_offence(edge));
    picked
        .map(|edge| format!("{} -> {}", edge.from, edge.to))
        .collect()
}

#[test]
fn crates_depend_only_along_the_arrows() {
    let ours = |edge: &Edge| edge.to.starts_with("watchfire-");
    expect_none(
        &offences(&edges(), |edge| ours(edge) && !may_depend(edge)),
        "These edges between our crates are not in the design:",
        "move the code to the crate that may know both, or pass the value in. If the design is \
         meant to change, change ARROWS in tests/house/arrows.rs and ARCHITECTURE.md with it.",
    );
}

#[test]
fn every_crate_has_its_row_of_arrows() {
    let edges = edges();
    let unlisted = offences(&edges, |edge| {
        !ARROWS.iter().any(|(from, _)| *from == edge.from)
    });
    expect_none(
        &unlisted,
        "These crates have no row in ARROWS:",
        "add one to tests/house/arrows.rs.",
    );
}

#[test]
fn domain_and_contracts_stay_pure() {
    let reaches = |name: &&str| {
        let package = format!("watchfire-{name}");
        let arguments = [
            "tree",
            "--locked",
            "--package",
            &package,
            "--edges=normal",
            "--prefix=none",
            "--format={lib}",
        ];
        let tree = output_of(cargo(), &arguments);
        let impure = |line: &&str| IMPURE.contains(&line.replace('_', "-").as_str());
        let found: Vec<String> = tree.lines().filter(impure).map(str::to_owned).collect();
        found
            .into_iter()
            .map(move |found| format!("{package} -> {found}"))
    };
    expect_none(
        &PURE.iter().flat_map(reaches).collect::<Vec<_>>(),
        "Pure crates reach async, I/O, a clock, SQL or an HTTP server through these:",
        "take the value as an argument and do the work in a crate that may.",
    );
}

#[test]
fn only_back_ends_hold_a_database_driver() {
    let outside = |edge: &Edge| {
        DATABASE_DRIVERS.contains(&edge.to.as_str()) && !edge.from.starts_with("store-")
    };
    expect_none(
        &offences(&edges(), outside),
        "These crates hold a database driver and are no back end:",
        "add what is needed to the Store trait and its conformance suite.",
    );
}

#[test]
fn only_deliver_sends_requests() {
    let is_client = |edge: &Edge| {
        edge.to.starts_with("hyper") && edge.features.iter().any(|name| name.starts_with("client"))
    };
    let outside = |edge: &Edge| {
        OTHER_HTTP_CLIENTS.contains(&edge.to.as_str())
            || (is_client(edge) && !HTTP_CLIENT_HOLDERS.contains(&edge.from.as_str()))
    };
    expect_none(
        &offences(&edges(), outside),
        "These crates hold an HTTP client:",
        "write an intent and let the engine send it through deliver, which alone has the address \
         policy.",
    );
}
