//! Opens the store and names everything that can be wrong with a data folder.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use crate::checkpoint::Checkpointer;
use crate::folder::Folder;
use crate::migration::{MigrationError, migrate};
use crate::readers::Readers;
use crate::writer::{Writer, WriterThread};

/// The embedded store. Clones share one database.
#[derive(Clone)]
pub struct Sqlite {
    pub(crate) writer: Writer,
    pub(crate) readers: Readers,
}

/// How the store is opened. The defaults suit a server with two cores and up.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Connections for lists and look-ups, 1 at least.
    pub readers: usize,
    /// The file grows no further than this; beyond it writes fail as on a full disk. `None`: the
    /// disk is the limit.
    pub file_bytes_max: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            readers: 3,
            file_bytes_max: None,
        }
    }
}

/// Why the store can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("open {0}: it is not a folder")]
    NotAFolder(PathBuf),
    #[error("write to the data folder {folder}")]
    NotWritable {
        folder: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("lock the data folder {folder}: another server uses it{}", pid_text(.pid.as_ref()))]
    InUse { folder: PathBuf, pid: Option<u32> },
    #[error("open {0}: it is not a database")]
    NotADatabase(PathBuf),
    #[error("open {0}: the database is damaged; restore a backup")]
    Damaged(PathBuf),
    #[error(
        "open the database: its schema has version {found}, this server knows {known}; \
         use a newer server"
    )]
    Newer { found: i64, known: i64 },
    #[error("open the database: its migration {version} is not the one of this server")]
    ChangedMigration { version: i64 },
    #[error("open the database {file}")]
    Database {
        file: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("start the writer's thread")]
    Thread(#[source] io::Error),
}

fn pid_text(pid: Option<&u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

/// What a connection is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Writer(Options),
    Checkpointer,
    Reader,
}

impl Sqlite {
    /// Opens the store in a folder, which is created if need be and locked until [`Sqlite::close`]
    /// or until the last clone is dropped and what it was asked for is done.
    ///
    /// # Errors
    ///
    /// One [`OpenError`] for each thing an operator can put right.
    pub fn open(folder: &Path, options: Options) -> Result<Self, OpenError> {
        let folder = Folder::lock(folder)?;
        let file = folder.database();
        let wrong = |error| classify(&file, error);
        let mut connection = Connection::open(&file).map_err(wrong)?;
        configure(&connection, Role::Writer(options)).map_err(wrong)?;
        migrate(&mut connection).map_err(|error| match error {
            MigrationError::Sql(error) => wrong(error),
            MigrationError::Refused(error) => error,
        })?;
        let next_seq = next_seq(&connection).map_err(wrong)?;
        let readers = Readers::open(&file, options.readers.max(1)).map_err(wrong)?;
        let checkpointer = Checkpointer::start(&file).map_err(wrong)?;
        let checkpointer = checkpointer.map_err(OpenError::Thread)?;
        let thread = WriterThread::new(connection, next_seq, checkpointer);
        let writer = Writer::start(thread, folder).map_err(OpenError::Thread)?;
        Ok(Self { writer, readers })
    }

    /// A store that lives as long as the process's last clone of it, for tests. Reads are carried
    /// out by the writer, in turn with the writes. Simulated time runs on meanwhile.
    pub fn in_memory() -> Result<Self, OpenError> {
        Self::in_memory_with(|writer| writer)
    }

    /// The same, but simulated time stands still while it is at work.
    pub fn in_memory_holding_time() -> Result<Self, OpenError> {
        Self::in_memory_with(Writer::holding_time)
    }

    fn in_memory_with(change: impl FnOnce(Writer) -> Writer) -> Result<Self, OpenError> {
        let file = Path::new(":memory:");
        let wrong = |error| classify(file, error);
        let mut connection = Connection::open_in_memory().map_err(wrong)?;
        configure(&connection, Role::Writer(Options::default())).map_err(wrong)?;
        migrate(&mut connection).map_err(|error| match error {
            MigrationError::Sql(error) => wrong(error),
            MigrationError::Refused(error) => error,
        })?;
        let thread = WriterThread::new(connection, FIRST_SEQ, Checkpointer::none());
        let writer = Writer::start(thread, ()).map_err(OpenError::Thread)?;
        let writer = change(writer);
        let readers = Readers::Writer(writer.clone());
        Ok(Self { writer, readers })
    }

    /// Carries out what is queued, empties the write-ahead log into the file and unlocks the
    /// folder. Every later call fails with [`watchfire_store::StoreError::Closed`].
    pub async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
    }
}

const FIRST_SEQ: i64 = 1;

/// Above all that was ever used: a place must not be taken twice, even if retention has removed
/// the newest messages.
pub(crate) fn next_seq(connection: &Connection) -> rusqlite::Result<i64> {
    let sql = "SELECT max(
        ifnull((SELECT max(seq) FROM message), 0),
        ifnull((SELECT max(seq) FROM attempt), 0),
        ifnull((SELECT value FROM counter WHERE name = 'seq'), 0),
        ifnull((SELECT max(checkpoint) FROM node), 0))";
    connection.query_row(sql, [], |row| row.get(0).map(|last: i64| last + FIRST_SEQ))
}

fn classify(file: &Path, error: rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotADatabase(file.to_owned()),
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged(file.to_owned()),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            OpenError::NotWritable {
                folder: file.parent().unwrap_or(file).to_owned(),
                source: io::Error::new(io::ErrorKind::PermissionDenied, error),
            }
        }
        Some(_) | None => OpenError::Database {
            file: file.to_owned(),
            source: Box::new(error),
        },
    }
}

/// SQLite's default; larger pages were slower, as each commit writes whole pages.
const PAGE_BYTES: u64 = 4_096;
/// Only an outside tool, such as a backup, ever holds a lock that we wait for.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Statements kept prepared on a connection: more than there are, so none is prepared twice.
const STATEMENTS_MAX: usize = 128;

/// Sets up a connection.
///
/// `secure_delete` overwrites what is deleted; `auto_vacuum` lets retention give pages back;
/// `trusted_schema` and `cell_size_check` stop a doctored or damaged file early.
pub(crate) fn configure(connection: &Connection, role: Role) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch(
        "PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA mmap_size = 0;",
    )?;
    match role {
        Role::Checkpointer => connection.execute_batch(
            "PRAGMA synchronous = FULL;
             PRAGMA wal_autocheckpoint = 0;
             PRAGMA cache_size = 0;",
        ),
        Role::Reader => connection.execute_batch("PRAGMA cache_size = -2000;"),
        Role::Writer(options) => {
            connection.execute_batch(
                "PRAGMA auto_vacuum = INCREMENTAL;
                 PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = FULL;
                 PRAGMA foreign_keys = ON;
                 PRAGMA secure_delete = ON;
                 PRAGMA cache_size = -16000;
                 PRAGMA wal_autocheckpoint = 0;
                 PRAGMA journal_size_limit = 67108864;",
            )?;
            let pages = options.file_bytes_max.map(|bytes| bytes / PAGE_BYTES);
            pages.map_or(Ok(()), |pages| limit_pages(connection, pages))
        }
    }
}

fn limit_pages(connection: &Connection, pages: u64) -> rusqlite::Result<()> {
    let pages = i64::try_from(pages)
        .unwrap_or(i64::MAX)
        .min(i64::from(u32::MAX - 1));
    connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))
}
