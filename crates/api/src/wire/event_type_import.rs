//! Event types in an OpenAPI document: one for each webhook that it describes.
//!
//! A document's schemas refer to each other. Each event type takes along what its schema refers to,
//! under `$defs`, so that it can be read by itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use watchfire_contracts::yaml;
use watchfire_domain::id::EventType;
use watchfire_domain::limit;
use watchfire_engine::service::event_types::{EventTypeInput, Import, Imported};
use watchfire_store::EventTypeRecord;

use crate::error::{ApiError, ApiResult, Code};

/// An OpenAPI document with `webhooks` or `x-webhooks`: as `spec`, or as `specRaw`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventTypeImportOpenApiIn {
    /// The document as JSON.
    #[schema(value_type = Option<Object>)]
    spec: Option<Map<String, Value>>,
    /// The document as a text: YAML (without aliases) or JSON.
    spec_raw: Option<String>,
    /// Change nothing; answer what would be changed.
    #[serde(default)]
    pub(crate) dry_run: bool,
    /// Archive the event types that are not in the document.
    #[serde(default)]
    replace_all: bool,
}

impl EventTypeImportOpenApiIn {
    pub(crate) fn into_import(self) -> ApiResult<Import> {
        let (field, document) = match (self.spec, self.spec_raw) {
            (Some(spec), None) => ("spec", spec),
            (None, Some(text)) => ("specRaw", read(&text)?),
            (None, None) | (Some(_), Some(_)) => {
                return Err(ApiError::new(
                    Code::Generic,
                    "Send the document as `spec` or as `specRaw`, and not as both",
                ));
            }
        };
        let event_types =
            event_types_of(&document).map_err(|reason| ApiError::body(field, reason))?;
        Ok(Import {
            event_types,
            replaces_all: self.replace_all,
            only_asks: self.dry_run,
        })
    }
}

/// JSON is a part of YAML, but its own reader is stricter and faster.
fn read(text: &str) -> ApiResult<Map<String, Value>> {
    let fault = |reason: String| ApiError::body("specRaw", reason);
    let read = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| fault(error.to_string()))?
    } else {
        let root = yaml::read(text).map_err(|error| fault(error.to_string()))?;
        let read = root.map(yaml::Node::into_json).transpose();
        read.map_err(|error| fault(error.to_string()))?
            .unwrap_or(Value::Null)
    };
    match read {
        Value::Object(members) => Ok(members),
        _ => Err(fault("must hold an OpenAPI document".to_owned())),
    }
}

type Result<T> = std::result::Result<T, String>;

fn event_types_of(document: &Map<String, Value>) -> Result<BTreeMap<EventType, EventTypeInput>> {
    let listed = document.get("webhooks").or(document.get("x-webhooks"));
    let Some(webhooks) = listed.and_then(Value::as_object) else {
        return Err("has neither `webhooks` nor `x-webhooks`".to_owned());
    };
    let source = Source(document);
    let (mut all, mut bytes) = (BTreeMap::new(), 0);
    for (name, item) in webhooks {
        let event_type: EventType = name
            .parse()
            .map_err(|reason| format!("webhook {name:?}: {reason}"))?;
        let input = source.event_type(item);
        let input = input.map_err(|reason| format!("webhook {name:?}: {reason}"))?;
        bytes += input
            .schemas
            .as_ref()
            .map_or(0, |all| all.to_string().len());
        if bytes > limit::IMPORT_BYTES_MAX {
            let max = limit::IMPORT_BYTES_MAX;
            return Err(format!(
                "its schemas, each with what it refers to, have more than {max} bytes"
            ));
        }
        all.insert(event_type, input);
    }
    Ok(all)
}

/// The document that references are looked up in.
struct Source<'d>(&'d Map<String, Value>);

impl<'d> Source<'d> {
    fn event_type(&self, item: &'d Value) -> Result<EventTypeInput> {
        let item = self.followed(item)?;
        let methods = ["post", "put", "patch", "get", "delete"];
        let operation = methods.iter().find_map(|method| item.get(*method));
        let operation = operation.ok_or("has no operation such as `post`")?;
        let text = |name| operation.get(name).and_then(Value::as_str);
        let description = text("description").or(text("summary"));
        Ok(EventTypeInput {
            description: description.unwrap_or_default().to_owned(),
            archived: false,
            deprecated: operation.get("deprecated") == Some(&Value::Bool(true)),
            feature_flag: feature_flag(operation)?,
            group_name: text("x-svix-group-name").map(ToOwned::to_owned),
            schemas: self.schema(operation)?.map(|schema| json!({ "1": schema })),
        })
    }

    /// The schema of the body, if it has one in JSON.
    fn schema(&self, operation: &'d Value) -> Result<Option<Value>> {
        let Some(body) = operation.get("requestBody") else {
            return Ok(None);
        };
        let content = self.followed(body)?.get("content");
        let Some(content) = content.and_then(Value::as_object) else {
            return Ok(None);
        };
        let is_json = |(name, _): &(&String, &Value)| {
            let name = name.split(';').next().unwrap_or_default();
            name == "application/json" || name.ends_with("+json")
        };
        let schema = content.iter().find(is_json);
        match schema.and_then(|(_, media)| media.get("schema")) {
            Some(schema) => self.by_itself(schema).map(Some),
            None => Ok(None),
        }
    }

