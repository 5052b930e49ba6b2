//! Which database the server keeps its messages in.

use std::sync::Arc;

use anyhow::Result;
use watchfire_engine::{Company, Vault};
use watchfire_store::{NodeId, Store};
use watchfire_store_postgres::Postgres;
use watchfire_store_sqlite::Sqlite;

use crate::ambient::SystemEntropy;
use crate::data_dir::DataDir;
use crate::settings::Settings;

/// An open database.
#[derive(Clone)]
pub(crate) enum Backend {
    Embedded(Sqlite),
    Shared(Postgres),
}

/// What the only node of an embedded database is called.
const EMBEDDED: &str = "embedded";
/// What the master key is known by in a database: its keyed hash of this.
const FINGERPRINT_OF: &[u8] = b"watchfire: the master key of this database";

/// Tells a master key from others, and not what it is.
pub(crate) fn fingerprint(vault: &Vault) -> [u8; 32] {
    vault.hash(FINGERPRINT_OF)
}

impl Backend {
    /// Opens the configured database, or the embedded one in the data folder.
    pub(crate) async fn open(settings: &Settings, data: &DataDir) -> Result<Self> {
        let Some(database) = &settings.database else {
            let options = watchfire_store_sqlite::Options::default();
            return Ok(Self::Embedded(Sqlite::open(data.path(), options)?));
        };
        let options = watchfire_store_postgres::Options {
            connections: database.connections,
        };
        let store = Postgres::open(&database.address, options).await?;
        Ok(Self::Shared(store))
    }

    /// Fails if other nodes seal their secrets with another key.
    pub(crate) async fn agree_on_key(&self, vault: &Vault) -> Result<()> {
        match self {
            Self::Embedded(_) => Ok(()),
            Self::Shared(store) => Ok(store.agree_on_key(&fingerprint(vault)).await?),
        }
    }

    /// What this server is called among those that share the database.
    pub(crate) fn node(&self, settings: &Settings, data: &DataDir) -> Result<NodeId> {
        match (self, &settings.node) {
            (Self::Embedded(_), _) => Ok(NodeId(EMBEDDED.to_owned())),
            (Self::Shared(_), Some(node)) => Ok(node.clone()),
            (Self::Shared(_), None) => data.node_name(&SystemEntropy).map(NodeId),
        }
    }

    /// Whether other servers may be there.
    pub(crate) fn company(settings: &Settings) -> Company {
        let database = settings.database.as_ref();
        database.map_or(Company::Alone, |database| Company::Others(database.rhythm))
    }

    pub(crate) fn shared(&self) -> Arc<dyn Store> {
        match self {
            Self::Embedded(store) => Arc::new(store.clone()),
            Self::Shared(store) => Arc::new(store.clone()),
        }
    }

    /// Writes what is left, and lets go of the database.
    pub(crate) async fn close(&self) {
        match self {
            Self::Embedded(store) => store.close().await,
            Self::Shared(store) => store.close(),
        }
    }
}
