//! Reads the whole of a store that no server uses, for a move to another back end.
//!
//! A table is walked by its key, a bounded number of rows and bytes at a time, so memory stays flat
//! and a walk can go on where it ended. Nothing is written.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, ToSql, params_from_iter};
use watchfire_domain::limit;
use watchfire_store::transfer::{Cell, Continues, Kind, Row, Table};

use crate::backup::open;
use crate::folder::Folder;
use crate::migration::KNOWN;
use crate::open::OpenError;

#[cfg(test)]
mod tests;

/// A store to move, locked against servers.
#[derive(Debug)]
pub struct Source {
    connection: Connection,
    file: PathBuf,
    _folder: Folder,
}

/// Why a store can't be moved.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("there is no database in {0}")]
    Missing(PathBuf),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(
        "its schema has version {found}, this program knows {known}: start this version's server \
         on it once"
    )]
    OtherSchema { found: i64, known: i64 },
    #[error("read the database {file}")]
    Database {
        file: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{table}.{column} holds a value of another kind than it should")]
    OtherKind {
        table: &'static str,
        column: &'static str,
    },
}

impl Source {
    /// Opens the store of a folder, which no server may use until it is dropped.
    pub fn open(folder: &Path) -> Result<Self, SourceError> {
        let file = crate::backup::database_in(folder);
        if !file.is_file() {
            return Err(SourceError::Missing(folder.to_owned()));
        }
        let locked = Folder::lock(folder)?;
        let wrong = |error| wrong(&file, error);
        let connection = open(&file).map_err(wrong)?;
        let sql = "SELECT max(version) FROM migration";
        let found: Option<i64> = connection
            .query_row(sql, [], |row| row.get(0))
            .map_err(wrong)?;
        let found = found.unwrap_or(0);
        if found != KNOWN {
            let known = KNOWN;
            return Err(SourceError::OtherSchema { found, known });
        }
        Ok(Self {
            connection,
            file,
            _folder: locked,
        })
    }

    /// What tells this store, as it is now, from others and from itself after a server ran on it:
    /// each start of a server draws an epoch and leaves its traces here.
    pub fn fingerprint(&self) -> Result<String, SourceError> {
        let mut text = String::new();
        for sql in [
            "SELECT name || '=' || value FROM counter ORDER BY name",
            "SELECT key || ':' || epoch || ':' || checkpoint || ':' || joined_at || ':' || beaten_at \
             FROM node ORDER BY key",
            "SELECT hex(id) FROM application ORDER BY key LIMIT 1",
        ] {
            let mut statement = self.connection.prepare(sql).map_err(|e| self.wrong(e))?;
            let lines = statement
                .query_map([], |row| row.get::<_, String>(0))
                .map_err(|error| self.wrong(error))?;
            for line in lines {
                let line = line.map_err(|error| self.wrong(error))?;
                writeln!(text, "{line}").expect("a string grows");
            }
        }
        Ok(text)
    }

    /// How many rows a table has.
    pub fn count(&self, table: &Table) -> Result<u64, SourceError> {
        let sql = format!("SELECT count(*) FROM {}", table.name);
        let count: i64 = self
            .connection
            .query_row(&sql, [], |row| row.get(0))
            .map_err(|error| self.wrong(error))?;
        Ok(count.unsigned_abs())
    }

    /// The next rows of a table behind a key, in the order of its keys: one at least if there is
    /// one, and no more than [`limit::MOVE_ROWS_MAX`] and, but for one row,
    /// [`limit::MOVE_BYTES_MAX`].
    pub fn read(&self, table: &Table, after: Option<&[Cell]>) -> Result<Vec<Row>, SourceError> {
        let sql = walk(table, after.is_some());
        let mut statement = self
            .connection
            .prepare_cached(&sql)
            .map_err(|error| self.wrong(error))?;
        let keys = after.unwrap_or_default().iter().map(Bound);
        let mut found = statement
            .query(params_from_iter(keys))
            .map_err(|error| self.wrong(error))?;
        let mut rows = Vec::new();
        let mut bytes = 0;
        while bytes < limit::MOVE_BYTES_MAX {
            let Some(row) = found.next().map_err(|error| self.wrong(error))? else {
                break;
            };
            let row = self.row(table, row)?;
            bytes += row.iter().map(Cell::size).sum::<usize>();
            rows.push(row);
        }
        Ok(rows)
    }

