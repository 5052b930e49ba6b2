//! Nothing is left behind: every table and column is moved, but for those that say why not.

use std::collections::BTreeSet;

use watchfire_store::transfer::TABLES;

use super::*;
use crate::migration::migrate;
use crate::open::{Options, Role, configure};

/// Tables that are not moved: what the target makes by itself, and news for running servers.
const LEFT_BEHIND: &[&str] = &["migration", "counter", "change_log", "retention_walk"];
/// A key that nothing refers to.
const COLUMNS_LEFT_BEHIND: &[(&str, &str)] = &[("event_type", "key")];

fn database() -> Connection {
    let mut connection = Connection::open_in_memory().expect("open it");
    configure(&connection, Role::Writer(Options::default())).expect("set it up");
    migrate(&mut connection).expect("migrate it");
    connection
}

fn names(connection: &Connection, sql: &str) -> BTreeSet<String> {
    let mut statement = connection.prepare(sql).expect("prepare it");
    let names = statement.query_map([], |row| row.get(0)).expect("ask");
    names.map(|name| name.expect("a name")).collect()
}

#[test]
fn every_table_and_column_is_moved() {
    let connection = database();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let moved = TABLES.iter().map(|table| table.name);
    let known: BTreeSet<_> = moved.chain(LEFT_BEHIND.iter().copied()).collect();
    let known: BTreeSet<_> = known.into_iter().map(ToOwned::to_owned).collect();
    assert_eq!(names(&connection, sql), known);
    for table in TABLES {
        let sql = format!("SELECT name FROM pragma_table_info('{}')", table.name);
        let mut there = names(&connection, &sql);
        for (of, column) in COLUMNS_LEFT_BEHIND {
            assert!(*of != table.name || there.remove(*column));
        }
        let moved = table.columns.iter().map(|column| column.name.to_owned());
        assert_eq!(moved.collect::<BTreeSet<_>>(), there, "{}", table.name);
    }
}

#[test]
fn a_walk_takes_what_it_reads_and_no_more() {
    let connection = database();
    for table in TABLES {
        for behind in [false, true] {
            let explain = format!("EXPLAIN QUERY PLAN {}", walk(table, behind));
            let mut statement = connection.prepare(&explain).expect("prepare it");
            let mut rows = statement.raw_query();
            while let Some(row) = rows.next().expect("explain it") {
                let step: String = row.get(3).expect("a step");
                assert!(!step.contains("TEMP B-TREE"), "{}: {step}", table.name);
                assert!(
                    !behind || step.starts_with("SEARCH"),
                    "{}: {step}",
                    table.name
                );
            }
        }
    }
}
