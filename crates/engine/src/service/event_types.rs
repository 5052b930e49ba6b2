//! Event types: the names messages and subscriptions use.

mod import;

use watchfire_contracts::schema::check_schema;
use watchfire_contracts::{Contract, contract};
use watchfire_domain::audit::Action;
use watchfire_domain::id::{EventType, OrganizationId};
use watchfire_domain::limit;
use watchfire_store::{Change, EventTypeRecord, EventTypeSettings, Order, Range};

use super::audit::{self, Deed, Seen};
use super::check::Faults;
use super::{Edit, Error, Put, Repeatable, Result};
use crate::Engine;

pub use import::{Import, Imported, all, import};

/// A whole event type as somebody typed it, without its name.
#[derive(Clone, Debug, Default)]
pub struct EventTypeInput {
    pub description: String,
    pub archived: bool,
    pub deprecated: bool,
    pub feature_flag: Option<String>,
    pub group_name: Option<String>,
    /// JSON Schemas by version.
    pub schemas: Option<serde_json::Value>,
}

/// A change of an event type as somebody typed it.
#[derive(Clone, Debug, Default)]
pub struct EventTypePatch {
    pub description: Edit<String>,
    pub archived: Edit<bool>,
    pub deprecated: Edit<bool>,
    pub feature_flag: Edit<String>,
    pub group_name: Edit<String>,
    pub schemas: Edit<serde_json::Value>,
}

impl From<EventTypeInput> for EventTypePatch {
    /// A replacement as a change of every field.
    fn from(input: EventTypeInput) -> Self {
        Self {
            description: Edit::Set(input.description),
            archived: Edit::Set(input.archived),
            deprecated: Edit::Set(input.deprecated),
            feature_flag: Edit::replace(input.feature_flag),
            group_name: Edit::replace(input.group_name),
            schemas: Edit::replace(input.schemas),
        }
    }
}

impl EventTypePatch {
    /// The event type after the change.
    fn applied_to(self, mut old: EventTypeRecord, engine: &Engine) -> Result<EventTypeRecord> {
        let settings = &mut old.settings;
        self.description.apply_or_default(&mut settings.description);
        self.archived.apply_or_default(&mut old.archived);
        // Whoever revives what a contract has dropped makes it their own.
        if !old.archived && std::mem::take(&mut settings.dropped) {
            settings.contract = None;
        }
        self.deprecated.apply_or_default(&mut settings.deprecated);
        self.feature_flag.apply(&mut settings.feature_flag);
        self.group_name.apply(&mut settings.group_name);
        self.schemas.apply(&mut settings.schemas);
        let mut faults = Faults::default();
        faults.chars(
            "description",
            &settings.description,
            0,
            limit::DESCRIPTION_CHARS_MAX,
        );
        for (field, name) in [
            ("featureFlag", &settings.feature_flag),
            ("groupName", &settings.group_name),
        ] {
            if let Some(name) = name {
                faults.keep(field, name.parse::<EventType>());
            }
        }
        check_schemas(settings.schemas.as_ref(), &mut faults);
        faults.finish()?;
        old.updated_at = engine.clock().now();
        Ok(old)
    }
}

fn check_schemas(schemas: Option<&serde_json::Value>, faults: &mut Faults) {
    let Some(schemas) = schemas else { return };
    let Some(versions) = schemas.as_object() else {
        return faults.add("schemas", "must be an object of JSON Schemas by version");
    };
    for (version, schema) in versions {
        if !schema.is_object() {
            faults.add_at("schemas", version.clone(), "must be a JSON Schema object");
        } else if let Err(reason) = check_schema(schema) {
            faults.add_at("schemas", version.clone(), reason);
        }
    }
}

fn blank(name: EventType, engine: &Engine) -> EventTypeRecord {
    let now = engine.clock().now();
    EventTypeRecord {
        name,
        created_at: now,
        updated_at: now,
        archived: false,
        settings: EventTypeSettings::default(),
    }
}

