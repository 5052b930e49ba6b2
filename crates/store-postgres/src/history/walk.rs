//! Walks an index in stretches that grow, so that a list nobody filters takes one look, and a
//! filter that nothing meets ends.

use watchfire_domain::limit;
use watchfire_store::{Order, Range};

/// Rows of the first stretch beyond what is wanted, and of the longest.
const FIRST_ROWS: usize = 32;
const ROWS_MAX: usize = 4_096;

/// Where a walk stands.
pub(super) struct Walk<C> {
    range: Range<C>,
    wanted: usize,
    looked: usize,
    rows: usize,
}

impl<C: Copy> Walk<C> {
    pub(super) fn new(range: &Range<C>) -> Self {
        Self {
            range: range.clone(),
            wanted: range.limit,
            looked: 0,
            rows: range.limit.clamp(FIRST_ROWS, ROWS_MAX),
        }
    }

    /// The next stretch to look at, if more is wanted.
    pub(super) fn next(&self, found: usize) -> Option<Range<C>> {
        let most = limit::LIST_SCAN_ROWS_MAX.max(self.wanted);
        let left = most.saturating_sub(self.looked);
        let limit = self.rows.min(left);
        (found < self.wanted && limit > 0).then(|| Range {
            limit,
            ..self.range.clone()
        })
    }

    /// So many rows were there, up to this one. Returns whether there may be more.
    pub(super) fn looked(&mut self, rows: usize, last: Option<C>) -> bool {
        let asked = self.rows;
        self.looked += rows;
        self.rows = (self.rows * 4).min(ROWS_MAX);
        let Some(last) = last.filter(|_| rows >= asked) else {
            return false;
        };
        match self.range.order {
            Order::Ascending => self.range.after = Some(last),
            Order::Descending => self.range.before = Some(last),
        }
        true
    }
}
