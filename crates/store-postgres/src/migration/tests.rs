//! Two versions on one database: what the next one may do under this one, and what this one may do
//! after it.

use std::time::Duration;

use watchfire_testkit::Postgres as Server;

use super::*;
use crate::address::Address;
use crate::open::{Options, Postgres};
use crate::session::Mode;

/// The schema after this one, which only adds to it.
fn additive() -> Migration {
    Migration {
        version: newest() + 1,
        name: "an_addition",
        sql: "ALTER TABLE message ADD COLUMN colour text; CREATE TABLE palette (colour text)",
        oldest: 1,
    }
}

/// The same, but servers of today could not go on with it.
fn breaking() -> Migration {
    Migration {
        sql: "ALTER TABLE owed RENAME COLUMN once TO single",
        name: "a_change",
        oldest: newest() + 1,
        ..additive()
    }
}

fn newest() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

struct World {
    address: Address,
    store: Postgres,
    _server: Server,
}

impl World {
    async fn new() -> Self {
        let server = tokio::task::spawn_blocking(Server::shared).await;
        let server = server.expect("a server");
        let address: Address = server.fresh_schema().parse().expect("an address");
        let store = Postgres::open(&address, Options { connections: 2 }).await;
        Self {
            store: store.expect("open it"),
            address,
            _server: server,
        }
    }

    /// A server of the next version starts.
    async fn upgrade(&self, next: Migration) -> Result<(), MigrationError> {
        let mut migrations = MIGRATIONS.to_vec();
        migrations.push(next);
        let tx = self.store.ledger.begin(Mode::Write).await?;
        match bring_to(&tx, &migrations).await {
            Ok(()) => Ok(tx.commit().await?),
            Err(error) => {
                tx.roll_back().await;
                Err(error)
            }
        }
    }

    /// A server of this version starts.
    async fn start(&self) -> Result<Postgres, OpenError> {
        Postgres::open(&self.address, Options { connections: 2 }).await
    }

    /// A node that lives for so many seconds.
    async fn join(&self, seconds: i64) {
        let micros = seconds * 1_000_000;
        let sql = format!(
            "INSERT INTO node (name, epoch, checkpoint, version, joined_at, beaten_at, \
             lease_until, clock_ahead, in_flight, queued, lag) \
             SELECT 'one', nextval('node_epoch'), 0, '', 0, 0, {NOW} + {micros}, \
             0, 0, 0, 0"
        );
        let tx = self.store.ledger.begin(Mode::Write).await.expect("begin");
        tx.batch(&sql).await.expect("join");
        tx.commit().await.expect("commit");
    }
}

#[tokio::test]
async fn a_schema_that_was_only_added_to_is_used_by_older_servers() {
    let world = World::new().await;
    world.join(3_600).await;
    world.upgrade(additive()).await.expect("nodes may be alive");
    world.start().await.expect("an older server may start");
    let again = world.upgrade(additive()).await;
    again.expect("the second node of the next version finds it done");
}

#[tokio::test]
async fn a_dump_holds_up_the_upgrade_and_nobody_behind_it() {
    let world = World::new().await;
    let dump = world.store.people.begin(Mode::Read).await.expect("begin");
    let read = "SET LOCAL idle_in_transaction_session_timeout = 0; \
         LOCK TABLE message IN ACCESS SHARE MODE";
    dump.batch(read).await.expect("a dump reads it");
    let locked_out = world.upgrade(additive()).await;
    assert!(
        matches!(&locked_out, Err(MigrationError::Fault(fault)) if fault.is_locked_out()),
        "{locked_out:?}"
    );
    let mut migrations = MIGRATIONS.to_vec();
    migrations.push(additive());
    let upgrade = world.store.bring_up_to_date("here", &migrations);
    let end_of_dump = async {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        dump.commit().await
    };
    let (upgraded, ended) = tokio::join!(upgrade, end_of_dump);
    ended.expect("nobody minds the dump");
    upgraded.expect("it waited");
}

#[tokio::test]
async fn a_schema_that_breaks_older_servers_waits_until_they_have_gone() {
    let world = World::new().await;
    world.join(3_600).await;
    let refused = world.upgrade(breaking()).await;
    assert!(
        matches!(
            &refused,
            Err(MigrationError::Refused(OpenError::OlderNodes { version, nodes }))
                if *version == newest() + 1 && nodes == "one"
        ),
        "{refused:?}"
    );
    world.start().await.expect("nothing was changed");
}

#[tokio::test]
async fn a_schema_that_breaks_older_servers_refuses_them_afterwards() {
    let world = World::new().await;
    world.join(-1).await;
    let upgraded = world.upgrade(breaking()).await;
    upgraded.expect("a node whose lease has ended counts for nothing");
    let refused = world.start().await.err();
    assert!(
        matches!(refused, Some(OpenError::Newer { found, known })
            if found == newest() + 1 && known == newest()),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_addition_after_a_break_opens_nothing_again() {
    let world = World::new().await;
    world.upgrade(breaking()).await.expect("nobody is there");
    let later = Migration {
        version: newest() + 2,
        sql: "CREATE TABLE later ()",
        oldest: newest() + 1,
        ..additive()
    };
    let mut migrations = MIGRATIONS.to_vec();
    migrations.extend([breaking(), later]);
    let tx = world.store.ledger.begin(Mode::Write).await.expect("begin");
    bring_to(&tx, &migrations).await.expect("it is added");
    tx.commit().await.expect("commit");
    let refused = world.start().await.err();
    assert!(
        matches!(refused, Some(OpenError::Newer { .. })),
        "{refused:?}"
    );
}

#[test]
fn every_migration_says_who_may_go_on() {
    for (place, migration) in MIGRATIONS.iter().enumerate() {
        assert_eq!(usize::try_from(migration.version), Ok(place + 1));
        assert!((1..=migration.version).contains(&migration.oldest));
    }
}
