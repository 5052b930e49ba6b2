//! Many event types at once: all of them are written, or none.

use std::collections::{BTreeMap, BTreeSet};

use watchfire_domain::audit::Action;
use watchfire_domain::id::{EventType, OrganizationId};
use watchfire_domain::limit;
use watchfire_store::{Change, EventTypeRecord, Order, Range};

use super::{EventTypeInput, EventTypePatch, blank};
use crate::Engine;
use crate::service::audit::{self, Deed, Seen};
use crate::service::error::{Error, Result};
use crate::service::{Fault, Repeatable};

/// Event types to write.
#[derive(Clone, Debug, Default)]
pub struct Import {
    pub event_types: BTreeMap<EventType, EventTypeInput>,
    /// Archive those that are not among them.
    pub replaces_all: bool,
    /// Change nothing.
    pub only_asks: bool,
}

/// What an import changes. What stays as it is is not listed.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    /// As they are afterwards.
    pub written: Vec<EventTypeRecord>,
    pub archived: Vec<EventType>,
}

/// Creates and updates event types, and archives the others if that is asked for. An archived one
/// that is imported is back.
pub async fn import(
    engine: &Engine,
    org: &OrganizationId,
    import: Import,
    repeatable: Option<Repeatable<'_, Imported>>,
) -> Result<Imported> {
    let known = all(engine, org).await?;
    let names: BTreeSet<_> = import.event_types.keys().cloned().collect();
    let (mut changes, mut imported) = (Vec::new(), Imported::default());
    for (name, input) in import.event_types {
        let old = known.get(&name);
        let wanted = applied(engine, old, &name, input)?;
        if old.is_some_and(|old| is_same(old, &wanted)) {
            continue;
        }
        let action = match old {
            Some(_) => Action::EventTypeUpdated,
            None => Action::EventTypeCreated,
        };
        changes.extend(written(engine, org, (action, old), &wanted));
        imported.written.push(wanted);
    }
    let others = known
        .values()
        .filter(|old| import.replaces_all && !old.archived && !names.contains(&old.name));
    for old in others {
        let archived = EventTypeRecord {
            archived: true,
            updated_at: engine.clock().now(),
            ..old.clone()
        };
        let how = (Action::EventTypeArchived, Some(old));
        changes.extend(written(engine, org, how, &archived));
        imported.archived.push(archived.name);
    }
    if import.only_asks {
        return Ok(imported);
    }
    let now = engine.clock().now();
    let remember = repeatable.map(|repeatable| repeatable.remember(now, &imported));
    engine
        .apply(remember.into_iter().chain(changes).collect())
        .await?;
    Ok(imported)
}

/// All event types of an organization, archived ones too.
pub async fn all(
    engine: &Engine,
    org: &OrganizationId,
) -> Result<BTreeMap<EventType, EventTypeRecord>> {
    let mut all = BTreeMap::new();
    let mut range = Range::from_start(Order::Ascending, limit::PAGE_ITEMS_MAX);
    loop {
        let page = engine.store().event_types(org, true, range.clone()).await?;
        let full = page.len() == range.limit;
        range.after = page.last().map(|event_type| event_type.name.clone());
        all.extend(page.into_iter().map(|old| (old.name.clone(), old)));
        if !full {
            return Ok(all);
        }
    }
}

/// The event type as the import wants it; faults name it.
fn applied(
    engine: &Engine,
    old: Option<&EventTypeRecord>,
    name: &EventType,
    input: EventTypeInput,
) -> Result<EventTypeRecord> {
    let old = old.cloned().unwrap_or_else(|| blank(name.clone(), engine));
    let applied = EventTypePatch::from(input).applied_to(old, engine);
    applied.map_err(|error| match error {
        Error::Invalid(faults) => Error::Invalid(faults.into_iter().map(|f| of(name, f)).collect()),
        error => error,
    })
}

fn of(name: &EventType, mut fault: Fault) -> Fault {
    fault.field.insert(0, name.to_string().into());
    fault
}

fn is_same(old: &EventTypeRecord, new: &EventTypeRecord) -> bool {
    old.archived == new.archived && old.settings == new.settings
}

fn written(
    engine: &Engine,
    org: &OrganizationId,
    (action, old): (Action, Option<&EventTypeRecord>),
    new: &EventTypeRecord,
) -> [Change; 2] {
    let before = old.map_or(Seen::NOTHING, audit::event_type);
    let deed = Deed::of(org, action, &new.name);
    let put = Change::PutEventType {
        org: org.clone(),
        event_type: new.clone(),
    };
    [put, deed.noted(engine, before, audit::event_type(new))]
}
