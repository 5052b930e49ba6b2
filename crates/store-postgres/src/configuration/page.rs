//! Keyset pages: a stretch of an index, in either direction.

use watchfire_store::{Order, Range};

use crate::parameter::Parameter;
use crate::row::at_most;

/// The end of a query over a stretch, and its parameters.
pub(crate) struct Page<T> {
    after: Option<T>,
    before: Option<T>,
    order: Order,
    limit: i64,
}

impl<T> Page<T>
where
    Option<T>: Parameter,
{
    /// A stretch whose ends are written as `value` says.
    pub(crate) fn of<C>(range: &Range<C>, value: impl Fn(&C) -> T) -> Self {
        Self {
            after: range.after.as_ref().map(&value),
            before: range.before.as_ref().map(&value),
            order: range.order,
            limit: at_most(range.limit),
        }
    }

    /// All that follows the conditions of a query with so many parameters. The planner knows the
    /// parameters, so a bound that is absent costs nothing.
    pub(crate) fn sql(&self, column: &str, parameters: usize) -> String {
        let (after, before, limit) = (parameters + 1, parameters + 2, parameters + 3);
        let direction = match self.order {
            Order::Ascending => "ASC",
            Order::Descending => "DESC",
        };
        format!(
            " AND (${after} IS NULL OR {column} > ${after}) \
             AND (${before} IS NULL OR {column} < ${before}) \
             ORDER BY {column} {direction} LIMIT ${limit}"
        )
    }

    /// The parameters of a query, with those of the page behind them.
    pub(crate) fn parameters<'p>(&'p self, first: &[&'p dyn Parameter]) -> Vec<&'p dyn Parameter> {
        let mut all = first.to_vec();
        let ends: [&dyn Parameter; 3] = [&self.after, &self.before, &self.limit];
        all.extend(ends);
        all
    }
}
