//! Reads rows column by column; a value this version can't read is named by table, column and row.

use serde::de::DeserializeOwned;
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;
use watchfire_domain::id::Ksuid;
use watchfire_domain::time::Timestamp;
use watchfire_store::StoreError;
use watchfire_store::encoding::{Code, UnknownCode};

use crate::fault::{Fault, FaultResult};

/// Reads the columns of a row in the order they were selected. The first one names the row.
pub(crate) struct Columns<'r> {
    row: &'r Row,
    table: &'static str,
    next: usize,
}

/// Bytes that are too many or too few.
#[derive(Debug, thiserror::Error)]
#[error("{0} bytes are not what the column promises")]
struct WrongLength(usize);

/// A number that does not fit.
#[derive(Debug, thiserror::Error)]
#[error("{0} is out of range")]
struct OutOfRange(i64);

impl<'r> Columns<'r> {
    pub(crate) fn of(row: &'r Row, table: &'static str) -> Self {
        Self::at(row, table, 0)
    }

    /// Begins at a later column.
    pub(crate) fn at(row: &'r Row, table: &'static str, next: usize) -> Self {
        Self { row, table, next }
    }

    pub(crate) fn get<T: FromSql<'r>>(&mut self, column: &'static str) -> FaultResult<T> {
        let place = self.next;
        self.next += 1;
        self.row
            .try_get(place)
            .map_err(|error| self.unreadable(column, error))
    }

    pub(crate) fn timestamp(&mut self, column: &'static str) -> FaultResult<Timestamp> {
        self.get(column).map(Timestamp::from_unix_micros)
    }

    pub(crate) fn timestamp_if(&mut self, column: &'static str) -> FaultResult<Option<Timestamp>> {
        let micros: Option<i64> = self.get(column)?;
        Ok(micros.map(Timestamp::from_unix_micros))
    }

    /// A count or a small number that is stored as a larger one.
    pub(crate) fn number<T: TryFrom<i64>>(&mut self, column: &'static str) -> FaultResult<T> {
        let number: i64 = self.get(column)?;
        T::try_from(number).map_err(|_| self.unreadable(column, OutOfRange(number)))
    }

    pub(crate) fn status_if(&mut self, column: &'static str) -> FaultResult<Option<u16>> {
        let status: Option<i32> = self.get(column)?;
        let fits = |status| {
            u16::try_from(status)
                .map_err(|_| self.unreadable(column, OutOfRange(i64::from(status))))
        };
        status.map(fits).transpose()
    }

    /// Bytes of a fixed number.
    pub(crate) fn bytes<const N: usize>(&mut self, column: &'static str) -> FaultResult<[u8; N]> {
        let bytes: &[u8] = self.get(column)?;
        <[u8; N]>::try_from(bytes).map_err(|_| self.unreadable(column, WrongLength(bytes.len())))
    }

    pub(crate) fn ksuid(&mut self, column: &'static str) -> FaultResult<Ksuid> {
        self.bytes(column).map(Ksuid::from_bytes)
    }

    pub(crate) fn ksuid_if(&mut self, column: &'static str) -> FaultResult<Option<Ksuid>> {
        let bytes: Option<&[u8]> = self.get(column)?;
        let whole = |bytes: &[u8]| {
            <[u8; 20]>::try_from(bytes)
                .map(Ksuid::from_bytes)
                .map_err(|_| self.unreadable(column, WrongLength(bytes.len())))
        };
        bytes.map(whole).transpose()
    }

    /// A small number that stands for something.
    pub(crate) fn small(&mut self, column: &'static str) -> FaultResult<i64> {
        let code: i16 = self.get(column)?;
        Ok(i64::from(code))
    }

    pub(crate) fn small_if(&mut self, column: &'static str) -> FaultResult<Option<i64>> {
        let code: Option<i16> = self.get(column)?;
        Ok(code.map(i64::from))
    }

    pub(crate) fn code<C: Code>(&mut self, column: &'static str) -> FaultResult<C> {
        let code = self.small(column)?;
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

    /// A text that may hold a zero byte, and is stored as bytes for that.
    pub(crate) fn free_text_if(&mut self, column: &'static str) -> FaultResult<Option<String>> {
        let bytes: Option<Vec<u8>> = self.get(column)?;
        bytes
            .map(String::from_utf8)
            .transpose()
            .map_err(|error| self.unreadable(column, error))
    }

    pub(crate) fn json<T: DeserializeOwned>(&mut self, column: &'static str) -> FaultResult<T> {
        let text: &str = self.get(column)?;
        serde_json::from_str(text).map_err(|error| self.unreadable(column, error))
    }

    pub(crate) fn json_if<T: DeserializeOwned>(
        &mut self,
        column: &'static str,
    ) -> FaultResult<Option<T>> {
        let text: Option<&str> = self.get(column)?;
        text.map(serde_json::from_str)
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
        let bytes: &[u8] = self.get(column)?;
        decode(bytes).map_err(|error| self.unreadable(column, error))
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
        let number = self.row.try_get::<_, i64>(0).map(|key| key.to_string());
        let text = || self.row.try_get::<_, String>(0);
        number
            .or_else(|_| text())
            .unwrap_or_else(|_| String::from("(unnamed)"))
    }
}

/// The number that stands for a value, as its column holds it.
pub(crate) fn small_code<C: Code>(value: C) -> i16 {
    small(value.code())
}

/// A small number as its column holds it.
pub(crate) fn small(code: i64) -> i16 {
    i16::try_from(code).unwrap_or(i16::MAX)
}

/// A count of rows for a `LIMIT`.
pub(crate) fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
