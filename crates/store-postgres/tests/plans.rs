//! Holds every statement to its index: none may walk a whole table or sort what grows, because then
//! its price would grow with the history.
//!
//! # How
//!
//! The conformance suite runs on a server that writes down the plan of each statement it executes,
//! with all ways to do without an index made so dear that it takes them only where there is no index.
//! What is left of them is a fault, unless it stands in one of the lists below with its reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::sync::{Arc, OnceLock};

use futures_util::StreamExt as _;
use serde_json::Value;
use watchfire_store::Store;
use watchfire_store_postgres::{Address, Options, Postgres};
use watchfire_testkit::Postgres as Server;

const SETTINGS: &[&str] = &[
    "fsync = off",
    "synchronous_commit = off",
    "session_preload_libraries = 'auto_explain'",
    "auto_explain.log_min_duration = 0",
    "auto_explain.log_format = json",
    "logging_collector = on",
    "log_destination = 'jsonlog'",
    "log_directory = 'plans'",
    "log_filename = 'plans'",
    "log_min_messages = log",
    "log_rotation_size = 0",
    "enable_seqscan = off",
    "enable_bitmapscan = off",
    "enable_sort = off",
    "enable_hashjoin = off",
    "enable_mergejoin = off",
    "jit = off",
];

/// Cases that run at the same time.
const AT_ONCE: usize = 4;

/// Cases that say the same many thousand times.
const REPETITIVE: &[&str] = &[
    "order::records_stay_in_order_whatever_happens",
    "endpoints::an_application_has_a_limited_number_of_endpoints",
    "shards::nothing_is_parked_behind_what_is_settled",
    "shards::nothing_is_lost_while_a_shard_changes_hands",
    "by_hand::a_skip_and_a_claim_do_not_both_win",
    "races::accepting_delivering_and_claiming_at_once_loses_nothing",
];

/// Tables that are short whatever the history: of nodes, of shards, of migrations.
const SHORT_TABLES: &[&str] = &["node", "shard", "migration"];

/// Indexes of what is at work, which are short whatever the history.
const SHORT_INDEXES: &[&str] = &["owed_lease"];

/// Statements that may do otherwise, by what is in them.
const EXCEPTIONS: &[&str] = &[
    // Sorts the attempts of one message at a time.
    "FROM attempt WHERE seq = ANY($1)",
    // Arrivals are endpoints, and are taken several times a second.
    "FROM arrival WHERE shard = ANY($1) ORDER BY endpoint",
    // Sorts what it has claimed.
    "FROM claimed ORDER BY was_due_at",
    // Mails that wait are of endpoints in trouble; asked when a node joins or is buried.
    "FROM mail WHERE lease_node = $1",
    // When an operator has changed the times of organizations.
    "DELETE FROM retention_walk",
    // Grows with the applications, not with the history, and is asked when a server starts.
    "SELECT DISTINCT org, settings",
    // Begins with the applications where there are few of them, as in a test; else each is looked up.
    "WITH RECURSIVE step (endpoint) AS ((SELECT endpoint FROM owed ORDER BY endpoint LIMIT 1)",
];

/// What the test must see: walks and sorts of everything.
const WRONG: &[&str] = &[
    "SELECT 1 FROM message WHERE event_type = 'a'",
    "SELECT 1 FROM message WHERE event_type = 'a' LIMIT 1",
    "SELECT 1 FROM attempt WHERE endpoint = 1 ORDER BY attempted_at",
    "DELETE FROM owed WHERE reason = 1",
];

static SERVER: OnceLock<Server> = OnceLock::new();

fn server() -> &'static Server {
    SERVER.get_or_init(|| Server::private(SETTINGS))
}

async fn make() -> ((), Arc<dyn Store>) {
    let url = tokio::task::spawn_blocking(|| server().fresh_schema());
    let address: Address = url.await.expect("a schema").parse().expect("an address");
    let store = Postgres::open(&address, Options { connections: 6 }).await;
    ((), Arc::new(store.expect("open it")))
}

/// The statements that were executed, and what is wrong with how.
fn judged() -> BTreeMap<String, BTreeSet<String>> {
    let log = server().data().join("plans/plans.json");
    let log = File::open(log).expect("the server writes down its plans");
    let mut judged = BTreeMap::<String, BTreeSet<String>>::new();
    for line in BufReader::new(log).lines() {
        let line: Value = serde_json::from_str(&line.expect("a line")).expect("a line of JSON");
        let message = line["message"].as_str().unwrap_or_default();
        let Some((_, plan)) = message.split_once("plan:\n") else {
            continue;
        };
        let plan: Value = serde_json::from_str(plan).expect("a plan in JSON");
        let sql = plan["Query Text"].as_str().expect("a statement").to_owned();
        judge(&plan["Plan"], Need::All, judged.entry(sql).or_default());
    }
    judged
}

