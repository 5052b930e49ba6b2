//! The data folder, locked while the store is open.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process;

use crate::open::OpenError;

const LOCK_FILE: &str = "watchfire.lock";
pub(crate) const DATABASE_FILE: &str = "watchfire.db";
/// Longer contents were not written by us.
const PID_DIGITS_MAX: u64 = 20;

/// An exclusive lock on a data folder. The system releases it when the file is closed, also after
/// a crash, so it never needs to be removed by hand.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

/// What is left for us on the disk a file lies on; `None` if the system does not say.
pub(crate) fn free_bytes(file: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(file).ok()?;
    Some(disk.f_bavail * disk.f_frsize)
}

impl Folder {
    /// Creates the folder if need be and locks it.
    pub(crate) fn lock(path: &Path) -> Result<Self, OpenError> {
        let not_writable = |source| OpenError::NotWritable {
            folder: path.to_owned(),
            source,
        };
        if fs::metadata(path).is_ok_and(|found| !found.is_dir()) {
            return Err(OpenError::NotAFolder(path.to_owned()));
        }
        fs::create_dir_all(path).map_err(not_writable)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(LOCK_FILE))
            .map_err(not_writable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse {
                    folder: path.to_owned(),
                    pid: read_pid(&mut lock),
                });
            }
            Err(TryLockError::Error(source)) => return Err(not_writable(source)),
        }
        write_pid(&mut lock).map_err(not_writable)?;
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path.join(DATABASE_FILE)
    }
}

fn write_pid(lock: &mut File) -> std::io::Result<()> {
    lock.set_len(0)?;
    lock.seek(SeekFrom::Start(0))?;
    writeln!(lock, "{}", process::id())
}

/// Only for the message: the lock itself does not depend on it.
fn read_pid(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(PID_DIGITS_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use watchfire_store::Nodes as _;

    use crate::open::{Options, Sqlite};

    #[tokio::test]
    async fn a_database_on_a_disk_knows_what_is_left_there() {
        let folder = tempfile::TempDir::new().expect("a folder can be made");
        let on_disk = Sqlite::open(folder.path(), Options::default()).expect("open it");
        let footprint = on_disk.footprint().await.expect("look");
        assert!(
            footprint.free_bytes.is_some_and(|free| free > 0),
            "{footprint:?}"
        );
        let in_memory = Sqlite::in_memory().expect("open it");
        let footprint = in_memory.footprint().await.expect("look");
        assert_eq!(footprint.free_bytes, None);
    }
}
