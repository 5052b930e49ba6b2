//! Opens the store and names everything that can be wrong with a database.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::PoolError;
use tokio_postgres::error::SqlState;
use tracing::warn;
use watchfire_domain::limit;

use crate::address::Address;
use crate::fault::{Fault, FaultResult};
use crate::hints::Hints;
use crate::ledger::Places;
use crate::migration::{MIGRATIONS, Migration, MigrationError, bring_to};
use crate::parameter::params;
use crate::partition::Days;
use crate::pool::{Pool, Shared};
use crate::row::Columns;
use crate::session::{Mode, Tx, in_transaction};
use crate::tls::MakeTls;
use crate::transfer::is_under_way;

/// The shared store. Clones share its connections.
#[derive(Clone)]
pub struct Postgres {
    /// For the ledger and the nodes.
    pub(crate) ledger: Pool,
    /// For people: lists, look-ups and changes of the configuration.
    pub(crate) people: Pool,
    pub(crate) days: Days,
    pub(crate) places: Places,
    pub(crate) hints: Arc<Hints>,
}

/// How the store is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections of this process, 2 at least: half for the ledger, half for people.
    pub connections: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: limit::DATABASE_CONNECTIONS,
        }
    }
}

/// Why the store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("reach the database at {at}")]
    Unreachable {
        at: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("log in to the database at {at}: the user or the password is wrong")]
    WrongLogin { at: String },
    #[error("open the database at {at}: there is no database of this name")]
    NoDatabase { at: String },
    #[error("change the tables of the database at {at}: the user may not")]
    NotAllowed { at: String },
    #[error(
        "open the database at {at}: the server is PostgreSQL {found}; {} or later is needed",
        VERSION_MIN / 10_000
    )]
    TooOld { at: String, found: i64 },
    #[error("open the database at {at}: it can only be read; it may be a replica")]
    ReadOnly { at: String },
    #[error("set up TLS to the database at {at}")]
    Tls {
        at: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "open the database: its schema has version {found}, this server knows {known}; \
         use a newer server"
    )]
    Newer { found: i64, known: i64 },
    #[error(
        "bring the database to schema {version}: nodes that could not go on with it are alive \
         ({nodes}); stop them first"
    )]
    OlderNodes { version: i64, nodes: String },
    #[error(
        "open the database: its secrets are sealed with another master key; \
         give all nodes the same"
    )]
    OtherKey,
    #[error(
        "open the database: a store is being moved into it; run `watchfire migrate` again until \
         it is done"
    )]
    HalfMoved,
    #[error("open the database: its migration {version} is not the one of this server")]
    ChangedMigration { version: i64 },
    #[error(
        "bring the database to this version's schema: somebody else, a dump perhaps, keeps a table \
         locked that has to be changed; start again when that is done"
    )]
    InUse,
}

/// How often a schema is tried to be brought up to date while somebody keeps a table locked.
const MIGRATION_TRIES_MAX: usize = 200;
/// Between two tries: whoever waited behind the last has its turn.
const MIGRATION_REST: Duration = Duration::from_secs(2);

/// The oldest server whose partitions and statistics we have tried.
const VERSION_MIN: i64 = 150_000;

impl Postgres {
    /// Connects, checks the server and brings the schema up to date.
    ///
    /// # Errors
    ///
    /// One [`OpenError`] for each thing an operator can put right.
    pub async fn open(address: &Address, options: Options) -> Result<Self, OpenError> {
        let store = Self::connect(address, options).await?;
        let wrong = |fault| classify(&address.to_string(), fault);
        let looked = in_transaction!(store.ledger, Mode::Read, tx => is_under_way(&tx)).await;
        if looked.map_err(wrong)? {
            return Err(OpenError::HalfMoved);
        }
        Ok(store)
    }

    /// The same, whether or not a store is being moved into the database.
    pub(crate) async fn connect(address: &Address, options: Options) -> Result<Self, OpenError> {
        let at = address.to_string();
        let tls = MakeTls::new(address.trust()).map_err(|error| OpenError::Tls {
            at: at.clone(),
            source: Box::new(error),
        })?;
        let half = (options.connections / 2).max(1);
        let hints = Hints::new(address.clone(), tls.clone());
        let shared = Shared {
            board: Arc::clone(&hints.board),
            turns: Arc::default(),
        };
        let store = Self {
            ledger: Pool::new(address, &tls, half, shared.clone()),
            people: Pool::new(address, &tls, half, shared),
            days: Days::default(),
            places: Places::default(),
            hints: Arc::new(hints),
        };
        store.bring_up_to_date(&at, MIGRATIONS).await?;
        Ok(store)
    }

