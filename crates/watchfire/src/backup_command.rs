//! `watchfire backup` and `watchfire restore`: the data folder as it was at one instant.
//!
//! A backup is a folder of the same form, made while the server runs, with a file that says what it
//! is. It gets its name last, so a backup that was interrupted is not mistaken for one.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use watchfire_domain::ambient::Clock as _;
use watchfire_domain::time::Timestamp;
use watchfire_store_sqlite::backup::{self, Copied};

use crate::ambient::SystemClock;
use crate::cli::{BackupArgs, RestoreArgs};
use crate::data_dir::{JWT_SECRET, MASTER_KEY};
use crate::{config, terminal};

/// Says what a backup is.
const LABEL: &str = "backup.json";
/// The form of a backup; another one is refused.
const FORM: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Label {
    form: u32,
    /// The program's version that made it.
    version: String,
    taken_at: Timestamp,
    schema: i64,
    messages: i64,
    applications: i64,
    /// Of the database's file.
    sha256: String,
    /// Whether it holds the keys that its secrets are sealed with.
    keys: bool,
}

pub(crate) fn back_up(args: &BackupArgs) -> Result<()> {
    let settings = config::for_tools(&args.settings)?;
    let (data, to) = (&settings.data, &args.to);
    ensure!(!to.exists(), "{}: there is something already", to.display());
    let unfinished = unfinished(to)?;
    make_folder(&unfinished)?;
    let taken_at = SystemClock.now();
    let copied = backup::copy(data, &unfinished, tell)
        .with_context(|| format!("back up {}", data.display()))?;
    if !args.without_keys {
        for key in [MASTER_KEY, JWT_SECRET] {
            copy_key(data, &unfinished, key)?;
        }
    }
    let label = Label {
        form: FORM,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at,
        schema: copied.schema,
        messages: copied.messages,
        applications: copied.applications,
        sha256: sha256(&backup::database_in(&unfinished))?,
        keys: !args.without_keys,
    };
    let text = serde_json::to_string_pretty(&label).context("write the label")?;
    write_whole(&unfinished.join(LABEL), text.as_bytes())?;
    sync(&backup::database_in(&unfinished))?;
    fs::rename(&unfinished, to).with_context(|| format!("name the backup {}", to.display()))?;
    sync(
        to.parent()
            .filter(|parent| *parent != Path::new(""))
            .unwrap_or(Path::new(".")),
    )?;
    terminal::line(format_args!(
        "{} holds {} messages of {} applications.",
        to.display(),
        copied.messages,
        copied.applications
    ));
    Ok(())
}

pub(crate) fn restore(args: &RestoreArgs) -> Result<()> {
    let settings = config::for_tools(&args.settings)?;
    let (from, data) = (&args.from, &settings.data);
    let is_taken = fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some());
    ensure!(
        !is_taken && !data.is_file(),
        "{}: there is something already",
        data.display()
    );
    let label = read_label(from)?;
    let database = backup::database_in(from);
    let found = sha256(&database)?;
    ensure!(
        found == label.sha256,
        "{}: it is not the file that was backed up",
        database.display()
    );
    let unfinished = unfinished(data)?;
    make_folder(&unfinished)?;
    let target = backup::database_in(&unfinished);
    fs::copy(&database, &target).with_context(|| format!("write {}", target.display()))?;
    let copied = backup::check(&unfinished)?;
    let expected = Copied {
        schema: label.schema,
        messages: label.messages,
        applications: label.applications,
    };
    ensure!(
        copied == expected,
        "the copy holds {copied:?} and not {expected:?}"
    );
    if label.keys {
        for key in [MASTER_KEY, JWT_SECRET] {
            copy_key(from, &unfinished, key)?;
        }
    }
    sync(&target)?;
    if data.is_dir() {
        fs::remove_dir(data).with_context(|| format!("replace the empty {}", data.display()))?;
    }
    fs::rename(&unfinished, data).with_context(|| format!("name it {}", data.display()))?;
    terminal::line(format_args!(
        "{} holds what was there at {}: {} messages of {} applications.",
        data.display(),
        label.taken_at,
        copied.messages,
        copied.applications
    ));
    if !label.keys {
        terminal::note(format_args!(
            "The backup has no keys: put {MASTER_KEY} and {JWT_SECRET} into the folder before the \
             server starts."
        ));
    }
    Ok(())
}

fn tell(left: usize, pages: usize) {
    let done = pages.saturating_sub(left) * 100;
    if let Some(percent) = done.checked_div(pages) {
        terminal::note(format_args!("{percent} % copied"));
    }
}

/// Where a folder is put together before it gets its name.
fn unfinished(folder: &Path) -> Result<PathBuf> {
    let name = folder
        .file_name()
        .with_context(|| format!("{} has no name", folder.display()))?;
    let mut name = name.to_owned();
    name.push(".unfinished");
    Ok(folder.with_file_name(name))
}

/// Makes a folder for the owner alone; one that was left unfinished gives way.
fn make_folder(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    let mut builder = fs::DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("make {}", folder.display()))
}

/// Copies a key, if there is one: it may be set from outside.
fn copy_key(from: &Path, to: &Path, name: &str) -> Result<()> {
    let key = from.join(name);
    if !key.exists() {
        return Ok(());
    }
    let text = fs::read(&key).with_context(|| format!("read {}", key.display()))?;
    write_whole(&to.join(name), &text)
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().with_context(|| format!("write {}", path.display()))
}

fn sync(path: &Path) -> Result<()> {
    let file = File::open(path).and_then(|file| file.sync_all());
    file.with_context(|| format!("flush {}", path.display()))
}

fn read_label(folder: &Path) -> Result<Label> {
    let path = folder.join(LABEL);
    let text = fs::read(&path)
        .with_context(|| format!("{}: it is no finished backup", folder.display()))?;
    let label: Label =
        serde_json::from_slice(&text).with_context(|| format!("read {}", path.display()))?;
    if label.form != FORM {
        bail!(
            "{}: its form is {}, this program knows {FORM}",
            path.display(),
            label.form
        );
    }
    Ok(label)
}

fn sha256(path: &Path) -> Result<String> {
    use std::fmt::Write as _;
    let mut file = File::open(path).with_context(|| format!("read {}", path.display()))?;
    let mut context = Context::new(&SHA256);
    let mut part = vec![0; 1024 * 1024];
    loop {
        let read = file
            .read(&mut part)
            .with_context(|| format!("read {}", path.display()))?;
        if read == 0 {
            break;
        }
        context.update(&part[..read]);
    }
    let mut text = String::with_capacity(64);
    for byte in context.finish().as_ref() {
        write!(text, "{byte:02x}").expect("a string grows");
    }
    Ok(text)
}
