//! Holds every statement to its index: none may walk a whole table or sort what it found, because
//! then its price would grow with the history.

use rusqlite::Connection;
use watchfire_domain::id::{ApplicationId, AttemptId, Ksuid, MessageId};
use watchfire_store::{
    AppKey, AttemptFilter, AuditFilter, DeliveryStatus, EndpointKey, MessageFilter, Order, Range,
    Seq,
};

use crate::audit;
use crate::history::{attempted, attempts, messages};
use crate::migration::migrate;
use crate::open::{Options, Role, configure};

/// All files with statements.
const SOURCES: &[&str] = &[
    include_str!("activity.rs"),
    include_str!("activity/owing.rs"),
    include_str!("attempt.rs"),
    include_str!("audit.rs"),
    include_str!("configuration/api_key.rs"),
    include_str!("configuration/application.rs"),
    include_str!("configuration/change_log.rs"),
    include_str!("configuration/endpoint.rs"),
    include_str!("configuration/event_type.rs"),
    include_str!("configuration/token_void.rs"),
    include_str!("history/attempted.rs"),
    include_str!("history/attempts.rs"),
    include_str!("history/deliveries.rs"),
    include_str!("history/expunge.rs"),
    include_str!("history/messages.rs"),
    include_str!("ledger/append.rs"),
    include_str!("ledger/claim.rs"),
    include_str!("ledger/tally.rs"),
    include_str!("ledger/unfinished.rs"),
    include_str!("message.rs"),
    include_str!("nodes.rs"),
    include_str!("nodes/member.rs"),
    include_str!("open.rs"),
    include_str!("owed.rs"),
    include_str!("prune.rs"),
    include_str!("prune/own.rs"),
    include_str!("prune/recipes.rs"),
    include_str!("recipes.rs"),
    include_str!("search/deliveries.rs"),
    include_str!("search/record.rs"),
    include_str!("search/walk.rs"),
    include_str!("shards.rs"),
];

/// Walks that are short whatever the history: of partial indexes that hold only what is at work
/// (leases) or about to go (deleted applications), and of no rows at all.
const SHORT_WALKS: &[&str] = &[
    "SCAN owed USING INDEX owed_lease",
    "SCAN o USING INDEX endpoint_owing",
    "SCAN endpoint_owed USING INDEX endpoint_owing",
    "SCAN a USING COVERING INDEX application_deleted",
    "SCAN node",
    "SCAN shard USING INDEX shard_of_node",
    "SCAN sqlite_sequence",
    "SCAN CONSTANT ROW",
];

/// Statements that may do otherwise, by how they begin.
const EXCEPTIONS: &[&str] = &[
    // A beginning only; what follows it says what to look for.
    "SELECT k.id, k.org, a.id, k.name",
    // Sorts the shards, of which there are few.
    "UPDATE shard SET node = ?1",
    // When an operator has changed the times of organizations.
    "DELETE FROM retention_walk",
    // Grows with the applications, not with the history, and is asked when a server starts.
    "SELECT DISTINCT org, settings",
];

fn database() -> Connection {
    let mut connection = Connection::open_in_memory().expect("open it");
    configure(&connection, Role::Writer(Options::default())).expect("set it up");
    migrate(&mut connection).expect("migrate it");
    connection
}

fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let explain = format!("EXPLAIN QUERY PLAN {sql}");
    let mut statement = connection
        .prepare(&explain)
        .unwrap_or_else(|error| panic!("{sql}\n{error}"));
    let mut rows = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().expect("explain it") {
        steps.push(row.get(3).expect("a step"));
    }
    steps
}

/// What is wrong with a statement's plan.
fn faults(connection: &Connection, sql: &str) -> Vec<String> {
    let wrong = |step: &String| {
        // The steps of a subquery are judged by themselves.
        let short = SHORT_WALKS.contains(&step.as_str()) || step.starts_with("SCAN (subquery");
        (step.starts_with("SCAN") && !short) || step.contains("TEMP B-TREE")
    };
    let steps = plan(connection, sql).into_iter().filter(wrong);
    steps.map(|step| format!("{step}: {sql}")).collect()
}

fn check(connection: &Connection, sql: &str) {
    assert_eq!(faults(connection, sql), Vec::<String>::new());
}

