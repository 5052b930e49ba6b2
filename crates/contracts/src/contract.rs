//! One product's webhooks: a checked folder.

use std::collections::BTreeMap;

use toml::Table;

use crate::error::LoadError;
use crate::manifest::{self, Manifest, Unlisted};

mod load;

/// How one product's webhooks look and behave. Made by [`Contract::load`] only, so that what it
/// says is consistent.
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
    pub schema: serde_json::Value,
    /// An example payload, as it stands in its file.
    pub sample: String,
}

impl Contract {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
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

    /// This contract with some of its keys replaced: tables are merged, everything else is taken
    /// over. `file` is named in errors.
    ///
    /// # Errors
    ///
    /// Names the key that is unknown or wrong.
    pub fn with_overrides(&self, file: &str, overrides: &Table) -> Result<Self, LoadError> {
        let mut table = self.table.clone();
        load::merge(&mut table, overrides);
        let manifest = load::read_manifest(file, &table)?;
        let mut contract = Self {
            name: self.name.clone(),
            manifest,
            table,
            events: self.events.clone(),
        };
        for event in contract.events.values_mut() {
            if let Some(about) = contract.manifest.events.get(&event.name) {
                event.about = about.clone();
            }
        }
        Ok(contract)
    }
}
