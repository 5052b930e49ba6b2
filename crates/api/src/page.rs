//! Lists, a page at a time, in both directions.
//!
//! `iterator` takes what a page before answered: the id of its last item to go on, or `-` and the
//! id of its first item to go back. Whatever the direction, `data` stands in the list's order.
//! Lists by time also look at no more than [`WINDOW`] at once.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use watchfire_domain::id::{ApplicationId, AttemptId, EndpointId, EventType, Ksuid, MessageId};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{Order, Range};

use crate::error::{ApiError, ApiResult, Code};
use crate::extract::Params;
use crate::state::ApiState;

/// Items of a page unless the request says otherwise.
const ITEMS: usize = 50;
/// How far a list by time looks from its bound, its iterator or now.
const WINDOW: Duration = Duration::from_hours(90 * 24);
/// Clocks of nodes differ; nothing lies further ahead than this.
const AHEAD: Duration = Duration::from_hours(1);

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// Items to answer at most: 50 unless given, 250 at most.
    #[param(minimum = 1, maximum = 250)]
    pub(crate) limit: Option<u64>,
    /// The `iterator` or `prevIterator` of a page before.
    pub(crate) iterator: Option<String>,
}

/// The order of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OrderQuery {
    order: Option<Ordering>,
}

/// The order of a list's items.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ordering {
    Ascending,
    Descending,
}

/// Bounds in time; both are exclusive.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WindowQuery {
    /// Only what was made before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) before: Option<Timestamp>,
    /// Only what was made after this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) after: Option<Timestamp>,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListResponse<T> {
    pub(crate) data: Vec<T>,
    /// Pass it as `iterator` to go on; null where the page is empty.
    pub(crate) iterator: Option<String>,
    /// Pass it as `iterator` to go back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prev_iterator: Option<String>,
    /// Whether the list ends here, in the direction it was read.
    pub(crate) done: bool,
}

impl OrderQuery {
    pub(crate) fn or(&self, default: Order) -> Order {
        match self.order {
            None => default,
            Some(Ordering::Ascending) => Order::Ascending,
            Some(Ordering::Descending) => Order::Descending,
        }
    }
}

/// Where a page begins.
enum Cursor<C> {
    Start,
    /// Go on behind this item.
    Behind(C),
    /// Go back from this item.
    Before(C),
}

/// A page to read: what to ask the store, and how to answer.
#[derive(Debug)]
pub(crate) struct Page<C> {
    limit: usize,
    /// Read against the list's order.
    backward: bool,
    range: Range<C>,
}

impl<C> Page<C>
where
    C: Clone + FromStr<Err: Display>,
{
    /// A page of a list without bounds in time.
    pub(crate) fn new(query: &PageQuery, order: Order) -> ApiResult<Self> {
        let limit = query.limit()?;
        let range = Range::from_start(order, limit);
        let mut page = Self {
            limit,
            backward: false,
            range,
        };
        match (query.cursor()?, order) {
            (Cursor::Start, _) => {}
            (Cursor::Behind(id), Order::Ascending) => page.range.after = Some(id),
            (Cursor::Behind(id), Order::Descending) => page.range.before = Some(id),
            (Cursor::Before(id), Order::Ascending) => page.turn(None, Some(id)),
            (Cursor::Before(id), Order::Descending) => page.turn(Some(id), None),
        }
        Ok(page)
    }

    fn turn(&mut self, after: Option<C>, before: Option<C>) {
        self.backward = true;
        self.range.after = after;
        self.range.before = before;
        self.range.order = match self.range.order {
            Order::Ascending => Order::Descending,
            Order::Descending => Order::Ascending,
        };
    }

    /// What to ask the store for: one more than is answered tells whether the list ends.
    pub(crate) fn range(&self) -> Range<C> {
        Range {
            limit: self.limit + 1,
            ..self.range.clone()
        }
    }

    /// The answer from what the store returned.
    pub(crate) fn answer<T, U>(
        &self,
        items: Vec<T>,
        id: impl Fn(&T) -> String,
        out: impl Fn(T) -> U,
    ) -> ListResponse<U> {
        let page = self.cut(items, id);
        ListResponse {
            data: page.data.into_iter().map(out).collect(),
            iterator: page.iterator,
            prev_iterator: page.prev_iterator,
            done: page.done,
        }
    }

    /// The answer from what the store returned, where an item may be beyond answering.
    pub(crate) fn answer_all<'a, T, U>(
        &self,
        items: &'a [T],
        id: impl Fn(&T) -> String,
        out: impl Fn(&'a T) -> ApiResult<U>,
    ) -> ApiResult<ListResponse<U>> {
        let page = self.cut(items.iter().collect(), |item| id(item));
        Ok(ListResponse {
            data: page.data.into_iter().map(out).collect::<ApiResult<_>>()?,
            iterator: page.iterator,
            prev_iterator: page.prev_iterator,
            done: page.done,
        })
    }

    /// What is answered of what was asked for, in the list's order.
    fn cut<T>(&self, mut items: Vec<T>, id: impl Fn(&T) -> String) -> ListResponse<T> {
        let done = items.len() <= self.limit;
        items.truncate(self.limit);
        if self.backward {
            items.reverse();
        }
        ListResponse {
            iterator: items.last().map(&id),
            prev_iterator: items.first().map(|first| format!("-{}", id(first))),
            done,
            data: items,
        }
    }

    /// What the store would return, from a list that is in memory and sorted upward.
    pub(crate) fn select<T>(&self, all: Vec<T>, id: impl Fn(&T) -> C) -> Vec<T>
    where
        C: Ord,
    {
        let Range {
            after,
            before,
            order,
            limit,
        } = self.range();
        let within = |item: &T| {
            let id = id(item);
            after.as_ref().is_none_or(|after| id > *after)
                && before.as_ref().is_none_or(|before| id < *before)
        };
        let found = all.into_iter().filter(within);
        match order {
            Order::Ascending => found.take(limit).collect(),
            Order::Descending => {
                let mut found: Vec<_> = found.collect();
                found.reverse();
                found.truncate(limit);
                found
            }
        }
    }
}

