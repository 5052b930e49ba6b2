//! Copies a database while a server uses it.
//!
//! The copy is what the database was at one instant: a read transaction keeps that in sight, while
//! the server goes on writing to its log. Until the copy is done the log can't be emptied, so it
//! grows by what is written meanwhile.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::folder::DATABASE_FILE;
use crate::open::BUSY_TIMEOUT;

/// Pages copied between two reports, 16 MB.
const PAGES_PER_STEP: i32 = 4_096;
/// Rest while the copy's own file is busy, which only an outside tool could cause.
const BUSY_REST: Duration = Duration::from_millis(50);
/// Times that is waited for.
const BUSY_RESTS_MAX: usize = 100;

/// Why a database was not copied, or a copy can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("there is no database in {0}")]
    Missing(PathBuf),
    #[error("copy the database {file}")]
    Database {
        file: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the file {0} is busy")]
    Busy(PathBuf),
    #[error("the database {file} is damaged: {fault}")]
    Damaged { file: PathBuf, fault: String },
}

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// The version of its schema.
    pub schema: i64,
    pub messages: i64,
    pub applications: i64,
}

/// The database's file in a data folder or a backup.
pub fn database_in(folder: &Path) -> PathBuf {
    folder.join(DATABASE_FILE)
}

/// Copies the database of one folder into another, which must exist, and checks the copy whole.
/// `progress` is told the pages that are left and the pages there are.
pub fn copy(
    from: &Path,
    into: &Path,
    mut progress: impl FnMut(usize, usize),
) -> Result<Copied, CopyError> {
    let (source, target) = (database_in(from), database_in(into));
    if !source.is_file() {
        return Err(CopyError::Missing(from.to_owned()));
    }
    let reading = |error| fault(&source, error);
    let writing = |error| fault(&target, error);
    let mut connection = open(&source).map_err(reading)?;
    // Held to the end: without it each step would see what was written since the last one, and
    // begin anew.
    let instant = connection.transaction().map_err(reading)?;
    instant
        .query_row("SELECT count(*) FROM migration", [], |_| Ok(()))
        .map_err(reading)?;
    let mut copy = Connection::open(&target).map_err(writing)?;
    let backup = Backup::new(&instant, &mut copy).map_err(writing)?;
    let mut rests = 0;
    loop {
        let step = backup.step(PAGES_PER_STEP).map_err(writing)?;
        let at = backup.progress();
        let pages = |count: i32| usize::try_from(count).unwrap_or_default();
        progress(pages(at.remaining), pages(at.pagecount));
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            _ if rests == BUSY_RESTS_MAX => return Err(CopyError::Busy(target)),
            _ => {
                rests += 1;
                std::thread::sleep(BUSY_REST);
            }
        }
    }
    drop(backup);
    drop(copy);
    check(into)
}

/// Reads every page of the database in a folder that no server uses.
pub fn check(folder: &Path) -> Result<Copied, CopyError> {
    let file = database_in(folder);
    if !file.is_file() {
        return Err(CopyError::Missing(folder.to_owned()));
    }
    let wrong = |error| fault(&file, error);
    let connection = open(&file).map_err(wrong)?;
    let verdict: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(wrong)?;
    if verdict != "ok" {
        return Err(CopyError::Damaged {
            file,
            fault: verdict,
        });
    }
    let count = |sql| connection.query_row(sql, [], |row| row.get(0));
    Ok(Copied {
        schema: count("SELECT max(version) FROM migration").map_err(wrong)?,
        messages: count("SELECT count(*) FROM message").map_err(wrong)?,
        applications: count("SELECT count(*) FROM application WHERE deleted_at IS NULL")
            .map_err(wrong)?,
    })
}

/// Opens a file that is there, and writes nothing to it but what its log holds already.
pub(crate) fn open(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;")?;
    Ok(connection)
}

fn fault(file: &Path, error: rusqlite::Error) -> CopyError {
    CopyError::Database {
        file: file.to_owned(),
        source: Box::new(error),
    }
}
