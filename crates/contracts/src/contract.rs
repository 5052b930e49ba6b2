//! One product's webhooks: a checked folder.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::Value;
use toml::Table;

use crate::error::LoadError;
use crate::manifest::{self, Manifest, Unlisted};
use crate::schema::{Fault, FaultKind, InvalidSchema, Schema};

mod load;

/// How one product's webhooks look and behave. Made by a [`Catalog`](crate::Catalog) only, which
/// checks that what it says is consistent.
#[derive(Clone, Debug)]
pub struct Contract {
    name: String,
    manifest: Manifest,
    /// What `manifest` was read from, so that overrides can be laid over it.
    table: Table,
    events: BTreeMap<String, EventType>,
}

/// An event type of a contract.
#[derive(Clone, Debug)]
pub struct EventType {
    pub name: String,
    pub about: manifest::Event,
    /// Self-contained, narrowed to this event type.
    pub schema: Value,
    /// An example payload, as it stands in its file.
    pub sample: String,
    compiled: Arc<OnceLock<Result<Schema, InvalidSchema>>>,
}

impl Contract {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// A table of `contract.toml` as it is written, for people; keys that are absent have their
    /// documented defaults.
    pub fn section(&self, name: &str) -> Value {
        let section = self.table.get(name);
        let json = section.and_then(|section| serde_json::to_value(section).ok());
        json.unwrap_or_else(|| Value::Object(serde_json::Map::new()))
    }

    /// The listed event types, by name.
    pub fn event_types(&self) -> impl Iterator<Item = &EventType> {
        self.events.values()
    }

    pub fn event_type(&self, name: &str) -> Option<&EventType> {
        self.events.get(name)
    }

    /// Whether a message of that event type may be posted.
    pub fn accepts(&self, event_type: &str) -> bool {
        self.manifest.messages.unlisted == Unlisted::Accept || self.events.contains_key(event_type)
    }

    /// What a payload has wrong by its event type's schema. Event types without one accept
    /// anything.
    pub fn validate(&self, event_type: &str, payload: &Value) -> Vec<Fault> {
        match self.event_type(event_type) {
            // A schema that does not compile is refused when the contract is loaded.
            Some(event) => {
                let faults = event.compiled().map(|schema| schema.validate(payload));
                let mut faults = faults.unwrap_or_default();
                for fault in &mut faults {
                    if self.is_new_constant(event, fault, payload) {
                        fault.kind = FaultKind::UnknownValue;
                    }
                }
                faults
            }
            None if self.accepts(event_type) => Vec::new(),
            None => vec![Fault {
                path: String::new(),
                message: format!("{event_type} is not an event type of {}", self.name),
                kind: FaultKind::UnknownEventType,
            }],
        }
    }

    /// Whether a member that tells this event type from others has a text that none of them has:
    /// then the product has added a value, and it was not posted as the wrong event type.
    fn is_new_constant(&self, event: &EventType, fault: &Fault, payload: &Value) -> bool {
        let member = fault.path.strip_prefix('/').unwrap_or_default();
        let Some(text) = payload.get(member).and_then(Value::as_str) else {
            return false;
        };
        let is_taken = |other: &EventType| {
            let constant = other.about.constants.get(member);
            constant.is_some_and(|constant| constant == text)
        };
        event.about.constants.contains_key(member) && !self.event_types().any(is_taken)
    }

    /// This contract with some of its keys replaced, as `[contracts.<name>]` of the configuration
    /// file does: tables are merged, everything else is taken over. The key `variant` lays the
    /// overrides of a known variant below the others. `file` is named in errors.
    ///
    /// # Errors
    ///
    /// Names the key that is unknown or wrong.
    pub fn with_overrides(&self, file: &str, overrides: &Table) -> Result<Self, LoadError> {
        let overridden = load::Overridden {
            contract: self,
            file,
        };
        let (manifest, table) = overridden.read(overrides)?;
        let contract = Self {
            name: self.name.clone(),
            manifest,
            table,
            events: self.events.clone(),
        };
        overridden.check(&contract)?;
        Ok(contract)
    }
}

impl EventType {
    /// Compiled at the first use: a server uses few of the event types it knows.
    fn compiled(&self) -> Result<&Schema, &InvalidSchema> {
        self.compiled
            .get_or_init(|| Schema::compile(&self.schema))
            .as_ref()
    }
}
