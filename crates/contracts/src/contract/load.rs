//! From the files of a folder to a [`Contract`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;
use toml::{Table, Value};
use watchfire_domain::id;

use super::{Contract, EventType};
use crate::error::LoadError;
use crate::header::{is_reserved, parse_name};
use crate::manifest::{self, Manifest};
use crate::source::Source;
use crate::text::Placeholder;

const MANIFEST: &str = "contract.toml";
/// A contract's name stands in URLs, in the configuration and on pages.
const NAME_CHARS_MAX: usize = 64;

impl Contract {
    /// Loads the contract `name` from the files of its folder, whose paths are relative to it.
    pub(crate) fn load(name: &str, files: &BTreeMap<&str, &Source>) -> Result<Self, LoadError> {
        check_name(name)?;
        let missing = || LoadError::NoManifest {
            name: name.to_owned(),
        };
        let source = files.get(MANIFEST).ok_or_else(missing)?;
        let table: Table = source.text.parse().map_err(|error| LoadError::Syntax {
            file: source.path.to_string(),
            problem: syntax_problem(&source.text, &error),
        })?;
        let manifest = read_manifest(&source.path, &table)?;
        let mut folder = Folder {
            name,
            files,
            used: BTreeSet::from([MANIFEST]),
        };
        let mut events = BTreeMap::new();
        for (event, about) in &manifest.events {
            events.insert(event.clone(), folder.event_type(event, about)?);
        }
        folder.refuse_unused()?;
        Ok(Self {
            name: name.to_owned(),
            manifest,
            table,
            events,
        })
    }
}

fn check_name(name: &str) -> Result<(), LoadError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !name.is_empty() && name.len() <= NAME_CHARS_MAX && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(LoadError::Name {
            name: name.to_owned(),
        })
    }
}

impl Contract {
    /// Compiles every schema and holds every sample against its own.
    pub(crate) fn check(&self) -> Result<(), LoadError> {
        for event in self.event_types() {
            let file = || format!("{}/{MANIFEST}", self.name);
            let key = |key| format!("events.{:?}.{key}", event.name);
            if let Err(error) = event.compiled() {
                return Err(fault(&file(), &key("schema"), error.to_string()));
            }
            let sample: serde_json::Value = serde_json::from_str(&event.sample).unwrap_or_default();
            if let Some(first) = self.validate(&event.name, &sample).first() {
                return Err(fault(&file(), &key("sample"), first.to_string()));
            }
        }
        if !self.ping_has_its_place() {
            let file = format!("{}/{MANIFEST}", self.name);
            return Err(fault(&file, OWNER_PLACE, NO_OWNER_PLACE));
        }
        for variant in &self.manifest.variants {
            self.with_overrides(&format!("{}/{MANIFEST}", self.name), &variant.overrides)?;
        }
        Ok(())
    }
}

const OWNER_PLACE: &str = "ping.owner.pointer";
const NO_OWNER_PLACE: &str = "the sample of the ping has no such member";

/// The files of a folder, and which of them the manifest named.
struct Folder<'a> {
    name: &'a str,
    files: &'a BTreeMap<&'a str, &'a Source>,
    used: BTreeSet<&'a str>,
}

impl<'a> Folder<'a> {
    fn event_type(&mut self, event: &str, about: &manifest::Event) -> Result<EventType, LoadError> {
        let schema = self.text(event, "schema", about.schema.as_deref())?;
        let sample = self.text(event, "sample", about.sample.as_deref())?;
        Ok(EventType {
            name: event.to_owned(),
            about: about.clone(),
            schema: narrowed(parse_json(schema)?, about),
            sample: parse_json(sample).map(|_| sample.text.trim().to_owned())?,
            compiled: Arc::default(),
        })
    }

