//! Endpoints of an application by what is known about them, in any order.
//!
//! An application has at most [`limit::ENDPOINTS_PER_APPLICATION_MAX`] of them, so all are read,
//! and filtered and sorted here.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use watchfire_domain::filter::pattern_matches;
use watchfire_domain::health::State;
use watchfire_domain::id::EndpointId;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{EndpointKey, EndpointStanding, Order, Range, StoredEndpoint};

use super::super::check::Faults;
use super::super::{Error, Result};
use super::{OpenEndpoint, open};
use crate::{Engine, Snapshot};

/// Which endpoints, as somebody typed it. All that is said must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointQuery {
    pub state: Option<Condition>,
    /// The user they belong to.
    pub owner: Option<String>,
    /// Somewhere in the address, the description, the id or the uid, in either case.
    pub search: Option<String>,
    /// Those that get this event type.
    pub event_type: Option<String>,
    pub sort: Sort,
}

/// What is to be said of an endpoint, at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Condition {
    /// All is well.
    Active,
    /// It is sent to again, and watched.
    Probation,
    /// It is sent to, and its last attempts failed.
    Failing,
    /// It is left alone for a while.
    Suspended,
    /// It is not sent to until a person activates it.
    Disabled,
    /// Its owner has switched it off.
    SwitchedOff,
}

/// What a list is sorted by; where that is the same, by id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Created,
    /// The description, or the address where there is none.
    Name,
    LastDelivery,
    /// The worst last when ascending; those alike by how long they fail.
    Failing,
}

/// An endpoint in a list.
#[derive(Clone, Debug)]
pub struct ListedEndpoint {
    pub endpoint: OpenEndpoint,
    pub standing: EndpointStanding,
    pub condition: Condition,
}

impl Condition {
    pub const ALL: [Self; 6] = [
        Self::Active,
        Self::Probation,
        Self::Failing,
        Self::Suspended,
        Self::Disabled,
        Self::SwitchedOff,
    ];

    pub fn of(stored: &StoredEndpoint) -> Self {
        if stored.endpoint.settings.disabled {
            return Self::SwitchedOff;
        }
        match (stored.health.state(), stored.health.trouble()) {
            (State::Active, None) => Self::Active,
            (State::Active, Some(_)) => Self::Failing,
            (State::Suspended, _) => Self::Suspended,
            (State::Probation, _) => Self::Probation,
            (State::Disabled, _) => Self::Disabled,
        }
    }

    /// The name in queries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Probation => "probation",
            Self::Failing => "failing",
            Self::Suspended => "suspended",
            Self::Disabled => "disabled",
            Self::SwitchedOff => "off",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

impl Sort {
    pub const ALL: [Self; 4] = [Self::Created, Self::Name, Self::LastDelivery, Self::Failing];

    /// The name in queries.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Name => "name",
            Self::LastDelivery => "lastDelivery",
            Self::Failing => "failing",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

impl EndpointQuery {
    /// Whether it asks for anything but the whole list in its usual order.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    fn wants(&self, stored: &StoredEndpoint) -> bool {
        let settings = &stored.endpoint.settings;
        let types = &settings.subscription.event_types;
        let gets = |name: &String| {
            types.is_empty() || types.iter().any(|pattern| pattern_matches(pattern, name))
        };
        self.state
            .is_none_or(|state| state == Condition::of(stored))
            && self.owner.is_none_or_eq(settings.owner.as_ref())
            && self.event_type.as_ref().is_none_or(gets)
            && self.search.as_ref().is_none_or(|text| says(stored, text))
    }
}

/// A filter that is met by anything if it is absent.
trait Wanted<T> {
    fn is_none_or_eq(&self, value: Option<&T>) -> bool;
}

impl<T: PartialEq> Wanted<T> for Option<T> {
    fn is_none_or_eq(&self, value: Option<&T>) -> bool {
        self.is_none() || self.as_ref() == value
    }
}

fn says(stored: &StoredEndpoint, text: &str) -> bool {
    let text = text.to_lowercase();
    let (settings, identity) = (&stored.endpoint.settings, &stored.endpoint.identity);
    let uid = identity.uid.as_ref().map_or("", |uid| uid.as_str());
    let texts = [settings.url.as_str(), &settings.description, uid];
    texts
        .iter()
        .any(|known| known.to_lowercase().contains(&text))
        || identity.id.to_string().to_lowercase() == text
}

/// What an endpoint is sorted by.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Created,
    Name(String),
    At(Option<Timestamp>),
    /// How bad it is, and the longer the worse.
    Failing(Condition, Reverse<Option<Timestamp>>),
}

