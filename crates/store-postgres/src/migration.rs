//! Brings the database to this version's schema. Released migrations are never edited: each one's
//! checksum is kept beside it, and a database from a newer version is refused.
//!
//! All of it is one transaction under a lock, so that several nodes may start at once.

use crate::fault::Fault;
use crate::open::OpenError;
use crate::parameter::params;
use crate::session::Tx;

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "ledger",
        sql: include_str!("../migrations/0001_ledger.sql"),
    },
    Migration {
        version: 2,
        name: "seal",
        sql: include_str!("../migrations/0002_seal.sql"),
    },
    Migration {
        version: 3,
        name: "paused_tasks",
        sql: include_str!("../migrations/0003_paused_tasks.sql"),
    },
];

const LEDGER_OF_MIGRATIONS: &str = "CREATE TABLE IF NOT EXISTS migration (
  version bigint PRIMARY KEY,
  name text NOT NULL,
  checksum text NOT NULL
)";

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

/// Applies what is missing, all or nothing.
pub(crate) async fn migrate(tx: &Tx) -> Result<(), MigrationError> {
    // Another node may be busy with a long one.
    tx.batch("SET LOCAL statement_timeout = 0").await?;
    tx.query(LOCK_SCHEMA, params![]).await?;
    tx.batch(LEDGER_OF_MIGRATIONS).await?;
    refuse_newer(tx).await?;
    for migration in MIGRATIONS {
        apply(tx, migration).await?;
    }
    Ok(())
}

async fn refuse_newer(tx: &Tx) -> Result<(), MigrationError> {
    let known = MIGRATIONS.last().map_or(0, |migration| migration.version);
    let sql = "SELECT version FROM migration ORDER BY version DESC LIMIT 1";
    let newest = tx.first(sql, params![]).await?;
    let found = newest.map_or(Ok(0), |row| row.try_get::<_, i64>(0));
    let found = found.map_err(Fault::from)?;
    if found > known {
        return Err(MigrationError::Refused(OpenError::Newer { found, known }));
    }
    Ok(())
}

async fn apply(tx: &Tx, migration: &Migration) -> Result<(), MigrationError> {
    let checksum = checksum(migration.sql);
    let sql = "SELECT checksum FROM migration WHERE version = $1";
    if let Some(row) = tx.first(sql, params![migration.version]).await? {
        let applied: String = row.try_get(0).map_err(Fault::from)?;
        return if applied == checksum {
            Ok(())
        } else {
            Err(MigrationError::Refused(OpenError::ChangedMigration {
                version: migration.version,
            }))
        };
    }
    tx.batch(migration.sql).await?;
    let sql = "INSERT INTO migration (version, name, checksum) VALUES ($1, $2, $3)";
    let row = params![migration.version, migration.name, checksum];
    tx.execute(sql, row).await?;
    Ok(())
}

/// FNV-1a, 64 bits: it tells an edited file from the released one, and guards against nothing else.
fn checksum(sql: &str) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in sql.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("{hash:016x}")
}
