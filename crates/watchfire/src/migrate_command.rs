//! `watchfire migrate`: the embedded store of a data folder becomes a PostgreSQL database.
//!
//! The source is read and never written. Each batch is written in one transaction with how far it
//! has come, so a move that was interrupted, however, goes on where it was. At the end everything
//! is read back and compared.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use tokio::sync::mpsc;
use watchfire_engine::Vault;
use watchfire_store::transfer::{Cell, Progress, Row, TABLES, Table};
use watchfire_store_postgres::{Address, Target};
use watchfire_store_sqlite::transfer::Source;

use crate::backend::fingerprint;
use crate::cli::MigrateArgs;
use crate::data_dir::{JWT_SECRET, MASTER_KEY, read_master_key};
use crate::settings::Settings;
use crate::{config, terminal};

pub(crate) async fn run(args: MigrateArgs) -> Result<()> {
    let settings = config::for_tools(&args.settings)?;
    let to = target_address(&args, &settings)?;
    let source = Source::open(&args.from)
        .with_context(|| format!("open the store in {}", args.from.display()))?;
    let mark = source.fingerprint()?;
    let to_text = to.to_string();
    let target = Target::open(&to).await?;
    let begun = target.begin(&mark).await;
    let mut begun = begun.with_context(|| format!("move into {to_text}"))?;
    if begun.values().any(|progress| progress.last.is_some()) {
        terminal::note("A move was begun here; it goes on where it was.");
    }
    let key = master_key(&args.from, &settings)?;
    if let Some(key) = &key {
        target.agree_on_key(&fingerprint(&Vault::new(key))).await?;
    }
    let continues = source.continues()?;
    let source = Arc::new(parking_lot::Mutex::new(source));
    let mut written = Vec::new();
    for table in TABLES {
        let before = begun.remove(table.name).unwrap_or_default();
        written.push(copy(&source, &target, table, before).await?);
    }
    for (table, written) in TABLES.iter().zip(&written) {
        check(&target, table, written).await?;
    }
    target.finish(&continues).await?;
    say_what_is_next(&written, &to_text, key.is_some());
    Ok(())
}

fn target_address(args: &MigrateArgs, settings: &Settings) -> Result<Address> {
    match (&args.to, &settings.database) {
        (Some(to), _) => to.parse().context("--to"),
        (None, Some(database)) => Ok(database.address.clone()),
        (None, None) => anyhow::bail!("say where to: --to postgres://…, or WATCHFIRE_DATABASE_URL"),
    }
}

/// The key the source's secrets are sealed with: the configured one, else the folder's.
fn master_key(from: &Path, settings: &Settings) -> Result<Option<[u8; 32]>> {
    match &settings.master_key {
        Some(key) => crate::data_dir::decode_key(key.expose())
            .map(Some)
            .context("master_key"),
        None => read_master_key(from),
    }
}

/// Batches that wait to be written, while the next is read.
const BATCHES_AHEAD: usize = 1;

/// Writes what is left of a table, and says how far it has come in all.
async fn copy(
    source: &Arc<parking_lot::Mutex<Source>>,
    target: &Target,
    table: &'static Table,
    mut progress: Progress,
) -> Result<Progress> {
    let total = source.lock().count(table)?;
    let mut meter = Meter::new(table, total, "copied");
    let (sender, mut batches) = mpsc::channel(BATCHES_AHEAD);
    let reader = {
        let (source, last) = (Arc::clone(source), progress.last.clone());
        tokio::task::spawn_blocking(move || read_all(&source.lock(), table, last, &sender))
    };
    while let Some(rows) = batches.recv().await {
        progress = target
            .write(table, &rows, &progress)
            .await
            .with_context(|| format!("copy {}", table.name))?;
        meter.tell(progress.digest.rows);
    }
    reader.await.context("read the source")??;
    let rows = progress.digest.rows;
    ensure!(
        rows == total,
        "{rows} rows of {} were copied and there are {total}",
        table.name
    );
    meter.end(rows);
    Ok(progress)
}

/// Hands over what lies behind a key, until it ends or nobody takes it.
fn read_all(
    source: &Source,
    table: &'static Table,
    mut last: Option<Vec<Cell>>,
    batches: &mpsc::Sender<Vec<Row>>,
) -> Result<()> {
    loop {
        let rows = source.read(table, last.as_deref())?;
        let Some(end) = rows.last() else {
            return Ok(());
        };
        last = Some(end[..table.key].to_vec());
        if batches.blocking_send(rows).is_err() {
            return Ok(());
        }
    }
}

/// Reads a table back and compares it with what was sent.
async fn check(target: &Target, table: &'static Table, written: &Progress) -> Result<()> {
    let mut meter = Meter::new(table, written.digest.rows, "checked");
    let found = target.digest(table, |rows| meter.tell(rows)).await;
    let found = found.with_context(|| format!("read {} back", table.name))?;
    ensure!(
        found == written.digest,
        "{}: {} rows were sent and {} are there, or some of them differ; make the database anew \
         and begin again",
        table.name,
        written.digest.rows,
        found.rows
    );
    meter.end(found.rows);
    Ok(())
}

fn say_what_is_next(written: &[Progress], to: &str, has_key: bool) {
    let rows: u64 = written.iter().map(|progress| progress.digest.rows).sum();
    let of = |name: &str| {
        let place = TABLES.iter().position(|table| table.name == name);
        place.map_or(0, |place| written[place].digest.rows)
    };
    terminal::line(format_args!(
        "{to} holds all of it, read back and compared: {} messages, {} attempts, {} deliveries \
         that are owed; {rows} rows in all.",
        of("message"),
        of("attempt"),
        of("owed"),
    ));
    terminal::note(format_args!(
        "Start the nodes with the contents of {MASTER_KEY} as WATCHFIRE_MASTER_KEY and of \
         {JWT_SECRET} as WATCHFIRE_JWT_SECRET. Do not start a server on the old folder again: it \
         would deliver once more what it owes."
    ));
    if !has_key {
        terminal::note(format_args!(
            "There is no {MASTER_KEY} in the folder and none is set: the first node's key will be \
             taken for the right one."
        ));
    }
}

/// Says how far a table has come, a line for each percent at most.
struct Meter {
    table: &'static str,
    total: u64,
    done: &'static str,
    percent: Option<u64>,
}

impl Meter {
    fn new(table: &Table, total: u64, done: &'static str) -> Self {
        Self {
            table: table.name,
            total,
            done,
            percent: None,
        }
    }

    fn tell(&mut self, rows: u64) {
        let percent = rows.saturating_mul(100).checked_div(self.total);
        if percent != self.percent && percent < Some(100) {
            self.percent = percent;
            let Self {
                table, total, done, ..
            } = self;
            terminal::note(format_args!(
                "{table}: {rows} of {total} {done} ({} %)",
                percent.unwrap_or(0)
            ));
        }
    }

    fn end(&self, rows: u64) {
        terminal::note(format_args!("{}: all {rows} {}", self.table, self.done));
    }
}
