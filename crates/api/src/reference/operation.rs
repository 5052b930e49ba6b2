//! One operation of the document, on the page.

use maud::{Markup, html};
use serde_json::Value;

use super::prose;
use super::schema::{Field, fields, name_of, type_of};
use super::snippet;

/// An operation as the document describes it.
pub(super) struct Operation<'a> {
    /// As an anchor.
    pub(super) id: &'a str,
    pub(super) section: &'a str,
    pub(super) method: String,
    pub(super) path: &'a str,
    described: &'a Value,
}

impl<'a> Operation<'a> {
    /// All operations, by path.
    pub(super) fn all(document: &'a Value) -> Vec<Self> {
        let paths = document["paths"].as_object().into_iter().flatten();
        let of = |(path, item): (&'a String, &'a Value)| {
            let methods = item.as_object().into_iter().flatten();
            methods.map(move |(method, operation)| Self {
                id: operation["operationId"].as_str().unwrap_or_default(),
                section: operation["tags"][0].as_str().unwrap_or("Other"),
                method: method.to_ascii_uppercase(),
                path,
                described: operation,
            })
        };
        paths.flat_map(of).collect()
    }

    pub(super) fn summary(&self) -> &'a str {
        self.described["summary"].as_str().unwrap_or(self.id)
    }

    /// The summary up to where it goes into detail.
    pub(super) fn title(&self) -> &'a str {
        let summary = self.summary();
        let end = summary.find([';', ':', ',']);
        end.map_or(summary, |end| &summary[..end])
    }

    pub(super) fn render(&self, document: &Value) -> Markup {
        let deprecated = self.described["deprecated"] == Value::Bool(true);
        html! {
            article #(self.id) {
                h3 { a href={ "#" (self.id) } { (self.summary()) } }
                p.line {
                    span class={ "method " (self.method.to_ascii_lowercase()) } { (self.method) }
                    " " code { (self.path) }
                    @if deprecated { " " span.badge { "deprecated" } }
                }
                @if let Some(text) = self.described["description"].as_str() {
                    @for paragraph in text.split("\n\n") { p { (prose(paragraph)) } }
                }
                (self.access())
                (self.parameters())
                (self.body(document))
                (self.answers())
                (snippet::of(self, document))
            }
        }
    }

    fn access(&self) -> Markup {
        let scope = self.described[crate::openapi::REQUIRED_SCOPE].as_str();
        html! {
            p.access {
                @match scope {
                    Some(scope) => { "Needs the scope " code { (scope) } "." },
                    None => "Needs no credential.",
                }
            }
        }
    }

    /// The names of the path's parameters, in their order.
    pub(super) fn path_parameters(&self) -> Vec<&'a str> {
        let parts = self.path.split('{').skip(1);
        parts.filter_map(|rest| rest.split('}').next()).collect()
    }

    fn parameters(&self) -> Markup {
        let parameters = self.described["parameters"].as_array();
        let rows = parameters.into_iter().flatten().map(|parameter| {
            let required = parameter["required"] == Value::Bool(true);
            let text = |key: &str| parameter[key].as_str().unwrap_or_default();
            (
                text("name"),
                text("in"),
                required,
                &parameter["schema"],
                text("description"),
            )
        });
        let rows: Vec<_> = rows.collect();
        html! {
            @if !rows.is_empty() {
                h4 { "Parameters" }
                div.wide { table {
                    thead { tr { th { "name" } th { "in" } th { "type" } th { "about" } } }
                    tbody {
                        @for (name, place, required, schema, about) in &rows {
                            tr {
                                td { code { (name) } @if *required { " " (required_mark()) } }
                                td { (place) }
                                td { (type_of(schema)) }
                                td { (prose(about)) }
                            }
                        }
                    }
                } }
            }
        }
    }

    /// The body's schema, where it has one.
    pub(super) fn body_schema(&self) -> Option<&'a Value> {
        let body = &self.described["requestBody"]["content"]["application/json"]["schema"];
        (!body.is_null()).then_some(body)
    }

    fn body(&self, document: &Value) -> Markup {
        let Some(schema) = self.body_schema() else {
            return html! {};
        };
        let optional = self.described["requestBody"]["required"] != Value::Bool(true);
        html! {
            h4 {
                "Body"
                @if let Some(name) = name_of(schema) {
                    ": " a href={ "#schema-" (name) } { (name) }
                }
                @if optional { " (optional)" }
            }
            (table_of(&fields(document, schema)))
        }
    }

    fn answers(&self) -> Markup {
        let responses = self.described["responses"]
            .as_object()
            .into_iter()
            .flatten();
        let (good, bad): (Vec<_>, Vec<_>) =
            responses.partition(|(status, _)| status.starts_with('2'));
        let schema = |response: &'a Value| &response["content"]["application/json"]["schema"];
        html! {
            h4 { "Answers" }
            ul.answers {
                @for (status, response) in &good {
                    li {
                        code { (status) } " "
                        @if let Some(name) = name_of(schema(response)) {
                            a href={ "#schema-" (name) } { (name) } " "
                        }
                        (response["description"].as_str().unwrap_or_default())
                    }
                }
                @if !bad.is_empty() {
                    li {
                        "Refusals: "
                        @for (status, _) in &bad { code { (status) } " " }
                        "as " a href="#schema-HttpErrorOut" { "HttpErrorOut" } " or, for 422, "
                        a href="#schema-HTTPValidationError" { "HTTPValidationError" } "."
                    }
                }
            }
        }
    }
}

fn required_mark() -> Markup {
    html! { span.required { "required" } }
}

/// The fields of an object.
pub(super) fn table_of(fields: &[Field<'_>]) -> Markup {
    html! {
        @if !fields.is_empty() {
            div.wide { table {
                thead { tr { th { "field" } th { "type" } th { "about" } } }
                tbody {
                    @for field in fields {
                        tr {
                            td { code { (field.name) } @if field.required { " " (required_mark()) } }
                            td { (type_of(field.schema)) }
                            td { (prose(field.about())) }
                        }
                    }
                }
            } }
        }
    }
}