/// The string literals of a source, without comments.
fn literals(source: &str) -> Vec<String> {
    let code: Vec<&str> = source
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let parts = code.split('"').skip(1).step_by(2);
    parts.map(joined).collect()
}

/// Undoes the line breaks of a literal.
fn joined(literal: &str) -> String {
    let lines = literal.split("\\\n").map(str::trim_start);
    lines.collect()
}

/// A statement that is whole but for the columns it reads.
fn statement(literal: &str) -> Option<String> {
    let verbs = ["SELECT ", "UPDATE ", "DELETE ", "INSERT "];
    let objects = [" FROM ", " SET ", " INTO "];
    if !verbs.iter().any(|verb| literal.starts_with(verb))
        || !objects.iter().any(|object| literal.contains(object))
    {
        return None;
    }
    let Some((before, rest)) = literal.split_once('{') else {
        return Some(literal.to_owned());
    };
    let (_, after) = rest.split_once('}')?;
    let columns = before == "SELECT " && after.starts_with(" FROM") && !after.contains('{');
    columns.then(|| format!("SELECT *{after}"))
}

#[test]
fn no_statement_walks_or_sorts_a_table() {
    let connection = database();
    let literals = SOURCES.iter().flat_map(|source| literals(source));
    let statements: Vec<_> = literals
        .filter_map(|literal| statement(&literal))
        .filter(|sql| !EXCEPTIONS.iter().any(|begin| sql.starts_with(begin)))
        .collect();
    assert!(
        statements.len() > 70,
        "only {} were found",
        statements.len()
    );
    let all = statements.iter().flat_map(|sql| faults(&connection, sql));
    assert_eq!(all.collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn no_list_walks_or_sorts_a_table() {
    let connection = database();
    for order in [Order::Ascending, Order::Descending] {
        for (after, before) in [(false, false), (true, false), (false, true), (true, true)] {
            let ends = |wanted: bool| wanted.then_some(Ksuid::MIN);
            let range = Range {
                after: ends(after),
                before: ends(before),
                order,
                limit: 50,
            };
            check_lists(&connection, &range);
        }
    }
}

#[test]
fn no_list_of_the_audit_log_walks_or_sorts_a_table() {
    let connection = database();
    let org = "org_one".parse().expect("a valid name");
    let application = Some(ApplicationId::from_ksuid(Ksuid::MIN));
    let object = Some("ep_1".to_owned());
    for (application, object) in [
        (None, None),
        (application, None),
        (None, object.clone()),
        (application, object),
    ] {
        let filter = AuditFilter {
            application,
            object,
        };
        for order in [Order::Ascending, Order::Descending] {
            let range = Range::from_start(order, 50);
            let (sql, _) = audit::list_query(&org, &filter, &range);
            check(&connection, &sql);
        }
    }
}

fn check_lists(connection: &Connection, range: &Range<Ksuid>) {
    let of_messages = range_of(range, MessageId::from_ksuid);
    let of_attempts = range_of(range, AttemptId::from_ksuid);
    let (app, endpoint) = (AppKey(1), EndpointKey(1));
    for without_payload in [false, true] {
        let filter = MessageFilter {
            without_payload,
            ..MessageFilter::default()
        };
        let (sql, _) = messages::list_query(app, &filter, &of_messages);
        check(connection, &sql);
    }
    for (status, status_class) in [
        (None, None),
        (None, Some(0)),
        (None, Some(2)),
        (Some(DeliveryStatus::Delivered), None),
        (Some(DeliveryStatus::Failed), None),
        (Some(DeliveryStatus::Pending), None),
    ] {
        let filter = AttemptFilter {
            status,
            status_class,
            ..AttemptFilter::default()
        };
        let (sql, _) = attempts::of_endpoint_query((app, endpoint), &filter, &of_attempts);
        check(connection, &sql);
        let (sql, _) = attempts::of_message_query((app, Seq(1)), &filter, &of_attempts);
        check(connection, &sql);
        let (sql, _) = attempted::ids_query(endpoint, status, &of_messages);
        check(connection, &sql);
    }
}

fn range_of<C>(range: &Range<Ksuid>, id: fn(Ksuid) -> C) -> Range<C> {
    Range {
        after: range.after.map(id),
        before: range.before.map(id),
        order: range.order,
        limit: range.limit,
    }
}
