//! Every table of the schema is moved, or made here.

use std::collections::BTreeSet;

use watchfire_testkit::Postgres as Server;

use super::*;

/// Made by the move itself or by servers, or of no use to a server that starts.
const MADE_HERE: &[&str] = &[
    "migration",
    "retention_walk",
    "counter",
    "change_log",
    "day",
    "event_id",
    "seal",
    "transfer",
];
/// Columns that are filled by their defaults.
const FILLED_HERE: &[(&str, &str)] = &[("activity_minute", "part"), ("event_type_hour", "part")];

async fn database() -> (Address, Server) {
    let server = tokio::task::spawn_blocking(Server::shared).await;
    let server = server.expect("a server");
    let address = server.fresh_schema().parse().expect("an address");
    (address, server)
}

async fn names(target: &Target, sql: &str) -> BTreeSet<String> {
    let tx = target.store.ledger.begin(Mode::Read).await.expect("begin");
    let rows = tx.query(sql, params![]).await.expect("ask");
    rows.iter()
        .map(|row| Columns::of(row, "names").get("name").expect("a name"))
        .collect()
}

#[tokio::test]
async fn every_table_and_column_is_filled() {
    let (address, _server) = database().await;
    let target = Target::open(&address).await.expect("open it");
    let sql = "SELECT relname::text FROM pg_class \
         WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')";
    let moved = TABLES.iter().map(|table| table.name);
    let known = moved.chain(MADE_HERE.iter().copied());
    let known: BTreeSet<String> = known.map(ToOwned::to_owned).collect();
    assert_eq!(names(&target, sql).await, known);
    for table in TABLES {
        let sql = format!(
            "SELECT attname::text FROM pg_attribute \
             WHERE attrelid = '{}'::regclass AND attnum > 0",
            table.name
        );
        let mut there = names(&target, &sql).await;
        for (of, column) in FILLED_HERE {
            assert!(*of != table.name || there.remove(*column));
        }
        let moved = table.columns.iter().map(|column| column.name.to_owned());
        assert_eq!(moved.collect::<BTreeSet<_>>(), there, "{}", table.name);
    }
}

#[tokio::test]
async fn only_one_of_two_moves_writes() {
    let (address, _server) = database().await;
    let target = Target::open(&address).await.expect("open it");
    target.begin("a").await.expect("it begins");
    let table = TABLES.iter().find(|table| table.name == "idempotency");
    let table = table.expect("a table");
    let row = |byte: u8| {
        let bytes = Cell::Bytes(vec![byte; 32]);
        vec![bytes.clone(), bytes.clone(), bytes, Cell::Integer(1)]
    };
    let start = Progress::default();
    let once = target.write(table, &[row(1)], &start).await;
    let after = once.expect("the first writes");
    let late = target.write(table, &[row(2)], &start).await;
    assert!(matches!(late, Err(TargetError::Overtaken)), "{late:?}");
    let found = target.digest(table, |_| {}).await.expect("read it back");
    assert_eq!(found, after.digest);
    let again = target.begin("a").await.expect("it goes on");
    assert_eq!(again["idempotency"], after);
    let other = target.begin("b").await;
    assert!(matches!(other, Err(TargetError::OtherSource)), "{other:?}");
}

#[tokio::test]
async fn no_server_starts_on_half_a_store() {
    let (address, _server) = database().await;
    let target = Target::open(&address).await.expect("open it");
    target.begin("a").await.expect("it begins");
    let refused = Postgres::open(&address, Options::default()).await.err();
    assert!(matches!(refused, Some(OpenError::HalfMoved)), "{refused:?}");
    target.finish(&Continues::default()).await.expect("done");
    Postgres::open(&address, Options::default())
        .await
        .expect("it starts");
}
