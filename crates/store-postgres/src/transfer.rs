//! Takes in the whole of another store.
//!
//! # How it goes on after an interruption
//!
//! The rows of a batch and how far their table has come are written in one transaction, so a move
//! that is begun again goes on behind the last row that stands. The place it goes on from is
//! compared when it is moved, so two moves into one database can't both write.
//!
//! # Places
//!
//! A place begins with its day here, and does not in the source. Messages come in the order of their
//! places; a message gets the day of its acceptance, or that of the message before it if that is
//! later, so that the order stays. What else names a place gets the day of the last message at or
//! before it. The source's place is in the lower bits, so what arrived can be compared with what was
//! sent.

mod cells;
mod places;

use std::collections::HashMap;

use watchfire_store::transfer::{
    Cell, Continues, Digest, Kind, Progress, Row, TABLES, Table, decode_cells, encode_cells,
};
use watchfire_store::{Seq, StoreError};

use crate::address::Address;
use crate::fault::{Fault, FaultResult};
use crate::migration::LOCK_SCHEMA;
use crate::nodes::set_counter;
use crate::open::{OpenError, Options, Postgres};
use crate::parameter::params;
use crate::row::Columns;
use crate::session::{Mode, Tx, in_transaction};
use cells::{insert, read};
use places::Places;

#[cfg(test)]
mod tests;

/// A database that a store is moved into. No server uses it before the move is done.
#[derive(Clone)]
pub struct Target {
    store: Postgres,
}

/// Why a store can't be moved here.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("the database holds data already, in {0}")]
    Taken(&'static str),
    #[error(
        "the move into this database was begun from another store, or a server has run on the \
         source since: make the database anew and begin again"
    )]
    OtherSource,
    #[error("another process moves into this database")]
    Overtaken,
    #[error("{table} holds {found} rows of {expected}, or they differ from what was sent")]
    Different {
        table: &'static str,
        expected: u64,
        found: u64,
    },
    #[error("{rows} rows of {table} name a message that is not there")]
    Orphans { table: &'static str, rows: i64 },
    #[error("write to the database")]
    Database(#[source] StoreError),
}

impl From<Fault> for TargetError {
    fn from(fault: Fault) -> Self {
        Self::Database(fault.into())
    }
}

/// Why work in a transaction ended.
enum End {
    Refused(TargetError),
    Fault(Fault),
}

impl From<Fault> for End {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl crate::fault::Ending for End {
    fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Refused(_) => None,
            Self::Fault(fault) => Some(fault),
        }
    }
}

impl From<End> for TargetError {
    fn from(end: End) -> Self {
        match end {
            End::Refused(refusal) => refusal,
            End::Fault(fault) => fault.into(),
        }
    }
}

impl Target {
    /// Connects and makes the tables, if they are missing.
    pub async fn open(address: &Address) -> Result<Self, TargetError> {
        let store = Postgres::connect(address, Options::default()).await?;
        Ok(Self { store })
    }

    /// Begins a move, or takes up the one that was begun from the same source: how far each table
    /// has come. The database must hold nothing else.
    pub async fn begin(&self, source: &str) -> Result<HashMap<String, Progress>, TargetError> {
        let begin = in_transaction!(self.store.ledger, Mode::Write, tx => begin(&tx, source));
        Ok(begin.await?)
    }

    /// Makes sure that servers with another master key are refused.
    pub async fn agree_on_key(&self, fingerprint: &[u8; 32]) -> Result<(), TargetError> {
        Ok(self.store.agree_on_key(fingerprint).await?)
    }

    /// Writes rows behind those that are there, and says how far the table has come.
    pub async fn write(
        &self,
        table: &'static Table,
        rows: &[Row],
        before: &Progress,
    ) -> Result<Progress, TargetError> {
        let write = in_transaction!(
            self.store.ledger, Mode::Write, tx => write(&tx, table, rows, before)
        );
        Ok(write.await?)
    }

