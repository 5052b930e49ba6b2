//! The contracts in force: those in the binary, those of a folder, and the overrides of the
//! configuration.

use std::path::Path;

use anyhow::{Context as _, Result};
use toml::{Table, Value};
use watchfire_contracts::{Catalog, Source};
use watchfire_domain::retry;

use crate::settings::Settings;

/// Contracts that are our own, not a product's: the settings' schedule and deadline are theirs.
const OURS: [&str; 2] = ["standard", "envelope"];
/// Files deeper than this are not a contract's.
const FOLDERS_DEEP: usize = 4;

/// The contracts a server with these settings knows.
pub(crate) fn catalog(settings: &Settings) -> Result<Catalog> {
    let mut catalog = with_folder(Catalog::embedded(), settings.contracts_dir.as_deref())?;
    let delivery = Value::Table(delivery(settings));
    for name in OURS {
        let overrides = Table::from_iter([("delivery".to_owned(), delivery.clone())]);
        catalog = catalog.with_overrides("settings", name, &overrides)?;
    }
    for (name, overrides) in &settings.contracts {
        catalog = catalog.with_overrides("configuration", name, overrides)?;
    }
    Ok(catalog)
}

fn delivery(settings: &Settings) -> Table {
    let duration = |duration| Value::String(retry::format_duration(duration));
    let mut delivery = Table::new();
    delivery.insert("timeout".to_owned(), duration(settings.attempt_timeout));
    if let Some(schedule) = &settings.retry_schedule {
        let delays = schedule.delays().iter().copied().map(duration).collect();
        delivery.insert("retry".to_owned(), Value::Array(delays));
    }
    delivery
}

/// Adds the contracts of a folder, one folder each.
pub(crate) fn with_folder(catalog: Catalog, folder: Option<&Path>) -> Result<Catalog> {
    let Some(folder) = folder else {
        return Ok(catalog);
    };
    let mut sources = Vec::new();
    read_folder(folder, "", 0, &mut sources)
        .with_context(|| format!("contracts folder {}", folder.display()))?;
    Ok(catalog.with_sources(&sources)?)
}

/// Reads the files below a folder; paths in the sources begin with `prefix`.
pub(crate) fn read_folder(
    folder: &Path,
    prefix: &str,
    depth: usize,
    sources: &mut Vec<Source>,
) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}/{name}")
        };
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            if depth < FOLDERS_DEEP {
                read_folder(&entry.path(), &path, depth + 1, sources)?;
            }
        } else if depth > 0 || !prefix.is_empty() {
            let text = std::fs::read_to_string(entry.path()).with_context(|| path.clone())?;
            sources.push(Source::new(path, text));
        }
    }
    Ok(())
}
