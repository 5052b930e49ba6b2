//! Reads rows column by column; a value this version can't read is named by table, column and row.

use rusqlite::Row;
use rusqlite::types::{FromSql, ValueRef};
use serde::de::DeserializeOwned;
use watchfire_domain::id::Ksuid;
use watchfire_domain::time::Timestamp;
use watchfire_store::StoreError;

use crate::fault::{Fault, FaultResult};
use watchfire_store::encoding::{Code, UnknownCode};

/// Reads the columns of a row in the order they were selected. The first one names the row.
pub(crate) struct Columns<'r> {
    row: &'r Row<'r>,
    table: &'static str,
    next: usize,
}

impl<'r> Columns<'r> {
    pub(crate) fn of(row: &'r Row<'r>, table: &'static str) -> Self {
        Self {
            row,
            table,
            next: 0,
        }
    }

    /// Begins at a later column.
    pub(crate) fn at(row: &'r Row<'r>, table: &'static str, next: usize) -> Self {
        Self { row, table, next }
    }

    pub(crate) fn get<T: FromSql>(&mut self, column: &'static str) -> FaultResult<T> {
        let place = self.next;
        self.next += 1;
        self.row
            .get(place)
            .map_err(|error| self.unreadable(column, error))
    }

    pub(crate) fn timestamp(&mut self, column: &'static str) -> FaultResult<Timestamp> {
        self.get(column).map(Timestamp::from_unix_micros)
    }

    pub(crate) fn timestamp_if(&mut self, column: &'static str) -> FaultResult<Option<Timestamp>> {
        let micros: Option<i64> = self.get(column)?;
        Ok(micros.map(Timestamp::from_unix_micros))
    }

    pub(crate) fn ksuid(&mut self, column: &'static str) -> FaultResult<Ksuid> {
        self.get(column).map(Ksuid::from_bytes)
    }

    pub(crate) fn ksuid_if(&mut self, column: &'static str) -> FaultResult<Option<Ksuid>> {
        let bytes: Option<_> = self.get(column)?;
        Ok(bytes.map(Ksuid::from_bytes))
    }

    pub(crate) fn code<C: Code>(&mut self, column: &'static str) -> FaultResult<C> {
        let code: i64 = self.get(column)?;
        C::from_code(code).ok_or_else(|| self.unreadable(column, UnknownCode(code)))
    }

    /// A text that is checked on the way in, such as a name.
    pub(crate) fn parsed<T>(&mut self, column: &'static str) -> FaultResult<T>
    where
        T: TryFrom<String, Error: std::error::Error + Send + Sync + 'static>,
    {
        let text: String = self.get(column)?;
        T::try_from(text).map_err(|error| self.unreadable(column, error))
    }

    pub(crate) fn parsed_if<T>(&mut self, column: &'static str) -> FaultResult<Option<T>>
    where
        T: TryFrom<String, Error: std::error::Error + Send + Sync + 'static>,
    {
        let text: Option<String> = self.get(column)?;
        text.map(T::try_from)
            .transpose()
            .map_err(|error| self.unreadable(column, error))
    }

    pub(crate) fn json<T: DeserializeOwned>(&mut self, column: &'static str) -> FaultResult<T> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text).map_err(|error| self.unreadable(column, error))
    }

    pub(crate) fn json_if<T: DeserializeOwned>(
        &mut self,
        column: &'static str,
    ) -> FaultResult<Option<T>> {
        let text: Option<String> = self.get(column)?;
        text.map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|error| self.unreadable(column, error))
    }

    /// A blob in one of the encodings of [`watchfire_store::encoding`].
    pub(crate) fn decoded<T, E>(
        &mut self,
        column: &'static str,
        decode: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> FaultResult<T>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let bytes: Vec<u8> = self.get(column)?;
        decode(&bytes).map_err(|error| self.unreadable(column, error))
    }

    /// Names the row and the column that can't be read.
    pub(crate) fn unreadable(
        &self,
        column: &'static str,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Fault {
        Fault::Store(StoreError::Inconsistent {
            table: self.table,
            column,
            row: self.name(),
            source: Box::new(source),
        })
    }

    fn name(&self) -> String {
        match self.row.get_ref(0) {
            Ok(ValueRef::Integer(key)) => key.to_string(),
            Ok(ValueRef::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            Ok(ValueRef::Blob(_) | ValueRef::Null | ValueRef::Real(_)) | Err(_) => {
                String::from("(unnamed)")
            }
        }
    }
}