    /// The file that `events.EVENT.KEY` names, or the default one.
    fn text(
        &mut self,
        event: &str,
        key: &str,
        named: Option<&str>,
    ) -> Result<&'a Source, LoadError> {
        let default = format!("{key}s/{event}.json");
        let wanted = named.unwrap_or(&default);
        let Some((path, source)) = self.files.get_key_value(wanted) else {
            return Err(LoadError::NoFile {
                file: format!("{}/{MANIFEST}", self.name),
                key: format!("events.{event:?}.{key}"),
                wanted: format!("{}/{wanted}", self.name),
            });
        };
        self.used.insert(path);
        Ok(source)
    }

    /// A file nobody names is a typing mistake or a leftover.
    fn refuse_unused(&self) -> Result<(), LoadError> {
        let unused = self.files.iter().find(|(path, _)| {
            let is_data = path.starts_with("schemas/") || path.starts_with("samples/");
            is_data && !self.used.contains(*path)
        });
        match unused {
            Some((_, source)) => Err(LoadError::Unused {
                file: source.path.to_string(),
            }),
            None => Ok(()),
        }
    }
}

/// A schema that several event types share, narrowed to one: members with a fixed text, and
/// members that must be there.
fn narrowed(mut schema: serde_json::Value, about: &manifest::Event) -> serde_json::Value {
    let Some(keywords) = schema.as_object_mut() else {
        return schema;
    };
    if !about.constants.is_empty() {
        let properties = keywords.entry("properties").or_insert_with(|| json!({}));
        let constants = about.constants.iter();
        let constants = constants.map(|(member, text)| (member.clone(), json!({ "const": text })));
        if let Some(properties) = properties.as_object_mut() {
            properties.extend(constants);
        }
    }
    let required = about.constants.keys().chain(&about.required);
    let known = keywords.entry("required").or_insert_with(|| json!([]));
    if let Some(known) = known.as_array_mut() {
        for member in required {
            if !known.iter().any(|name| name == member) {
                known.push(json!(member));
            }
        }
    }
    schema
}

fn parse_json(source: &Source) -> Result<serde_json::Value, LoadError> {
    serde_json::from_str(&source.text).map_err(|error| LoadError::Json {
        file: source.path.to_string(),
        problem: error.to_string(),
    })
}

/// What of a contract an override can say; the rest is what makes it this contract.
const OVERRIDABLE: &[&str] = &[
    "delivery", "endpoint", "health", "instance", "messages", "notify", "ping", "request",
];

/// A contract whose keys are being overridden by a file.
pub(super) struct Overridden<'a> {
    pub(super) contract: &'a Contract,
    pub(super) file: &'a str,
}

impl Overridden<'_> {
    pub(super) fn read(&self, overrides: &Table) -> Result<(Manifest, Table), LoadError> {
        let mut overrides = overrides.clone();
        let mut table = self.contract.table.clone();
        if let Some(variant) = overrides.remove("variant") {
            merge(&mut table, self.variant(&variant)?);
        }
        if let Some(key) = overrides
            .keys()
            .find(|key| !OVERRIDABLE.contains(&key.as_str()))
        {
            let known = OVERRIDABLE.join(", ");
            return Err(self.fault(
                key,
                format!("can't be overridden; known are variant, {known}"),
            ));
        }
        merge(&mut table, &overrides);
        match read_manifest(self.file, &table) {
            Ok(manifest) => Ok((manifest, table)),
            Err(LoadError::Key { key, problem, .. }) => Err(self.fault(&key, problem)),
            Err(other) => Err(other),
        }
    }

    /// What can be said only of the whole.
    pub(super) fn check(&self, contract: &Contract) -> Result<(), LoadError> {
        if contract.ping_has_its_place() {
            Ok(())
        } else {
            Err(self.fault(OWNER_PLACE, NO_OWNER_PLACE))
        }
    }

    fn variant(&self, wanted: &Value) -> Result<&Table, LoadError> {
        let variants = &self.contract.manifest.variants;
        let found = variants
            .iter()
            .find(|known| wanted.as_str() == Some(&known.name));
        found.map(|variant| &variant.overrides).ok_or_else(|| {
            let names: Vec<_> = variants.iter().map(|known| known.name.as_str()).collect();
            self.fault("variant", format!("must be one of {}", names.join(", ")))
        })
    }

    fn fault(&self, key: &str, problem: impl Into<String>) -> LoadError {
        fault(
            self.file,
            &format!("contracts.{}.{key}", self.contract.name),
            problem,
        )
    }
}