    /// What a reference stands for, or what is no reference itself.
    fn followed(&self, mut value: &'d Value) -> Result<&'d Value> {
        for _ in 0..REFERENCES_MAX {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
                return Ok(value);
            };
            value = self.at(reference)?;
        }
        Err("refers to itself".to_owned())
    }

    fn at(&self, reference: &str) -> Result<&'d Value> {
        let way = reference.strip_prefix("#/");
        let way = way.ok_or_else(|| format!("{reference:?} is not within the document"))?;
        let mut steps = way
            .split('/')
            .map(|step| step.replace("~1", "/").replace("~0", "~"));
        let first = steps.next().and_then(|step| self.0.get(&step));
        let found = steps.fold(first, |found, step| found?.get(&step));
        found.ok_or_else(|| format!("{reference:?} is not in the document"))
    }

    /// A schema with all that it refers to.
    fn by_itself(&self, schema: &'d Value) -> Result<Value> {
        let mut whole = schema.clone();
        let mut wanted = BTreeSet::new();
        point_inward(&mut whole, &mut wanted)?;
        let mut parts = Map::new();
        while let Some(name) = wanted.pop_first() {
            if parts.contains_key(&name) {
                continue;
            }
            let place = format!("#/components/schemas/{}", name.replace('~', "~0"));
            let mut part = self.at(&place)?.clone();
            point_inward(&mut part, &mut wanted)?;
            parts.insert(name, part);
        }
        if parts.is_empty() {
            return Ok(whole);
        }
        match whole.as_object_mut() {
            Some(members) if !members.contains_key("$defs") => {
                members.insert("$defs".to_owned(), Value::Object(parts));
                Ok(whole)
            }
            _ => Ok(json!({ "allOf": [whole], "$defs": parts })),
        }
    }
}

/// References from one part of a document to the next, before there is a schema.
const REFERENCES_MAX: usize = 8;
const SCHEMAS: &str = "#/components/schemas/";

/// Turns references to the document's schemas into ones to `$defs`, and notes their names.
fn point_inward(schema: &mut Value, names: &mut BTreeSet<String>) -> Result<()> {
    match schema {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(reference) if name == "$ref" => {
                        *reference = inward(reference, names)?;
                    }
                    _ => point_inward(value, names)?,
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                point_inward(item, names)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    Ok(())
}

fn inward(reference: &str, names: &mut BTreeSet<String>) -> Result<String> {
    let Some(way) = reference.strip_prefix(SCHEMAS) else {
        return Err(format!("{reference:?} is not one of `{SCHEMAS}`"));
    };
    let name = way.split('/').next().unwrap_or_default();
    names.insert(name.replace("~1", "/").replace("~0", "~"));
    Ok(format!("#/$defs/{way}"))
}

/// `x-svix-feature-flag`, or the one of `x-svix-feature-flags`.
fn feature_flag(operation: &Value) -> Result<Option<String>> {
    let one = operation.get("x-svix-feature-flag").and_then(Value::as_str);
    let list = operation.get("x-svix-feature-flags");
    let list = list
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    if list.len() > 1 {
        return Err("an event type may have one feature flag".to_owned());
    }
    let listed = list.first().and_then(Value::as_str);
    Ok(one.or(listed).map(ToOwned::to_owned))
}

/// What an import changes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventTypeImportOpenApiOut {
    data: EventTypeImportOpenApiOutData,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventTypeImportOpenApiOutData {
    /// The names of those that were changed; none of a dry run.
    #[schema(value_type = Vec<String>)]
    modified: Vec<EventType>,
    /// What a dry run would write.
    #[serde(skip_serializing_if = "Option::is_none")]
    to_modify: Option<Vec<EventTypeFromOpenApi>>,
    /// What a dry run would archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    to_archive: Option<Vec<EventType>>,
}

/// An event type as the document describes it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EventTypeFromOpenApi {
    #[schema(value_type = String)]
    name: EventType,
    description: String,
    deprecated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    feature_flags: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    schemas: Option<Value>,
}

impl From<EventTypeRecord> for EventTypeFromOpenApi {
    fn from(event_type: EventTypeRecord) -> Self {
        let settings = event_type.settings;
        Self {
            name: event_type.name,
            description: settings.description,
            deprecated: settings.deprecated,
            feature_flags: settings.feature_flag.map(|flag| vec![flag]),
            group_name: settings.group_name,
            schemas: settings.schemas,
        }
    }
}

impl EventTypeImportOpenApiOut {
    pub(crate) fn asked(imported: Imported) -> Self {
        let written = imported.written.into_iter();
        let data = EventTypeImportOpenApiOutData {
            modified: Vec::new(),
            to_modify: Some(written.map(EventTypeFromOpenApi::from).collect()),
            to_archive: Some(imported.archived),
        };
        Self { data }
    }

    pub(crate) fn done(imported: &Imported) -> Self {
        let written = imported.written.iter().map(|written| &written.name);
        let data = EventTypeImportOpenApiOutData {
            modified: written.chain(&imported.archived).cloned().collect(),
            to_modify: None,
            to_archive: None,
        };
        Self { data }
    }
}

#[cfg(test)]
mod tests;
