//! Rows as arrays, column by column, and back.

use tokio_postgres::types::{ToSql, Type};
use watchfire_domain::limit;
use watchfire_store::transfer::{Cell, Kind, Row, Table};

use crate::fault::FaultResult;
use crate::parameter::Parameter;
use crate::row::{Columns, at_most};
use crate::session::Tx;

/// The cells of one column.
enum Values<'r> {
    Integers(Vec<Option<i64>>),
    Statuses(Vec<Option<i32>>),
    Codes(Vec<Option<i16>>),
    Flags(Vec<Option<bool>>),
    Texts(Vec<Option<&'r str>>),
    Bytes(Vec<Option<&'r [u8]>>),
}

impl Parameter for Values<'_> {
    fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Integers(values) => values.typed(),
            Self::Statuses(values) => values.typed(),
            Self::Codes(values) => values.typed(),
            Self::Flags(values) => values.typed(),
            Self::Texts(values) => values.typed(),
            Self::Bytes(values) => values.typed(),
        }
    }
}

impl<'r> Values<'r> {
    fn of(kind: Kind, cells: impl Iterator<Item = &'r Cell>) -> Self {
        match kind {
            Kind::Integer | Kind::Place => Self::Integers(cells.map(Cell::integer).collect()),
            Kind::Status => Self::Statuses(cells.map(fitting).collect()),
            Kind::Code => Self::Codes(cells.map(fitting).collect()),
            Kind::Flag => {
                let flag = |cell: &Cell| cell.integer().map(|number| number != 0);
                Self::Flags(cells.map(flag).collect())
            }
            Kind::Text => Self::Texts(cells.map(text).collect()),
            Kind::FreeText | Kind::Bytes => Self::Bytes(cells.map(bytes).collect()),
        }
    }
}

/// A number that does not fit is left out; what is read back then differs from what was sent.
fn fitting<N: TryFrom<i64>>(cell: &Cell) -> Option<N> {
    let number = cell.integer()?;
    N::try_from(number).ok()
}

fn text(cell: &Cell) -> Option<&str> {
    match cell {
        Cell::Text(text) => Some(text),
        Cell::Null | Cell::Integer(_) | Cell::Bytes(_) => None,
    }
}

fn bytes(cell: &Cell) -> Option<&[u8]> {
    match cell {
        Cell::Bytes(bytes) => Some(bytes),
        Cell::Null | Cell::Integer(_) | Cell::Text(_) => None,
    }
}

/// Writes rows in one statement; keys that the table would draw are the rows' own.
pub(super) async fn insert(tx: &Tx, table: &Table, rows: &[Row]) -> FaultResult<()> {
    let columns = table.columns.iter().enumerate();
    let columns: Vec<Values<'_>> = columns
        .map(|(place, column)| Values::of(column.kind, rows.iter().map(|row| &row[place])))
        .collect();
    let parameters: Vec<&dyn Parameter> = columns
        .iter()
        .map(|column| column as &dyn Parameter)
        .collect();
    let marks: Vec<String> = (1..=columns.len())
        .map(|place| format!("${place}"))
        .collect();
    let sql = format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT * FROM unnest({})",
        table.name,
        table.column_list(),
        marks.join(", ")
    );
    tx.execute(&sql, &parameters).await?;
    Ok(())
}

/// The next rows of a table behind a key, as they are here.
pub(super) async fn read(
    tx: &Tx,
    table: &'static Table,
    after: Option<&[Cell]>,
) -> FaultResult<Vec<Row>> {
    let keys = table.columns[..table.key]
        .iter()
        .zip(after.unwrap_or_default());
    let keys: Vec<Values<'_>> = keys
        .map(|(column, cell)| Values::of(column.kind, std::iter::once(cell)))
        .collect();
    let most = at_most(limit::MOVE_ROWS_MAX);
    let mut parameters: Vec<&dyn Parameter> = vec![&most];
    parameters.extend(keys.iter().map(|key| key as &dyn Parameter));
    let rows = tx.query(&walk(table, after.is_some()), &parameters).await?;
    rows.iter().map(|row| cells(table, row)).collect()
}

/// The next `$1` rows of a table, behind the key in the other parameters if there is one.
fn walk(table: &Table, behind: bool) -> String {
    let (name, columns, keys) = (table.name, table.column_list(), table.key_list());
    let marks: Vec<String> = (0..table.key)
        .map(|place| format!("(${})[1]", place + 2))
        .collect();
    let marks = marks.join(", ");
    // The second condition says which partitions need not be looked at.
    let condition = match (behind, table.columns[0]) {
        (false, _) => String::new(),
        (true, first) => format!(" WHERE ({keys}) > ({marks}) AND {} >= ($2)[1]", first.name),
    };
    format!("SELECT {columns} FROM {name}{condition} ORDER BY {keys} LIMIT $1")
}

fn cells(table: &'static Table, row: &tokio_postgres::Row) -> FaultResult<Row> {
    let mut columns = Columns::of(row, table.name);
    let mut cells = Vec::with_capacity(table.columns.len());
    for column in table.columns {
        cells.push(cell(&mut columns, column.kind, column.name)?);
    }
    Ok(cells)
}

fn cell(columns: &mut Columns<'_>, kind: Kind, name: &'static str) -> FaultResult<Cell> {
    let integer = |number: Option<i64>| number.map_or(Cell::Null, Cell::Integer);
    Ok(match kind {
        Kind::Integer | Kind::Place => integer(columns.get(name)?),
        Kind::Status => integer(columns.get::<Option<i32>>(name)?.map(i64::from)),
        Kind::Code => integer(columns.get::<Option<i16>>(name)?.map(i64::from)),
        Kind::Flag => integer(columns.get::<Option<bool>>(name)?.map(i64::from)),
        Kind::Text => {
            let text: Option<String> = columns.get(name)?;
            text.map_or(Cell::Null, Cell::Text)
        }
        Kind::FreeText | Kind::Bytes => {
            let bytes: Option<Vec<u8>> = columns.get(name)?;
            bytes.map_or(Cell::Null, Cell::Bytes)
        }
    })
}