/// What brings an organization's event types up to a contract's: those it lists are created, those
/// that came from it follow it, and those it dropped are archived. What people made or archived stays
/// as they left it.
pub(super) async fn following(
    engine: &Engine,
    org: &OrganizationId,
    contract: &Contract,
) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for listed in contract.event_types() {
        let Ok(name) = listed.name.parse::<EventType>() else {
            continue;
        };
        let stored = engine.store().event_type(org, &name).await?;
        let old = stored.clone().unwrap_or_else(|| blank(name, engine));
        let is_ours = old.settings.contract.as_deref() == Some(contract.name());
        if stored.is_some() && !is_ours {
            continue;
        }
        let settings = EventTypeSettings {
            feature_flag: old.settings.feature_flag.clone(),
            ..listed_settings(contract, listed)
        };
        if stored.is_none() || settings != old.settings {
            let event_type = EventTypeRecord {
                // One that the contract lists again is back.
                archived: old.archived && !old.settings.dropped,
                settings,
                updated_at: engine.clock().now(),
                ..old
            };
            changes.push(Change::PutEventType {
                org: org.clone(),
                event_type,
            });
        }
    }
    changes.extend(dropped(engine, org, contract).await?);
    Ok(changes)
}

/// Archives the event types that came from a contract and are not listed any more: messages of
/// such a type are refused, so nobody should be offered it.
async fn dropped(
    engine: &Engine,
    org: &OrganizationId,
    contract: &Contract,
) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    let mut range = Range::from_start(Order::Ascending, limit::PAGE_ITEMS_MAX);
    loop {
        let page = engine
            .store()
            .event_types(org, false, range.clone())
            .await?;
        let full = page.len() == range.limit;
        range.after = page.last().map(|event_type| event_type.name.clone());
        for old in page {
            let is_ours = old.settings.contract.as_deref() == Some(contract.name());
            if !is_ours || contract.event_type(old.name.as_str()).is_some() {
                continue;
            }
            let mut event_type = EventTypeRecord {
                archived: true,
                updated_at: engine.clock().now(),
                ..old
            };
            event_type.settings.dropped = true;
            changes.push(Change::PutEventType {
                org: org.clone(),
                event_type,
            });
        }
        if !full {
            return Ok(changes);
        }
    }
}

fn listed_settings(contract: &Contract, listed: &contract::EventType) -> EventTypeSettings {
    let mut schema = listed.schema.clone();
    if let (Some(members), Ok(sample)) = (
        schema.as_object_mut(),
        serde_json::from_str::<serde_json::Value>(&listed.sample),
    ) {
        members.insert("examples".to_owned(), serde_json::json!([sample]));
    }
    EventTypeSettings {
        description: listed.about.description.clone(),
        deprecated: listed.about.deprecated,
        feature_flag: None,
        group_name: listed.about.group.clone(),
        schemas: Some(serde_json::json!({ listed.about.version.to_string(): schema })),
        contract: Some(contract.name().to_owned()),
        dropped: false,
    }
}

/// Brings the event types of all organizations up to the contracts their applications name: a new
/// version of the server, or a changed folder, may say something else than the last.
pub(crate) async fn follow_contracts(engine: &Engine) -> Result<()> {
    for (org, name) in engine.store().contracts_in_use().await? {
        let name = name.unwrap_or_else(|| engine.config().default_contract.clone());
        let Some(contract) = engine.contracts().contract(&name) else {
            continue;
        };
        let changes = following(engine, &org, contract).await?;
        if !changes.is_empty() {
            tracing::info!(%org, contract = name, changed = changes.len(), "event types follow their contract");
            engine.apply(changes).await?;
        }
    }
    Ok(())
}

/// Which event types a reader may see.
#[derive(Clone, Copy, Debug)]
pub enum Sight<'a> {
    All,
    /// Those without a feature flag, and those with one of these.
    Flags(&'a [String]),
}

impl Sight<'_> {
    fn sees(self, event_type: &EventTypeRecord) -> bool {
        match (self, &event_type.settings.feature_flag) {
            (Self::Flags(flags), Some(flag)) => flags.contains(flag),
            (Self::All, _) | (_, None) => true,
        }
    }
}

