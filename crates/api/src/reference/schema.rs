//! Schemas of the document: their types, their fields, and an example of each.

use maud::{Markup, html};
use serde_json::{Map, Value, json};

use super::operation::table_of;
use super::prose;

/// How deep an example goes.
const EXAMPLE_DEPTH_MAX: usize = 4;

/// A field of an object.
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) required: bool,
    pub(super) schema: &'a Value,
}

impl<'a> Field<'a> {
    pub(super) fn about(&self) -> &'a str {
        self.schema["description"].as_str().unwrap_or_default()
    }
}

/// All schemas, by name.
pub(super) fn all(document: &Value) -> Markup {
    let schemas = document["components"]["schemas"]
        .as_object()
        .into_iter()
        .flatten();
    html! {
        section {
            h2 #schemas { "Schemas" }
            @for (name, schema) in schemas {
                article id={ "schema-" (name) } {
                    h3 { a href={ "#schema-" (name) } { (name) } }
                    @if let Some(about) = schema["description"].as_str() { p { (prose(about)) } }
                    @let fields = fields(document, schema);
                    @if fields.is_empty() { p { (type_of(schema)) } }
                    (table_of(&fields))
                }
            }
        }
    }
}

/// The name of a schema that is referred to, also where it may be null.
pub(super) fn name_of(schema: &Value) -> Option<&str> {
    if let Some(path) = schema["$ref"].as_str() {
        return path.rsplit('/').next();
    }
    schema["oneOf"].as_array()?.iter().find_map(name_of)
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match name_of(schema) {
        Some(name) => &document["components"]["schemas"][name],
        None => schema,
    }
}

/// The fields of an object, those of its parts included; required ones first.
pub(super) fn fields<'a>(document: &'a Value, schema: &'a Value) -> Vec<Field<'a>> {
    let schema = resolved(document, schema);
    let mut found: Vec<Field<'a>> = Vec::new();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        found.extend(fields(document, part));
    }
    let required = schema["required"].as_array();
    let is_required = |name: &str| {
        let mut names = required.into_iter().flatten();
        names.any(|required| required.as_str() == Some(name))
    };
    let own = schema["properties"].as_object().into_iter().flatten();
    found.extend(own.map(|(name, schema)| Field {
        name,
        required: is_required(name),
        schema,
    }));
    found.sort_by_key(|field| !field.required);
    found
}

/// What a value of a schema is, in words.
pub(super) fn type_of(schema: &Value) -> Markup {
    if let Some(name) = name_of(schema) {
        let nullable = schema["oneOf"].is_array();
        return html! {
            a href={ "#schema-" (name) } { (name) } @if nullable { " or null" }
        };
    }
    if let Some(options) = schema["oneOf"].as_array() {
        return html! {
            @for (index, option) in options.iter().enumerate() {
                @if index > 0 { " or " } (type_of(option))
            }
        };
    }
    let names = types(schema);
    html! {
        @for (index, name) in names.iter().enumerate() {
            @if index > 0 { " or " }
            @match *name {
                "array" => { "list of " (type_of(&schema["items"])) },
                "object" => (object(schema)),
                name => (name),
            }
        }
        (values(schema))
        (bounds(schema))
    }
}

fn types(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(name) => vec![name.as_str()],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => vec!["any value"],
    }
}

fn object(schema: &Value) -> Markup {
    let values = &schema["additionalProperties"];
    html! {
        @if values.is_object() { "map of text to " (type_of(values)) } @else { "object" }
    }
}

fn values(schema: &Value) -> Markup {
    let values = schema["enum"].as_array().into_iter().flatten();
    html! {
        @for (index, value) in values.enumerate() {
            @if index == 0 { ": " } @else { ", " }
            code { (value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)) }
        }
    }
}

/// What narrows the type down.
fn bounds(schema: &Value) -> Markup {
    const BOUNDS: &[(&str, &str)] = &[
        ("format", "format"),
        ("pattern", "pattern"),
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("minLength", "characters, at least"),
        ("maxLength", "characters, at most"),
        ("maxItems", "items, at most"),
        ("multipleOf", "multiple of"),
    ];
    // Sizes of numbers in memory are not for people.
    let shown = |value: &Value| !matches!(value.as_str(), Some("int32" | "int64"));
    let found = BOUNDS
        .iter()
        .filter(|(key, _)| !schema[*key].is_null() && shown(&schema[*key]));
    html! {
        @for (key, name) in found {
            span.bound {
                (name) " "
                code { (schema[*key].as_str().map_or_else(|| schema[*key].to_string(), ToOwned::to_owned)) }
            }
        }
    }
}

/// A body with the fields that are required, and a word or two where none is.
pub(super) fn example(document: &Value, schema: &Value) -> Value {
    let all = fields(document, schema);
    let chosen = all.iter().filter(|field| field.required);
    let body: Map<String, Value> = chosen
        .map(|field| {
            (
                field.name.to_owned(),
                value_of(document, field.name, field.schema, 0),
            )
        })
        .collect();
    Value::Object(body)
}

/// Values that say more than their type does.
fn known_value(name: &str) -> Option<Value> {
    Some(match name {
        "url" => json!("https://example.com/hooks"),
        "eventType" => json!("threat.created"),
        "payload" => json!({"id": "thr_8121", "risk": "high"}),
        "headers" => json!({"X-Team": "soc"}),
        "scopes" => json!(["events:write"]),
        "name" => json!("Acme"),
        "description" => json!("A threat was found"),
        _ => return None,
    })
}

fn value_of(document: &Value, name: &str, schema: &Value, depth: usize) -> Value {
    let target = resolved(document, schema);
    if !target["example"].is_null() {
        return target["example"].clone();
    }
    if let Some(value) = known_value(name) {
        return value;
    }
    match types(target).first().copied() {
        Some("array") if depth < EXAMPLE_DEPTH_MAX => {
            json!([value_of(document, name, &target["items"], depth + 1)])
        }
        Some("object") if depth < EXAMPLE_DEPTH_MAX => {
            let all = fields(document, target);
            let required = all.iter().filter(|field| field.required);
            let members = required.map(|field| {
                let value = value_of(document, field.name, field.schema, depth + 1);
                (field.name.to_owned(), value)
            });
            Value::Object(members.collect())
        }
        Some("integer" | "number") => target["minimum"].as_i64().unwrap_or(1).into(),
        Some("boolean") => Value::Bool(true),
        Some("string") => text_of(target),
        Some(_) | None => json!({}),
    }
}

fn text_of(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match schema["format"].as_str() {
        Some("date-time") => json!("2026-01-31T09:00:00Z"),
        Some("uri") => json!("https://example.com/hooks"),
        _ => json!("example"),
    }
}
