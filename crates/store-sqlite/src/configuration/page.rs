//! Keyset pages: a stretch of an index, in either direction.

use rusqlite::types::Value;
use watchfire_store::{Order, Range};

/// The end of a query over a stretch, and its parameters.
pub(crate) struct Page {
    /// Further conditions, each beginning with ` AND`.
    pub(crate) bounds: String,
    /// Order and limit.
    pub(crate) order: String,
    pub(crate) values: Vec<Value>,
}

impl Page {
    /// All that follows the conditions of a query.
    pub(crate) fn sql(&self) -> String {
        format!("{}{}", self.bounds, self.order)
    }
}

/// Bounds and orders a query by `column`. Its parameters follow those in `values`.
pub(crate) fn page<C>(
    column: &str,
    range: &Range<C>,
    mut values: Vec<Value>,
    value: impl Fn(&C) -> Value,
) -> Page {
    let mut bound = |at: &Option<C>, comparison: char| {
        let Some(at) = at else {
            return String::new();
        };
        values.push(value(at));
        format!(" AND {column} {comparison} ?{}", values.len())
    };
    let bounds = bound(&range.after, '>') + &bound(&range.before, '<');
    let direction = match range.order {
        Order::Ascending => "ASC",
        Order::Descending => "DESC",
    };
    values.push(Value::Integer(
        i64::try_from(range.limit).unwrap_or(i64::MAX),
    ));
    let order = format!(" ORDER BY {column} {direction} LIMIT ?{}", values.len());
    Page {
        bounds,
        order,
        values,
    }
}