/// Endpoints of an application, a page at a time.
///
/// # Errors
///
/// [`Error::Invalid`] if the range begins at an endpoint that is not in the list any more.
pub async fn search(
    engine: &Engine,
    app: &Snapshot,
    query: &EndpointQuery,
    range: Range<EndpointId>,
) -> Result<Vec<ListedEndpoint>> {
    let (store, key) = (engine.store(), app.stored.key);
    let mut stored = store.endpoints_of(key).await?;
    stored.retain(|stored| query.wants(stored));
    let keys = stored.iter().map(|stored| stored.key);
    let mut standings = match query.sort {
        Sort::LastDelivery => store.standings(key, keys.collect()).await?,
        Sort::Created | Sort::Name | Sort::Failing => BTreeMap::new(),
    };
    let mut sorted: Vec<_> = stored
        .into_iter()
        .map(|stored| (key_of(query.sort, &stored, &standings), stored))
        .collect();
    sorted.sort_by(by_key);
    let found = stretch(sorted, &range)?;
    if query.sort != Sort::LastDelivery {
        let keys = found.iter().map(|stored| stored.key).collect();
        standings = store.standings(key, keys).await?;
    }
    found
        .into_iter()
        .map(|stored| {
            Ok(ListedEndpoint {
                standing: standings.remove(&stored.key).unwrap_or_default(),
                condition: Condition::of(&stored),
                endpoint: open(engine, stored)?,
            })
        })
        .collect()
}

fn key_of(
    sort: Sort,
    stored: &StoredEndpoint,
    standings: &BTreeMap<EndpointKey, EndpointStanding>,
) -> Key {
    let settings = &stored.endpoint.settings;
    match sort {
        Sort::Created => Key::Created,
        Sort::Name if settings.description.is_empty() => Key::Name(settings.url.to_lowercase()),
        Sort::Name => Key::Name(settings.description.to_lowercase()),
        Sort::LastDelivery => {
            let standing = standings.get(&stored.key);
            let last = standing.and_then(|standing| standing.last_attempt.as_ref());
            Key::At(last.map(|attempt| attempt.attempted_at))
        }
        Sort::Failing => Key::Failing(
            Condition::of(stored),
            Reverse(stored.health.first_error_at()),
        ),
    }
}

fn by_key(one: &(Key, StoredEndpoint), other: &(Key, StoredEndpoint)) -> Ordering {
    let id = |stored: &StoredEndpoint| stored.endpoint.identity.id;
    (&one.0, id(&one.1)).cmp(&(&other.0, id(&other.1)))
}

/// The part of a sorted list that a range asks for; its ends are named by ids.
fn stretch(
    sorted: Vec<(Key, StoredEndpoint)>,
    range: &Range<EndpointId>,
) -> Result<Vec<StoredEndpoint>> {
    let place = |id: Option<EndpointId>, default| match id {
        None => Ok(default),
        Some(id) => sorted
            .iter()
            .position(|(_, stored)| stored.endpoint.identity.id == id)
            .ok_or_else(gone),
    };
    let first = match range.after {
        Some(_) => place(range.after, 0)? + 1,
        None => 0,
    };
    let last = place(range.before, sorted.len())?;
    let count = last.saturating_sub(first);
    let within = sorted.into_iter().map(|(_, stored)| stored).skip(first);
    let mut found: Vec<_> = within.take(count).collect();
    if range.order == Order::Descending {
        found.reverse();
    }
    found.truncate(range.limit.min(limit::PAGE_ITEMS_MAX + 1));
    Ok(found)
}

fn gone() -> Error {
    let mut faults = Faults::default();
    let reason = "the endpoint it names is not in the list any more; begin again without it";
    faults.add("iterator", reason);
    faults.into_error()
}

#[cfg(test)]
mod tests;