/// Creates an event type; an archived one of the same name is revived with the new content.
///
/// # Errors
///
/// [`Error::Exists`] if a live one has the name.
pub async fn create(
    engine: &Engine,
    org: &OrganizationId,
    name: EventType,
    input: EventTypeInput,
    repeatable: Option<Repeatable<'_, EventTypeRecord>>,
) -> Result<EventTypeRecord> {
    let made = EventTypePatch::from(input).applied_to(blank(name, engine), engine)?;
    let remember = repeatable.map(|r| r.remember(made.updated_at, &made));
    let create = Change::CreateEventType {
        org: org.clone(),
        event_type: made.clone(),
    };
    let deed = Deed::of(org, Action::EventTypeCreated, &made.name);
    let noted = deed.noted(engine, Seen::NOTHING, audit::event_type(&made));
    engine
        .apply(remember.into_iter().chain([create, noted]).collect())
        .await?;
    Ok(made)
}

/// By name.
///
/// What the reader may not see is read past, so that a page is full unless the list ends.
pub async fn list(
    engine: &Engine,
    org: &OrganizationId,
    sight: Sight<'_>,
    include_archived: bool,
    mut range: Range<EventType>,
) -> Result<Vec<EventTypeRecord>> {
    let wanted = range.limit;
    let mut seen = Vec::new();
    loop {
        let page = engine
            .store()
            .event_types(org, include_archived, range.clone())
            .await?;
        let full = page.len() >= range.limit;
        let last = page.last().map(|event_type| event_type.name.clone());
        seen.extend(page.into_iter().filter(|event_type| sight.sees(event_type)));
        seen.truncate(wanted);
        if !full || seen.len() == wanted {
            return Ok(seen);
        }
        match range.order {
            Order::Ascending => range.after = last,
            Order::Descending => range.before = last,
        }
    }
}

pub async fn find(
    engine: &Engine,
    org: &OrganizationId,
    sight: Sight<'_>,
    name: &EventType,
) -> Result<EventTypeRecord> {
    let found = engine.store().event_type(org, name).await?;
    found
        .filter(|event_type| sight.sees(event_type))
        .ok_or(Error::NotFound)
}

/// Replaces an event type, or creates it.
pub async fn put(
    engine: &Engine,
    org: &OrganizationId,
    name: EventType,
    input: EventTypeInput,
) -> Result<(EventTypeRecord, Put)> {
    let (old, how) = match engine.store().event_type(org, &name).await? {
        Some(old) => (old, Put::Updated),
        None => (blank(name, engine), Put::Created),
    };
    Ok((write(engine, org, old, input.into()).await?, how))
}

pub async fn patch(
    engine: &Engine,
    org: &OrganizationId,
    name: &EventType,
    patch: EventTypePatch,
) -> Result<EventTypeRecord> {
    let old = find(engine, org, Sight::All, name).await?;
    write(engine, org, old, patch).await
}

async fn write(
    engine: &Engine,
    org: &OrganizationId,
    old: EventTypeRecord,
    patch: EventTypePatch,
) -> Result<EventTypeRecord> {
    let before = audit::event_type(&old);
    let archived = old.archived;
    let new = patch.applied_to(old, engine)?;
    let action = if new.archived && !archived {
        Action::EventTypeArchived
    } else {
        Action::EventTypeUpdated
    };
    let deed = Deed::of(org, action, &new.name);
    let noted = deed.noted(engine, before, audit::event_type(&new));
    let put = Change::PutEventType {
        org: org.clone(),
        event_type: new.clone(),
    };
    engine.apply(vec![put, noted]).await?;
    Ok(new)
}

/// Takes an event type out of the catalog. It is still listed among the archived ones.
pub async fn archive(engine: &Engine, org: &OrganizationId, name: &EventType) -> Result<()> {
    let archived = EventTypePatch {
        archived: Edit::Set(true),
        ..EventTypePatch::default()
    };
    patch(engine, org, name, archived).await.map(drop)
}

/// Removes an event type for good.
pub async fn remove(engine: &Engine, org: &OrganizationId, name: &EventType) -> Result<()> {
    let before = find(engine, org, Sight::All, name).await?;
    let deed = Deed::of(org, Action::EventTypeDeleted, name);
    let noted = deed.noted(engine, audit::event_type(&before), Seen::NOTHING);
    let delete = Change::DeleteEventType {
        org: org.clone(),
        name: name.clone(),
    };
    Ok(engine.apply(vec![delete, noted]).await?)
}