impl PageQuery {
    fn limit(&self) -> ApiResult<usize> {
        let Some(limit) = self.limit else {
            return Ok(ITEMS);
        };
        if let Ok(limit @ 1..=limit::PAGE_ITEMS_MAX) = usize::try_from(limit) {
            Ok(limit)
        } else {
            let max = limit::PAGE_ITEMS_MAX;
            Err(ApiError::query(
                "limit",
                format_args!("must be between 1 and {max}"),
            ))
        }
    }

    fn cursor<C: FromStr<Err: Display>>(&self) -> ApiResult<Cursor<C>> {
        let read = |text: &str| {
            text.parse::<C>()
                .map_err(|reason| ApiError::query("iterator", reason))
        };
        match self.iterator.as_deref() {
            None | Some("") => Ok(Cursor::Start),
            Some(text) => match text.strip_prefix('-') {
                Some(id) => Ok(Cursor::Before(read(id)?)),
                None => Ok(Cursor::Behind(read(text)?)),
            },
        }
    }
}

/// An id that tells when its object was made.
pub(crate) trait TimeId: Copy + Ord + FromStr<Err: Display> {
    fn first_at(at: Timestamp) -> Self;
    fn created_at(self) -> Timestamp;
}

macro_rules! time_id {
    ($($id:ident),+) => {$(
        impl TimeId for $id {
            fn first_at(at: Timestamp) -> Self {
                Self::from_ksuid(Ksuid::first_at(at))
            }

            fn created_at(self) -> Timestamp {
                self.ksuid().created_at()
            }
        }
    )+};
}

time_id!(ApplicationId, EndpointId, MessageId, AttemptId);

impl<C: TimeId> Page<C> {
    /// A page of a list by time, newest first.
    pub(crate) fn by_time(
        query: &PageQuery,
        window: &WindowQuery,
        now: Timestamp,
    ) -> ApiResult<Self> {
        let mut page = Self::new(query, Order::Descending)?;
        let cursor = query.cursor::<C>()?;
        let (after, before) = (window.after, window.before);
        if matches!((&cursor, after, before), (Cursor::Start, Some(_), None)) {
            page.turn(None, None);
        }
        let anchor = match cursor {
            Cursor::Behind(id) | Cursor::Before(id) => Some(id.created_at()),
            Cursor::Start => None,
        };
        let (mut floor, mut ceiling) = (after.unwrap_or(Timestamp::MIN), now + AHEAD);
        ceiling = ceiling.min(before.unwrap_or(Timestamp::MAX));
        if page.backward {
            floor = floor.max(anchor.unwrap_or(floor));
            ceiling = ceiling.min(floor + WINDOW);
        } else {
            let from = ceiling.min(anchor.unwrap_or(ceiling)).min(now);
            floor = floor.max(from - WINDOW);
        }
        // Where the iterator gives a bound as well, the narrower one counts.
        let (first, last) = (C::first_at(floor), C::first_at(ceiling));
        let range = &mut page.range;
        range.after = Some(range.after.map_or(first, |id| id.max(first)));
        range.before = Some(range.before.map_or(last, |id| id.min(last)));
        Ok(page)
    }
}

/// A page of a list by time, as the query asks for it.
pub(crate) struct Timed<C>(pub(crate) Page<C>);

impl<C: TimeId> FromRequestParts<ApiState> for Timed<C> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &ApiState) -> ApiResult<Self> {
        let Params(query) = Params::<PageQuery>::from_request_parts(parts, api).await?;
        let Params(window) = Params::<WindowQuery>::from_request_parts(parts, api).await?;
        Page::by_time(&query, &window, api.now()).map(Self)
    }
}

/// The event types of a query: `a,b`, repeated, `event_types[]=` or `event_types[0]=`.
pub(crate) struct EventTypes(pub(crate) Vec<EventType>);

impl FromRequestParts<ApiState> for EventTypes {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> ApiResult<Self> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| ApiError::new(Code::Generic, error.body_text()))?;
        let lists = pairs.iter().filter(|(name, _)| names_event_types(name));
        let names = lists
            .flat_map(|(_, list)| list.split(','))
            .filter(|name| !name.is_empty());
        let parsed = names.map(|name| {
            name.parse()
                .map_err(|reason| ApiError::query("event_types", reason))
        });
        let types: Vec<_> = parsed.collect::<ApiResult<_>>()?;
        if types.len() > limit::EVENT_TYPES_PER_ENDPOINT_MAX {
            let max = limit::EVENT_TYPES_PER_ENDPOINT_MAX;
            return Err(ApiError::query(
                "event_types",
                format_args!("may have at most {max} names"),
            ));
        }
        Ok(Self(types))
    }
}

fn names_event_types(parameter: &str) -> bool {
    let Some(index) = parameter.strip_prefix("event_types") else {
        return false;
    };
    let within = index
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    index.is_empty() || within.is_some_and(|index| index.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests;
