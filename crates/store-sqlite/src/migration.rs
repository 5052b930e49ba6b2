//! Brings the file to this version's schema. Released migrations are never edited: each one's
//! checksum is kept in the file, and a file from a newer version is refused.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::open::OpenError;

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
        name: "api_keys",
        sql: include_str!("../migrations/0002_api_keys.sql"),
    },
    Migration {
        version: 3,
        name: "notices",
        sql: include_str!("../migrations/0003_notices.sql"),
    },
    Migration {
        version: 4,
        name: "insight",
        sql: include_str!("../migrations/0004_insight.sql"),
    },
    Migration {
        version: 5,
        name: "nodes",
        sql: include_str!("../migrations/0005_nodes.sql"),
    },
    Migration {
        version: 6,
        name: "mail",
        sql: include_str!("../migrations/0006_mail.sql"),
    },
    Migration {
        version: 7,
        name: "tasks_of_an_application",
        sql: include_str!("../migrations/0007_tasks_of_an_application.sql"),
    },
    Migration {
        version: 8,
        name: "paused_tasks",
        sql: include_str!("../migrations/0008_paused_tasks.sql"),
    },
    Migration {
        version: 9,
        name: "own_retention",
        sql: include_str!("../migrations/0009_own_retention.sql"),
    },
    Migration {
        version: 10,
        name: "void_tokens",
        sql: include_str!("../migrations/0010_void_tokens.sql"),
    },
    Migration {
        version: 11,
        name: "mail_holder",
        sql: include_str!("../migrations/0011_mail_holder.sql"),
    },
    Migration {
        version: 12,
        name: "event_type_hour",
        sql: include_str!("../migrations/0012_event_type_hour.sql"),
    },
    Migration {
        version: 13,
        name: "whole_tasks",
        sql: include_str!("../migrations/0013_whole_tasks.sql"),
    },
    Migration {
        version: 14,
        name: "recipes",
        sql: include_str!("../migrations/0014_recipes.sql"),
    },
];

/// The schema of this version.
pub(crate) const KNOWN: i64 = MIGRATIONS[MIGRATIONS.len() - 1].version;

const LEDGER_OF_MIGRATIONS: &str = "CREATE TABLE IF NOT EXISTS migration (
  version INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  checksum TEXT NOT NULL
) STRICT";

/// Why the schema could not be brought up to date.
#[derive(Debug)]
pub(crate) enum MigrationError {
    Sql(rusqlite::Error),
    Refused(OpenError),
}

impl From<rusqlite::Error> for MigrationError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// Applies what is missing, all or nothing.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), MigrationError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(LEDGER_OF_MIGRATIONS)?;
    refuse_newer(&tx)?;
    for migration in MIGRATIONS {
        apply(&tx, migration)?;
    }
    tx.commit()?;
    Ok(())
}

fn refuse_newer(connection: &Connection) -> Result<(), MigrationError> {
    let known = KNOWN;
    let sql = "SELECT max(version) FROM migration";
    let found: Option<i64> = connection.query_row(sql, [], |row| row.get(0))?;
    match found {
        Some(found) if found > known => {
            Err(MigrationError::Refused(OpenError::Newer { found, known }))
        }
        Some(_) | None => Ok(()),
    }
}

fn apply(connection: &Connection, migration: &Migration) -> Result<(), MigrationError> {
    let checksum = checksum(migration.sql);
    let sql = "SELECT checksum FROM migration WHERE version = ?1";
    let applied: Option<String> = connection
        .query_row(sql, [migration.version], |row| row.get(0))
        .optional()?;
    if let Some(applied) = applied {
        return if applied == checksum {
            Ok(())
        } else {
            Err(MigrationError::Refused(OpenError::ChangedMigration {
                version: migration.version,
            }))
        };
    }
    connection.execute_batch(migration.sql)?;
    connection.execute(
        "INSERT INTO migration (version, name, checksum) VALUES (?1, ?2, ?3)",
        params![migration.version, migration.name, checksum],
    )?;
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
