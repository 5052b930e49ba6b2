//! Pages of a list, newest first, by the ids at their ends: as fast on the thousandth page as on
//! the first.

use std::fmt::Display;
use std::str::FromStr;

use watchfire_domain::limit;
use watchfire_store::{Order, Range};

use crate::params::Fields;

/// Which page of a list is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Paging<C> {
    /// Only older ones than this.
    before: Option<C>,
    /// Only newer ones than this.
    after: Option<C>,
    items: usize,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub(crate) struct PageOf<T> {
    pub(crate) items: Vec<T>,
    /// The query of the page with newer ones, if there is one.
    pub(crate) newer: Option<String>,
    /// The query of the page with older ones, if there is one.
    pub(crate) older: Option<String>,
}

impl<C: FromStr + Clone + Display> Paging<C> {
    /// Reads `before` and `after`; what is no id counts as nothing.
    pub(crate) fn of(query: &Fields) -> Self {
        let id = |name| query.filled(name).and_then(|text| text.parse().ok());
        Self {
            before: id("before"),
            after: id("after"),
            items: limit::DASHBOARD_PAGE_ITEMS,
        }
    }

    /// With pages of so many items.
    #[must_use]
    pub(crate) fn with_items(self, items: usize) -> Self {
        Self { items, ..self }
    }

    /// What to ask the store for: one more than is shown tells whether there is another page.
    pub(crate) fn range(&self) -> Range<C> {
        Range {
            after: self.after.clone(),
            before: self.before.clone(),
            order: if self.goes_back() {
                Order::Ascending
            } else {
                Order::Descending
            },
            limit: self.items + 1,
        }
    }

    /// From what the store answered to the page, with links that keep the other parameters.
    pub(crate) fn cut<T>(
        &self,
        mut found: Vec<T>,
        query: &Fields,
        id: impl Fn(&T) -> C,
    ) -> PageOf<T> {
        let more = found.len() > self.items;
        found.truncate(self.items);
        if self.goes_back() {
            found.reverse();
        }
        let link = |name: &str, at: Option<&T>| {
            let query = query.with("before", None).with("after", None);
            at.map(|at| query.with(name, Some(&id(at).to_string())).query())
        };
        let has_newer = if self.goes_back() {
            more
        } else {
            self.before.is_some()
        };
        let has_older = self.goes_back() || more;
        PageOf {
            newer: link("after", found.first().filter(|_| has_newer)),
            older: link("before", found.last().filter(|_| has_older)),
            items: found,
        }
    }

    fn goes_back(&self) -> bool {
        self.after.is_some() && self.before.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a store with the ids 1 to `all` answers.
    fn store(all: u32, range: &Range<u32>) -> Vec<u32> {
        let within = |id: &u32| {
            range.after.is_none_or(|after| *id > after)
                && range.before.is_none_or(|before| *id < before)
        };
        let mut found: Vec<_> = (1..=all).filter(within).collect();
        if range.order == Order::Descending {
            found.reverse();
        }
        found.truncate(range.limit);
        found
    }

    fn page(all: u32, query: &str) -> PageOf<u32> {
        let query = query.strip_prefix('?').unwrap_or(query);
        let query = Fields::read(query.as_bytes()).expect("few");
        let paging = Paging::<u32> {
            items: 2,
            ..Paging::of(&query)
        };
        paging.cut(store(all, &paging.range()), &query, |id| *id)
    }

    #[test]
    fn pages_lead_to_each_other() {
        let first = page(5, "status=failed");
        assert_eq!(first.items, [5, 4]);
        assert_eq!(first.newer, None);
        let second = page(5, &first.older.expect("more"));
        assert_eq!(second.items, [3, 2]);
        let third = page(5, second.older.as_deref().expect("more"));
        assert_eq!(third.items, [1]);
        assert_eq!(third.older, None);
        let back = page(5, &third.newer.expect("newer"));
        assert_eq!(back.items, [3, 2]);
        let start = page(5, &back.newer.expect("newer"));
        assert_eq!(start.items, [5, 4]);
        assert_eq!(start.newer, None);
        assert_eq!(start.older.as_deref(), Some("?status=failed&before=4"));
    }

    #[test]
    fn an_empty_list_has_one_page() {
        let empty = page(0, "");
        assert!(empty.items.is_empty());
        assert_eq!((empty.newer, empty.older), (None, None));
    }
}