/// Lays `over` on `table`: tables are merged, everything else is replaced.
fn merge(table: &mut Table, over: &Table) {
    for (key, value) in over {
        match (table.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            _ => {
                table.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Reads and checks what `contract.toml`, or an override of it, says.
fn read_manifest(file: &str, table: &Table) -> Result<Manifest, LoadError> {
    let mut manifest: Manifest =
        serde_path_to_error::deserialize(table.clone()).map_err(|error| {
            let key = error.path().to_string();
            fault(file, &key, error.inner().message())
        })?;
    spread_retries(file, &mut manifest)?;
    check_headers(file, &manifest)?;
    check_body(file, &manifest)?;
    check_instance(file, &manifest)?;
    check_events(file, &manifest)?;
    Ok(manifest)
}

fn fault(file: &str, key: &str, problem: impl Into<String>) -> LoadError {
    LoadError::Key {
        file: file.to_owned(),
        key: key.to_owned(),
        problem: problem.into(),
    }
}

fn syntax_problem(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.unwrap_or_default().matches('\n').count() + 1;
    format!("line {line}: {}", error.message())
}

/// Gives the schedule its share of chance, which stands beside it in the file.
fn spread_retries(file: &str, manifest: &mut Manifest) -> Result<(), LoadError> {
    let delivery = &mut manifest.delivery;
    if delivery.jitter_permille > 1_000 {
        let problem = "must be 0 to 1000 thousandths";
        return Err(fault(file, "delivery.jitter_permille", problem));
    }
    let schedule = delivery.retry.clone();
    delivery.retry = schedule.with_jitter_permille(delivery.jitter_permille);
    Ok(())
}

/// Headers a contract sets in other keys, or that the signature owns.
fn check_headers(file: &str, manifest: &Manifest) -> Result<(), LoadError> {
    for (at, header) in manifest.request.headers.iter().enumerate() {
        let key = format!("request.headers[{at}]");
        let name = parse_name(&header.name)
            .map_err(|error| fault(file, &format!("{key}.name"), error.to_string()))?;
        if is_reserved(name.as_str()) {
            let problem = format!("{name:?} is set by the server or by another key of [request]");
            return Err(fault(file, &format!("{key}.name"), problem));
        }
        if header.value.is_payload() {
            let problem = "a header can't hold the payload";
            return Err(fault(file, &format!("{key}.value"), problem));
        }
    }
    Ok(())
}

fn check_body(file: &str, manifest: &Manifest) -> Result<(), LoadError> {
    let manifest::Body::Object(members) = &manifest.request.body else {
        return Ok(());
    };
    let payloads = members.iter().filter(|member| member.value.is_payload());
    match payloads.count() {
        1 => Ok(()),
        _ => Err(fault(
            file,
            "request.body",
            "exactly one member must have the value {payload}",
        )),
    }
}

/// A contract that sends what the instance says needs a value to send where nobody says one.
fn check_instance(file: &str, manifest: &Manifest) -> Result<(), LoadError> {
    let members = match &manifest.request.body {
        manifest::Body::Payload(_) => &[],
        manifest::Body::Object(members) => members.as_slice(),
    };
    let texts = || {
        let headers = manifest.request.headers.iter().map(|header| &header.value);
        let members = members.iter().map(|member| &member.value);
        headers.chain(members).chain(&manifest.request.user_agent)
    };
    let needs = |placeholder: &Placeholder| texts().any(|text| text.uses(placeholder));
    let instance = &manifest.instance;
    if needs(&Placeholder::InstanceUrl) && instance.instance_url.is_none() {
        let problem = "[request] uses {instance_url}, so a value for it is needed here";
        return Err(fault(file, "instance.instance_url", problem));
    }
    if needs(&Placeholder::ProductVersion) && instance.product_version.is_none() {
        let problem = "[request] uses {product_version}, so a value for it is needed here";
        return Err(fault(file, "instance.product_version", problem));
    }
    Ok(())
}

fn check_events(file: &str, manifest: &Manifest) -> Result<(), LoadError> {
    for name in manifest.events.keys() {
        if let Err(error) = name.parse::<id::EventType>() {
            return Err(fault(file, &format!("events.{name:?}"), error.to_string()));
        }
    }
    match &manifest.ping {
        Some(ping) if !manifest.events.contains_key(&ping.event_type) => Err(fault(
            file,
            "ping.event_type",
            format!("{:?} is not one of [events]", ping.event_type),
        )),
        _ => Ok(()),
    }
}
