//! Brings the database to this version's schema. Released migrations are never edited: each one's
//! checksum is kept beside it.
//!
//! All of it is one transaction under a lock, so that several nodes may start at once.
//!
//! # Two versions at work
//!
//! Nodes are upgraded one by one, so for a while older ones work on a schema they don't know. Each
//! migration says what is the oldest schema whose servers may go on, and the database keeps that
//! beside it, where those servers find it. One that only adds (tables, indexes, columns that may be
//! left out) names the schema before; one that they would trip over names itself. The first kind
//! may be applied under them, and they may start on it. The second is refused while any of them is
//! alive, and they are refused afterwards.

use tracing::warn;

use crate::fault::{Fault, FaultResult};
use crate::nodes::NOW;
use crate::open::OpenError;
use crate::parameter::params;
use crate::row::Columns;
use crate::session::Tx;

#[cfg(test)]
mod tests;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
    /// The oldest schema whose servers may go on after this one.
    oldest: i64,
}

pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "ledger",
        sql: include_str!("../migrations/0001_ledger.sql"),
        oldest: 1,
    },
    Migration {
        version: 2,
        name: "seal",
        sql: include_str!("../migrations/0002_seal.sql"),
        oldest: 1,
    },
    Migration {
        version: 3,
        name: "paused_tasks",
        sql: include_str!("../migrations/0003_paused_tasks.sql"),
        // They don't know that a task may be paused.
        oldest: 3,
    },
    Migration {
        version: 4,
        name: "transfer",
        sql: include_str!("../migrations/0004_transfer.sql"),
        oldest: 3,
    },
    Migration {
        version: 5,
        name: "own_retention",
        sql: include_str!("../migrations/0005_own_retention.sql"),
        oldest: 3,
    },
    Migration {
        version: 6,
        name: "void_tokens",
        sql: include_str!("../migrations/0006_void_tokens.sql"),
        // They would let in whoever holds a token that was ended.
        oldest: 6,
    },
    Migration {
        version: 7,
        name: "mail_holder",
        sql: include_str!("../migrations/0007_mail_holder.sql"),
        // What they claim has no holder, or the last one, and is given back a little later or
        // sooner.
        oldest: 6,
    },
    Migration {
        version: 8,
        name: "event_type_hour",
        sql: include_str!("../migrations/0008_event_type_hour.sql"),
        oldest: 6,
    },
    Migration {
        version: 9,
        name: "whole_tasks",
        sql: include_str!("../migrations/0009_whole_tasks.sql"),
        // They read no task that has no endpoint.
        oldest: 9,
    },
    Migration {
        version: 10,
        name: "recipes",
        sql: include_str!("../migrations/0010_recipes.sql"),
        oldest: 9,
    },
];

/// A row without `oldest` is of a build that did not say; nothing older may go on after it.
const LEDGER_OF_MIGRATIONS: &str = "CREATE TABLE IF NOT EXISTS migration (
  version bigint PRIMARY KEY,
  name text NOT NULL,
  checksum text NOT NULL
);
ALTER TABLE migration ADD COLUMN IF NOT EXISTS oldest bigint CHECK (oldest BETWEEN 1 AND version)";

/// Why the schema could not be brought up to date.
#[derive(Debug)]
pub(crate) enum MigrationError {
    Fault(Fault),
    Refused(OpenError),
}

impl From<Fault> for MigrationError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The lock that nodes of one schema take turns under while they change tables.
pub(crate) const LOCK_SCHEMA: &str =
    "SELECT pg_advisory_xact_lock(1464158278, hashtext(current_schema()))";

/// How long a change waits for a table, in milliseconds. Meanwhile everybody else's work on the table
/// waits behind it, so it gives up early and is tried again.
const TABLE_WAIT_MS: u64 = 1_000;

/// Applies what is missing, all or nothing.
pub(crate) async fn bring_to(tx: &Tx, migrations: &[Migration]) -> Result<(), MigrationError> {
    // Another node may be busy with a long one.
    tx.batch("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        .await?;
    tx.query(LOCK_SCHEMA, params![]).await?;
    tx.batch(&format!("SET LOCAL lock_timeout = {TABLE_WAIT_MS}"))
        .await?;
    tx.batch(LEDGER_OF_MIGRATIONS).await?;
    let known = migrations.last().map_or(0, |migration| migration.version);
    let found = applied(tx, known).await?;
    if found.oldest > known {
        let found = found.version;
        return Err(MigrationError::Refused(OpenError::Newer { found, known }));
    }
    if found.version > known {
        let found = found.version;
        warn!(
            found,
            known, "the database's schema is newer than this server; upgrade it soon"
        );
    }
    for migration in migrations {
        apply(tx, migration, found.version).await?;
    }
    Ok(())
}

/// The schema of the database.
struct Applied {
    version: i64,
    /// The oldest schema whose servers may use it.
    oldest: i64,
}

/// What stands in the database; `oldest` counts only what is newer than what is known.
async fn applied(tx: &Tx, known: i64) -> FaultResult<Applied> {
    let sql = "SELECT coalesce(max(version), 0) AS version, \
         coalesce(max(coalesce(oldest, version)) FILTER (WHERE version > $1), 0) AS oldest \
         FROM migration";
    let row = tx.first(sql, params![known]).await?.ok_or(Fault::Late)?;
    let mut columns = Columns::of(&row, "migration");
    Ok(Applied {
        version: columns.get("version")?,
        oldest: columns.get("oldest")?,
    })
}

async fn apply(tx: &Tx, migration: &Migration, current: i64) -> Result<(), MigrationError> {
    let checksum = checksum(migration.sql);
    let sql = "SELECT checksum FROM migration WHERE version = $1";
    if let Some(row) = tx.first(sql, params![migration.version]).await? {
        let applied: String = Columns::of(&row, "migration").get("checksum")?;
        return if applied == checksum {
            Ok(())
        } else {
            Err(MigrationError::Refused(OpenError::ChangedMigration {
                version: migration.version,
            }))
        };
    }
    if current > 0 && migration.oldest > current {
        refuse_over_the_living(tx, migration).await?;
    }
    tx.batch(migration.sql).await?;
    let sql = "INSERT INTO migration (version, name, checksum, oldest) VALUES ($1, $2, $3, $4)";
    let row = params![
        migration.version,
        migration.name,
        checksum,
        migration.oldest
    ];
    tx.execute(sql, row).await?;
    Ok(())
}

/// Nodes that are alive work on the schema that is there, and could not go on.
async fn refuse_over_the_living(tx: &Tx, migration: &Migration) -> Result<(), MigrationError> {
    // Nobody joins or beats before this has ended.
    tx.batch("LOCK TABLE node IN EXCLUSIVE MODE").await?;
    let sql = format!(
        "SELECT name FROM node WHERE undertaker IS NULL AND lease_until > {NOW} ORDER BY name"
    );
    let rows = tx.query(&sql, params![]).await?;
    let names = rows.iter().map(|row| Columns::of(row, "node").get("name"));
    let nodes: Vec<String> = names.collect::<FaultResult<_>>()?;
    if nodes.is_empty() {
        return Ok(());
    }
    Err(MigrationError::Refused(OpenError::OlderNodes {
        version: migration.version,
        nodes: nodes.join(", "),
    }))
}

/// FNV-1a, 64 bits: it tells an edited file from the released one, and guards against nothing else.
fn checksum(sql: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in sql.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}