    /// Reads a table back: all of its rows, and a sum over them as the source has them.
    pub async fn digest(
        &self,
        table: &'static Table,
        mut progress: impl FnMut(u64),
    ) -> Result<Digest, TargetError> {
        let mut digest = Digest::default();
        let mut last: Option<Vec<Cell>> = None;
        loop {
            let after = last.as_deref();
            let page = in_transaction!(
                self.store.ledger, Mode::Read, tx => read(&tx, table, after)
            );
            let rows = page.await.map_err(TargetError::from)?;
            let Some(end) = rows.last() else {
                return Ok(digest);
            };
            last = Some(end[..table.key].to_vec());
            for mut row in rows {
                places::take_back(table, &mut row);
                digest.add(&row);
            }
            progress(digest.rows);
        }
    }

    /// Makes sure that everything refers to something, counts on where the source stopped, and
    /// opens the database to servers.
    pub async fn finish(&self, continues: &Continues) -> Result<(), TargetError> {
        let finish = in_transaction!(self.store.ledger, Mode::Write, tx => finish(&tx, continues));
        Ok(finish.await?)
    }
}

/// Whether a move into the database was begun and not finished.
pub(crate) async fn is_under_way(tx: &Tx) -> FaultResult<bool> {
    tx.exists("SELECT 1 FROM transfer LIMIT 1", params![]).await
}

async fn begin(tx: &Tx, source: &str) -> Result<HashMap<String, Progress>, End> {
    tx.query(LOCK_SCHEMA, params![]).await?;
    let found = progress(tx).await?;
    if found.is_empty() {
        refuse_taken(tx).await?;
        // The source's say who held which.
        tx.execute("DELETE FROM shard", params![]).await?;
        let parts: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        let sql = "INSERT INTO transfer (part, source, rows, sum) \
             SELECT part, $2, 0, $3 FROM unnest($1) AS new (part)";
        let none = 0_u128.to_be_bytes().to_vec();
        tx.execute(sql, params![parts, source, none]).await?;
    } else if found.values().any(|(known, _)| known != source) {
        return Err(End::Refused(TargetError::OtherSource));
    }
    let found = found.into_iter();
    Ok(found
        .map(|(part, (_, progress))| (part, progress))
        .collect())
}

async fn progress(tx: &Tx) -> FaultResult<HashMap<String, (String, Progress)>> {
    let sql = "SELECT part, source, last, rows, sum FROM transfer";
    let mut found = HashMap::new();
    for row in &tx.query(sql, params![]).await? {
        let mut columns = Columns::of(row, "transfer");
        let part: String = columns.get("part")?;
        let source: String = columns.get("source")?;
        let last: Option<Vec<u8>> = columns.get("last")?;
        let last = last.map(|bytes| decode_cells(&bytes)).transpose();
        let last = last.map_err(|error| columns.unreadable("last", error))?;
        let digest = Digest {
            rows: columns.number("rows")?,
            sum: u128::from_be_bytes(columns.bytes("sum")?),
        };
        found.insert(part, (source, Progress { last, digest }));
    }
    Ok(found)
}

async fn refuse_taken(tx: &Tx) -> Result<(), End> {
    let made_by_ourselves = |table: &&Table| table.name != "shard";
    for table in TABLES.iter().filter(made_by_ourselves) {
        let sql = format!("SELECT 1 FROM {} LIMIT 1", table.name);
        if tx.exists(&sql, params![]).await? {
            return Err(End::Refused(TargetError::Taken(table.name)));
        }
    }
    Ok(())
}

async fn write(
    tx: &Tx,
    table: &'static Table,
    rows: &[Row],
    before: &Progress,
) -> Result<Progress, End> {
    let mut after = before.clone();
    for row in rows {
        after.digest.add(row);
    }
    let Some(last) = rows.last() else {
        return Ok(after);
    };
    after.last = Some(last[..table.key].to_vec());
    // First, so that of two moves one waits here for the other and then gives up.
    advance(tx, table, before, &after).await?;
    if table
        .columns
        .iter()
        .any(|column| column.kind == Kind::Place)
    {
        let mut places = Places::of(tx).await?;
        if table.name == "message" {
            places.extend(tx, table, rows).await?;
        }
        let moved: Vec<Row> = rows.iter().map(|row| places.put(table, row)).collect();
        insert(tx, table, &moved).await?;
        if table.name == "message" {
            remember_event_ids(tx, table, &moved).await?;
        }
    } else {
        insert(tx, table, rows).await?;
    }
    Ok(after)
}

