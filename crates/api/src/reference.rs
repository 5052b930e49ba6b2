//! The reference page: the OpenAPI document for people, answered at `/docs`.
//!
//! It is rendered on the server from the same document that clients read, so the two can't differ.
//! It needs no script, no other host and no build step, and its content policy allows none.

mod operation;
mod schema;
mod snippet;

use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{DOCTYPE, Markup, html};
use serde_json::Value;

use self::operation::Operation;
use crate::openapi::document;
use crate::state::ApiState;

/// Where the page is.
pub(crate) const PATH: &str = "/docs";
const STYLE_PATH: &str = "/docs/reference.css";
const STYLE: &str = include_str!("reference/reference.css");

/// Nothing but our own style sheet is loaded, nothing is executed, nobody may frame the page.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// Sections in the order in which somebody needs them who begins. Others follow by name.
const SECTIONS: &[&str] = &[
    "Application",
    "Endpoint",
    "Event Type",
    "Message",
    "Message Attempt",
    "Background Task",
    "Operational Webhook Endpoint",
    "Notice",
    "Contract",
    "Authentication",
    "API Key",
];

/// The page and its style sheet.
pub(crate) fn routes() -> Router<ApiState> {
    let page = Arc::new(OnceLock::<Bytes>::new());
    let page = move || async move {
        let html = page.get_or_init(|| render().into()).clone();
        answer("text/html; charset=utf-8", html)
    };
    let style = || async {
        answer(
            "text/css; charset=utf-8",
            Bytes::from_static(STYLE.as_bytes()),
        )
    };
    Router::new()
        .route(PATH, get(page.clone()))
        .route("/docs/", get(page))
        .route(STYLE_PATH, get(style))
}

fn answer(kind: &'static str, body: Bytes) -> Response {
    let fixed = |name: HeaderName, value| (name, HeaderValue::from_static(value));
    let headers = [
        fixed(header::CONTENT_TYPE, kind),
        fixed(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY),
        fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        fixed(header::REFERRER_POLICY, "no-referrer"),
        fixed(header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, body).into_response()
}

/// The whole page.
fn render() -> String {
    let document: Value = serde_json::from_str(&document()).expect("our own document is JSON");
    let sections = sections(&document);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Watchfire API reference" }
                link rel="stylesheet" href=(STYLE_PATH);
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                (navigation(&sections))
                main #content {
                    (introduction(&document))
                    @for (name, operations) in &sections {
                        section {
                            h2 id=(anchor(name)) { (name) }
                            @for operation in operations { (operation.render(&document)) }
                        }
                    }
                    (schema::all(&document))
                }
            }
        }
    };
    page.into_string()
}

/// The operations by section, each section once.
fn sections(document: &Value) -> Vec<(String, Vec<Operation<'_>>)> {
    let mut sections: Vec<(String, Vec<Operation<'_>>)> = Vec::new();
    for operation in Operation::all(document) {
        match sections
            .iter_mut()
            .find(|(name, _)| *name == operation.section)
        {
            Some((_, operations)) => operations.push(operation),
            None => sections.push((operation.section.to_owned(), vec![operation])),
        }
    }
    let place = |name: &str| SECTIONS.iter().position(|known| *known == name);
    sections.sort_by_key(|(name, _)| (place(name).unwrap_or(SECTIONS.len()), name.clone()));
    sections
}

fn navigation(sections: &[(String, Vec<Operation<'_>>)]) -> Markup {
    html! {
        nav aria-label="Reference" {
            p.brand { "Watchfire " span { "API" } }
            ul {
                li { a href="#start" { "Start here" } }
                @for (name, operations) in sections {
                    li {
                        a href={ "#" (anchor(name)) } { (name) }
                        ul {
                            @for operation in operations {
                                li { a href={ "#" (operation.id) } { (operation.title()) } }
                            }
                        }
                    }
                }
                li { a href="#schemas" { "Schemas" } }
            }
        }
    }
}

/// What holds for all operations.
fn introduction(document: &Value) -> Markup {
    let version = document["info"]["version"].as_str().unwrap_or_default();
    html! {
        header #start {
            h1 { "Watchfire API reference" }
            p.version { "Version " (version) " · " a href="/api/v1/openapi.json" { "OpenAPI document" } }
            p {
                "The API is that of the Svix server, so Svix's SDKs are its clients. "
                "What is ours on top is optional."
            }
            p.warning role="note" {
                strong { "Always tell an SDK the server's URL." }
                " An SDK that is not told sends your key to its vendor's cloud. "
                "Every snippet on this page sets it."
            }
            (snippet::setup())
            h3 { "Conventions" }
            ul {
                li { "Send " code { "Authorization: Bearer " var { "token or API key" } } ". "
                     "Each operation names the scope an API key needs." }
                li { "Where a path takes an id, it takes your own " code { "uid" } " as well." }
                li { "Lists answer " code { "data" } ", " code { "iterator" } ", " code { "prevIterator" }
                     " and " code { "done" } "; pass an iterator back to go on, in either direction." }
                li { "A " code { "POST" } " with an " code { "idempotency-key" } " is done once, and "
                     "answered alike however often it is sent." }
                li { "Errors are " code { "{\"code\", \"detail\"}" } "; a request whose content is not "
                     "valid is answered 422 with one entry for each fault." }
                li { "Who is answered 429 or 503 comes back after " code { "Retry-After" } " seconds." }
            }
        }
    }
}

/// Text of the document, which marks code as Markdown does.
fn prose(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

/// A name as a fragment of a URL.
fn anchor(name: &str) -> String {
    name.to_ascii_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_within_the_page_leads_somewhere_and_no_anchor_is_there_twice() {
        let page = render();
        let values = |attribute: &str| -> Vec<String> {
            let parts = page.split(attribute).skip(1);
            parts
                .filter_map(|rest| rest.split('"').next())
                .map(ToOwned::to_owned)
                .collect()
        };
        let mut ids = values(" id=\"");
        ids.sort();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all, "an id is there twice");
        for link in values("href=\"#") {
            assert!(ids.contains(&link), "#{link} leads nowhere");
        }
    }

    #[test]
    fn every_operation_and_every_schema_is_on_the_page() {
        let page = render();
        let document: Value = serde_json::from_str(&document()).expect("JSON");
        let operations = Operation::all(&document);
        assert!(operations.len() > 70);
        for operation in operations {
            assert!(
                page.contains(&format!("id=\"{}\"", operation.id)),
                "{}",
                operation.id
            );
        }
        for name in document["components"]["schemas"]
            .as_object()
            .expect("schemas")
            .keys()
        {
            assert!(page.contains(&format!("id=\"schema-{name}\"")), "{name}");
        }
    }

    #[test]
    fn the_page_executes_nothing_and_asks_no_other_host() {
        let page = render();
        for forbidden in [
            "<script",
            "<style",
            " style=\"",
            "onclick",
            "src=\"",
            "href=\"http",
        ] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        for forbidden in ["@import", "url("] {
            assert!(!STYLE.contains(forbidden), "{forbidden}");
        }
    }
}