    /// Where the target has to go on counting.
    pub fn continues(&self) -> Result<Continues, SourceError> {
        let counter = |name: &str| {
            let sql = "SELECT value FROM counter WHERE name = ?1";
            let value = self.connection.query_row(sql, [name], |row| row.get(0));
            let value: Option<i64> = value.optional().map_err(|error| self.wrong(error))?;
            Ok::<_, SourceError>(value.unwrap_or(0))
        };
        let next = crate::open::next_seq(&self.connection).map_err(|error| self.wrong(error))?;
        let mut statement = self
            .connection
            .prepare("SELECT name, seq FROM sqlite_sequence ORDER BY name")
            .map_err(|error| self.wrong(error))?;
        let keys: rusqlite::Result<Vec<_>> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(|error| self.wrong(error))?
            .collect();
        Ok(Continues {
            place: next - 1,
            epoch: counter("epoch")?,
            token: counter("fence_token")?,
            payloads_pruned_to: counter("payloads_pruned_to")?,
            keys: keys.map_err(|error| self.wrong(error))?,
        })
    }

    fn row(&self, table: &Table, row: &rusqlite::Row<'_>) -> Result<Row, SourceError> {
        let cell = |(place, column): (usize, &watchfire_store::transfer::Column)| {
            let value = row.get_ref(place).map_err(|error| self.wrong(error))?;
            cell(value, column.kind).ok_or(SourceError::OtherKind {
                table: table.name,
                column: column.name,
            })
        };
        table.columns.iter().enumerate().map(cell).collect()
    }

    fn wrong(&self, error: rusqlite::Error) -> SourceError {
        wrong(&self.file, error)
    }
}

fn wrong(file: &Path, error: rusqlite::Error) -> SourceError {
    SourceError::Database {
        file: file.to_owned(),
        source: Box::new(error),
    }
}

/// The next rows of a table, behind a key if there is one.
fn walk(table: &Table, behind: bool) -> String {
    let Table { name, key, .. } = table;
    let (columns, keys) = (table.column_list(), table.key_list());
    let marks = vec!["?"; *key].join(", ");
    let condition = if behind {
        format!(" WHERE ({keys}) > ({marks})")
    } else {
        String::new()
    };
    let most = limit::MOVE_ROWS_MAX;
    format!("SELECT {columns} FROM {name}{condition} ORDER BY {keys} LIMIT {most}")
}

/// `None` if the value is of another kind than the column promises.
fn cell(value: ValueRef<'_>, kind: Kind) -> Option<Cell> {
    let text = |text: &[u8]| String::from_utf8(text.to_vec()).ok();
    match (value, kind) {
        (ValueRef::Null, _) => Some(Cell::Null),
        (
            ValueRef::Integer(number),
            Kind::Integer | Kind::Status | Kind::Code | Kind::Flag | Kind::Place,
        ) => Some(Cell::Integer(number)),
        (ValueRef::Text(bytes), Kind::Text) => text(bytes).map(Cell::Text),
        (ValueRef::Text(bytes), Kind::FreeText) | (ValueRef::Blob(bytes), Kind::Bytes) => {
            Some(Cell::Bytes(bytes.to_vec()))
        }
        (ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Text(_) | ValueRef::Blob(_), _) => {
            None
        }
    }
}

/// A cell of a key as a parameter.
struct Bound<'c>(&'c Cell);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Cell::Null => ToSqlOutput::Owned(Value::Null),
            Cell::Integer(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Cell::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Cell::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
        })
    }
}