/// What a node of a plan may count on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Whoever reads it stops after a number of rows.
    Some,
    All,
}

/// What is wrong with a plan.
fn judge(node: &Value, need: Need, faults: &mut BTreeSet<String>) {
    let text = |name: &str| node[name].as_str().unwrap_or_default();
    let what = text("Node Type");
    let place = format!("{what} {}{}", text("Relation Name"), text("Index Name"));
    let is_walk = match what {
        "Seq Scan" => !SHORT_TABLES.contains(&text("Relation Name")),
        "Index Scan" | "Index Only Scan" | "Bitmap Index Scan" => {
            let bounded = need == Need::Some && node["Filter"].is_null();
            node["Index Cond"].is_null()
                && !bounded
                && !SHORT_INDEXES.contains(&text("Index Name"))
                && !SHORT_TABLES.contains(&text("Relation Name"))
        }
        "Sort" | "Incremental Sort" => !children(node).all(is_bounded),
        _ => false,
    };
    if is_walk {
        faults.insert(place);
    }
    for child in children(node) {
        let hands_on = matches!(
            what,
            "Nested Loop" | "LockRows" | "Append" | "Merge Append" | "Subquery Scan" | "Result"
        );
        let is_outer = matches!(
            child["Parent Relationship"].as_str(),
            Some("Outer" | "Member" | "Subquery")
        );
        let need = match what {
            "Limit" if is_outer => Need::Some,
            _ if hands_on && is_outer => need,
            _ => Need::All,
        };
        judge(child, need, faults);
    }
}

fn children(node: &Value) -> impl Iterator<Item = &Value> {
    node["Plans"].as_array().into_iter().flatten()
}

/// Whether a node is asked for each row instead of yielding any.
fn is_of_a_row(node: &Value) -> bool {
    matches!(
        node["Parent Relationship"].as_str(),
        Some("SubPlan" | "InitPlan")
    )
}

/// Whether a node yields a number of rows that somebody has named.
fn is_bounded(node: &Value) -> bool {
    match node["Node Type"].as_str().unwrap_or_default() {
        "Limit" | "Function Scan" | "Values Scan" | "Result" => true,
        "Seq Scan" => SHORT_TABLES.contains(&node["Relation Name"].as_str().unwrap_or_default()),
        "Append" | "Aggregate" | "Incremental Sort" | "LockRows" | "Materialize"
        | "Nested Loop" | "Sort" | "Subquery Scan" | "Unique" | "WindowAgg" => children(node)
            .filter(|child| !is_of_a_row(child))
            .all(is_bounded),
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_walks_or_sorts_a_table() {
    let cases = watchfire_store::conformance!(all make);
    let cases = cases
        .into_iter()
        .filter(|(name, _)| !REPETITIVE.contains(name));
    let running = futures_util::stream::iter(cases.map(|(_, case)| case));
    running.for_each_concurrent(AT_ONCE, |case| case).await;
    let judging = tokio::task::spawn_blocking(|| {
        let judged = judged();
        (judged, see_what_is_wrong())
    });
    let (judged, seen) = judging.await.expect("they can be read");
    assert!(judged.len() > 200, "only {} were seen", judged.len());
    let is_excepted = |sql: &str| EXCEPTIONS.iter().any(|part| sql.contains(part));
    let faults: Vec<_> = judged
        .iter()
        .filter(|(sql, faults)| !faults.is_empty() && !is_excepted(sql))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(seen, WRONG);
}

/// Which of the wrong statements are found to be wrong.
fn see_what_is_wrong() -> Vec<&'static str> {
    // One in which messages were stored, so that there are partitions.
    let used = "SELECT schemaname FROM pg_tables WHERE tablename LIKE 'message\\_%' LIMIT 1";
    let schema = server().run("postgres", used);
    let wrong = WRONG.iter().map(|sql| {
        let explain = format!("SET search_path = {schema}; EXPLAIN (FORMAT JSON) {sql}");
        let plan: Value = serde_json::from_str(&server().run("postgres", &explain)).expect("JSON");
        let mut faults = BTreeSet::new();
        judge(&plan[0]["Plan"], Need::All, &mut faults);
        (*sql, !faults.is_empty())
    });
    wrong
        .filter(|(_, is_wrong)| *is_wrong)
        .map(|(sql, _)| sql)
        .collect()
}