    /// Brings the schema to this version. A table that somebody else keeps locked, as a dump does, is
    /// waited for in such a way that nobody waits behind us.
    pub(crate) async fn bring_up_to_date(
        &self,
        at: &str,
        migrations: &[Migration],
    ) -> Result<(), OpenError> {
        for _ in 0..MIGRATION_TRIES_MAX {
            match self.try_to_bring_up_to_date(at, migrations).await {
                Err(MigrationError::Fault(fault)) if fault.is_locked_out() => {
                    warn!("a table to be changed is in use, by a dump perhaps; waiting for it");
                    tokio::time::sleep(MIGRATION_REST).await;
                }
                Err(MigrationError::Fault(fault)) => return Err(classify(at, fault)),
                Err(MigrationError::Refused(error)) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
        Err(OpenError::InUse)
    }

    async fn try_to_bring_up_to_date(
        &self,
        at: &str,
        migrations: &[Migration],
    ) -> Result<(), MigrationError> {
        let tx = self.ledger.begin(Mode::Write).await?;
        let checked = self.check_server(&tx, at).await;
        checked.map_err(MigrationError::Refused)?;
        match bring_to(&tx, migrations).await {
            Ok(()) => Ok(tx.commit().await?),
            Err(error) => {
                tx.roll_back().await;
                Err(error)
            }
        }
    }

    async fn check_server(&self, tx: &Tx, at: &str) -> Result<(), OpenError> {
        let sql = "SELECT current_setting('server_version_num')::bigint, \
             pg_is_in_recovery(), current_setting('synchronous_commit'), current_setting('fsync')";
        let wrong = |fault| classify(at, fault);
        let row = tx.first(sql, params![]).await.map_err(wrong)?;
        let row = row.ok_or(Fault::Late).map_err(wrong)?;
        let read = |place: usize| row.try_get::<_, String>(place).unwrap_or_default();
        let version: i64 = row.try_get(0).unwrap_or(0);
        let found = version / 10_000;
        if version < VERSION_MIN {
            return Err(OpenError::TooOld {
                at: at.to_owned(),
                found,
            });
        }
        if row.try_get(1).unwrap_or(false) {
            return Err(OpenError::ReadOnly { at: at.to_owned() });
        }
        for (name, value) in [("synchronous_commit", read(2)), ("fsync", read(3))] {
            if value == "off" {
                warn!(
                    setting = name,
                    "the database does not keep what it has acknowledged; a crash loses messages"
                );
            }
        }
        Ok(())
    }

    /// Makes sure that all nodes seal secrets with one key, which is known here by a keyed hash.
    ///
    /// # Errors
    ///
    /// [`OpenError::OtherKey`] if the database has secrets under another one.
    pub async fn agree_on_key(&self, fingerprint: &[u8; 32]) -> Result<(), OpenError> {
        let agree = in_transaction!(self.people, Mode::Write, tx => agree(&tx, fingerprint));
        match agree.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(OpenError::OtherKey),
            Err(fault) => Err(classify("the configured address", fault)),
        }
    }

    /// Hands out no more connections. Every later call fails with
    /// [`watchfire_store::StoreError::Closed`].
    pub fn close(&self) {
        self.ledger.close();
        self.people.close();
        self.hints.close();
    }
}

/// Whether the fingerprint is the first, or the one that stands there.
async fn agree(tx: &Tx, fingerprint: &[u8; 32]) -> FaultResult<bool> {
    let sql = "INSERT INTO seal AS s (single, fingerprint) VALUES (true, $1) \
         ON CONFLICT (single) DO UPDATE SET fingerprint = s.fingerprint \
         RETURNING s.fingerprint = $1";
    let row = tx.first(sql, params![fingerprint.as_slice()]).await?;
    row.map_or(Ok(false), |row| {
        Columns::of(&row, "seal").get("fingerprint")
    })
}

fn classify(at: &str, fault: Fault) -> OpenError {
    let at = at.to_owned();
    let state = match &fault {
        Fault::Sql(error) | Fault::Pool(PoolError::Backend(error)) => error.code().cloned(),
        _ => None,
    };
    match state {
        Some(state)
            if state == SqlState::INVALID_PASSWORD
                || state == SqlState::INVALID_AUTHORIZATION_SPECIFICATION =>
        {
            OpenError::WrongLogin { at }
        }
        Some(state) if state == SqlState::INVALID_CATALOG_NAME => OpenError::NoDatabase { at },
        Some(state) if state == SqlState::INSUFFICIENT_PRIVILEGE => OpenError::NotAllowed { at },
        Some(state) if state == SqlState::READ_ONLY_SQL_TRANSACTION => OpenError::ReadOnly { at },
        Some(_) | None => OpenError::Unreachable {
            at,
            source: Box::new(fault),
        },
    }
}