/// Moves a table's mark, if nobody else has.
async fn advance(tx: &Tx, table: &Table, before: &Progress, after: &Progress) -> Result<(), End> {
    let count = |digest: Digest| i64::try_from(digest.rows).unwrap_or(i64::MAX);
    let sql = "UPDATE transfer SET last = $3, rows = $4, sum = $5 WHERE part = $1 AND rows = $2";
    let last = after.last.as_deref().map(encode_cells);
    let parameters = params![
        table.name,
        count(before.digest),
        last,
        count(after.digest),
        after.digest.sum.to_be_bytes().to_vec(),
    ];
    if tx.execute(sql, parameters).await? == 0 {
        return Err(End::Refused(TargetError::Overtaken));
    }
    Ok(())
}

/// Event ids stand in a table of their own here.
async fn remember_event_ids(tx: &Tx, table: &Table, rows: &[Row]) -> FaultResult<()> {
    let (app, event_id) = (table.place_of("app"), table.place_of("event_id"));
    let (seq, id) = (table.place_of("seq"), table.place_of("id"));
    let (mut apps, mut event_ids) = (Vec::new(), Vec::new());
    let (mut seqs, mut ids) = (Vec::new(), Vec::new());
    for row in rows {
        if let (Cell::Text(event_id), Cell::Bytes(id)) = (&row[event_id], &row[id]) {
            apps.push(row[app].integer());
            event_ids.push(event_id.as_str());
            seqs.push(row[seq].integer());
            ids.push(id.as_slice());
        }
    }
    let sql = "INSERT INTO event_id (app, event_id, seq, message) \
         SELECT * FROM unnest($1, $2, $3, $4)";
    tx.execute(sql, params![apps, event_ids, seqs, ids]).await?;
    Ok(())
}

async fn finish(tx: &Tx, continues: &Continues) -> Result<(), End> {
    // A walk over all of both tables takes as long as it takes.
    tx.batch("SET LOCAL statement_timeout = 0").await?;
    for table in ["attempt", "owed"] {
        let sql = format!(
            "SELECT count(*) FROM {table} t \
             WHERE NOT EXISTS (SELECT 1 FROM message m WHERE m.seq = t.seq)"
        );
        let row = tx.first(&sql, params![]).await?.ok_or(Fault::Late)?;
        let rows: i64 = Columns::of(&row, table).get("count")?;
        if rows > 0 {
            return Err(End::Refused(TargetError::Orphans { table, rows }));
        }
    }
    continue_counting(tx, continues).await?;
    // Whoever held it does not run any more, whatever its clock said.
    tx.execute("UPDATE node SET lease_until = 0", params![])
        .await?;
    tx.execute("DELETE FROM transfer", params![]).await?;
    Ok(())
}

/// Keys are never reused, also those whose rows are gone.
async fn continue_counting(tx: &Tx, continues: &Continues) -> FaultResult<()> {
    let sequences = [
        ("message_place", continues.place),
        ("node_epoch", continues.epoch),
        ("owed_token", continues.token),
    ];
    for (sequence, last) in sequences {
        let sql = format!("SELECT setval('{sequence}', $1)");
        if last > 0 {
            tx.query(&sql, params![last]).await?;
        }
    }
    for table in ["application", "endpoint", "node", "untold", "notice"] {
        let drawn = continues.keys.iter().find(|(name, _)| name == table);
        let drawn = drawn.map_or(0, |(_, last)| *last);
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence('{table}', 'key'), last) \
             FROM (SELECT greatest($1, max(key)) AS last FROM {table}) AS drawn WHERE last > 0"
        );
        tx.query(&sql, params![drawn]).await?;
    }
    let places = Places::of(tx).await?;
    let pruned_to = places.place_of(continues.payloads_pruned_to);
    set_counter(tx, "payloads_pruned_to", Seq(pruned_to).0).await
}
