//! How an operation is called: with curl, and with the SDKs that know it.
//!
//! Every snippet of an SDK sets the server's URL. `tests/python/snippets.py` and
//! `tests/node/snippets.js` hold the calls against the SDKs themselves.

use std::fmt::Write as _;

use maud::{Markup, html};
use serde_json::Value;

use super::operation::Operation;
use super::schema::example;

/// A call of an SDK: the operation's id, its name in the SDK for Python from 2.0 on, and the class
/// of its body there.
type Call = (&'static str, &'static str, Option<&'static str>);

/// What the first generation of the SDK for JavaScript does not know.
const NOT_IN_JAVASCRIPT: &[&str] = &[
    "v1.endpoint.get-attempt-stats",
    "v1.message.bulk-expunge-content",
];

/// Operations the SDKs know. What is not here is ours alone.
#[rustfmt::skip]
const CALLS: &[Call] = &[
    ("v1.application.list", "application.list", None),
    ("v1.application.create", "application.create", Some("ApplicationIn")),
    ("v1.application.get", "application.get", None),
    ("v1.application.update", "application.upsert", Some("ApplicationIn")),
    ("v1.application.patch", "application.patch", Some("ApplicationPatch")),
    ("v1.application.delete", "application.delete", None),
    ("v1.endpoint.list", "endpoint.list", None),
    ("v1.endpoint.create", "endpoint.create", Some("EndpointIn")),
    ("v1.endpoint.get", "endpoint.get", None),
    ("v1.endpoint.update", "endpoint.upsert", Some("EndpointUpsertIn")),
    ("v1.endpoint.patch", "endpoint.patch", Some("EndpointPatch")),
    ("v1.endpoint.delete", "endpoint.delete", None),
    ("v1.endpoint.get-secret", "endpoint.get_secret", None),
    ("v1.endpoint.rotate-secret", "endpoint.rotate_secret", Some("EndpointSecretRotateIn")),
    ("v1.endpoint.get-headers", "endpoint.get_headers", None),
    ("v1.endpoint.update-headers", "endpoint.set_headers", Some("EndpointHeadersIn")),
    ("v1.endpoint.patch-headers", "endpoint.patch_headers", Some("EndpointHeadersPatchIn")),
    ("v1.endpoint.get-stats", "endpoint.get_stats", None),
    ("v1.endpoint.get-attempt-stats", "endpoint.get_attempt_stats", None),
    ("v1.endpoint.send-example", "endpoint.send_example", Some("EventExampleIn")),
    ("v1.endpoint.recover", "endpoint.recover", Some("RecoverIn")),
    ("v1.endpoint.replay-missing", "endpoint.replay_missing", Some("ReplayIn")),
    ("v1.endpoint.bulk-replay", "endpoint.bulk_replay", Some("BulkReplayIn")),
    ("v1.event-type.list", "event_type.list", None),
    ("v1.event-type.create", "event_type.create", Some("EventTypeIn")),
    ("v1.event-type.get", "event_type.get", None),
    ("v1.event-type.patch", "event_type.patch", Some("EventTypePatch")),
    ("v1.event-type.delete", "event_type.delete", None),
    ("v1.message.list", "message.list", None),
    ("v1.message.create", "message.create", Some("MessageIn")),
    ("v1.message.get", "message.get", None),
    ("v1.message.precheck", "message.precheck", Some("MessagePrecheckIn")),
    ("v1.message.expunge-content", "message.expunge_content", None),
    ("v1.message.bulk-expunge-content", "message.bulk_expunge_content", Some("BulkExpungeContentsIn")),
    ("v1.message.expunge-all-contents", "message.expunge_all_contents", None),
    ("v1.message-attempt.list-by-endpoint", "message_attempt.list_by_endpoint", None),
    ("v1.message-attempt.list-by-msg", "message_attempt.list_by_msg", None),
    ("v1.message-attempt.list-attempted-messages", "message_attempt.list_attempted_messages", None),
    ("v1.message-attempt.list-attempted-destinations", "message_attempt.list_attempted_destinations", None),
    ("v1.message-attempt.get", "message_attempt.get", None),
    ("v1.message-attempt.expunge-content", "message_attempt.expunge_content", None),
    ("v1.message-attempt.resend", "message_attempt.resend", None),
    ("v1.statistics.aggregate-app-stats", "statistics.aggregate_app_stats", Some("AppUsageStatsIn")),
    ("v1.statistics.aggregate-event-types", "statistics.aggregate_event_types", None),
    ("v1.environment.export", "environment.export", None),
    ("v1.background-task.list", "background_task.list", None),
    ("v1.background-task.get", "background_task.get", None),
    ("v1.authentication.app-portal-access", "authentication.app_portal_access", Some("AppPortalAccessIn")),
    ("v1.operational-webhook.endpoint.list", "operational_webhook.endpoint.list", None),
    ("v1.operational-webhook.endpoint.get", "operational_webhook.endpoint.get", None),
    ("v1.operational-webhook.endpoint.delete", "operational_webhook.endpoint.delete", None),
    ("v1.operational-webhook.endpoint.get-secret", "operational_webhook.endpoint.get_secret", None),
    ("v1.operational-webhook.endpoint.get-headers", "operational_webhook.endpoint.get_headers", None),
];

/// Fields that hold an instant.
const TIMES: &[&str] = &["since", "until"];
/// Where a server on the reader's machine listens.
const SERVER: &str = "http://127.0.0.1:8071";

/// How a client is made, once for all snippets.
pub(super) fn setup() -> Markup {
    let shell = "export WATCHFIRE=http://127.0.0.1:8071\nexport TOKEN=$(watchfire token)";
    let python = format!(
        "from svix.api import Svix, SvixOptions\n\n\
         svix = Svix(TOKEN, SvixOptions(server_url=\"{SERVER}\"))"
    );
    let javascript = format!(
        "const {{ Svix }} = require(\"svix\");\n\n\
         const svix = new Svix(TOKEN, {{ serverUrl: \"{SERVER}\" }});"
    );
    html! {
        div.snippets {
            (block("shell", "Shell", shell))
            (block("python", "Python", &python))
            (block("javascript", "JavaScript", &javascript))
        }
    }
}

/// How one operation is called.
pub(super) fn of(operation: &Operation<'_>, document: &Value) -> Markup {
    let body = operation
        .body_schema()
        .map(|schema| example(document, schema));
    let call = CALLS.iter().find(|(id, _, _)| *id == operation.id);
    html! {
        div.snippets {
            (block("curl", "curl", &curl(operation, body.as_ref())))
            @if let Some(call) = call {
                (block("python", "Python, svix 2", &python(operation, call, body.as_ref())))
                @if !NOT_IN_JAVASCRIPT.contains(&operation.id) {
                    (block("javascript", "JavaScript, svix 1", &javascript(operation, body.as_ref())))
                }
            }
        }
    }
}

fn block(class: &str, title: &str, text: &str) -> Markup {
    html! {
        details open[class == "curl"] {
            summary { (title) }
            pre class=(class) tabindex="0" { code { (text) } }
        }
    }
}

fn curl(operation: &Operation<'_>, body: Option<&Value>) -> String {
    let mut path = operation.path.to_owned();
    for parameter in operation.path_parameters() {
        path = path.replace(&format!("{{{parameter}}}"), sample(parameter));
    }
    let mut text = String::from("curl");
    if operation.method != "GET" && (operation.method != "POST" || body.is_none()) {
        write!(text, " -X {}", operation.method).expect("a string grows");
    }
    write!(
        text,
        " \"$WATCHFIRE{path}\" \\\n  -H \"Authorization: Bearer $TOKEN\""
    )
    .expect("a string grows");
    if let Some(body) = body {
        write!(
            text,
            " \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'"
        )
        .expect("a string grows");
    }
    text
}

/// The call alone: the client is made as the page shows at its beginning.
fn python(operation: &Operation<'_>, call: &Call, body: Option<&Value>) -> String {
    let (_, name, class) = call;
    let mut arguments = quoted(operation);
    let mut text = format!(
        "from svix.api import Svix, SvixOptions\n{}\n\
         svix = Svix(TOKEN, SvixOptions(server_url=\"{SERVER}\"))\n",
        class.map_or_else(String::new, |class| format!(
            "from svix.models import {class}\n"
        ))
    );
    if let (Some(class), Some(body)) = (class, body) {
        let members = body.as_object().into_iter().flatten();
        let fields: Vec<_> = members
            .map(|(name, value)| format!("{}={}", snake(name), python_value(name, value)))
            .collect();
        if TIMES.iter().any(|name| !body[*name].is_null()) {
            text.insert_str(0, "from datetime import datetime\n");
        }
        arguments.push(format!("{class}({})", fields.join(", ")));
    }
    write!(text, "svix.{name}({})", arguments.join(", ")).expect("a string grows");
    text
}

fn python_value(name: &str, value: &Value) -> String {
    match value {
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => "None".to_owned(),
        Value::String(text) if TIMES.contains(&name) => {
            format!(
                "datetime.fromisoformat(\"{}\")",
                text.replace('Z', "+00:00")
            )
        }
        other => other.to_string(),
    }
}

fn javascript(operation: &Operation<'_>, body: Option<&Value>) -> String {
    let mut arguments = quoted(operation);
    arguments.extend(body.map(javascript_value));
    let way = operation.id.trim_start_matches("v1.").split('.').map(camel);
    let way: Vec<_> = way.collect();
    format!(
        "const {{ Svix }} = require(\"svix\");\n\
         const svix = new Svix(TOKEN, {{ serverUrl: \"{SERVER}\" }});\n\
         await svix.{}({});",
        way.join("."),
        arguments.join(", ")
    )
}

fn javascript_value(body: &Value) -> String {
    let members = body.as_object().into_iter().flatten();
    let members: Vec<_> = members
        .map(|(name, value)| match name.as_str() {
            name if TIMES.contains(&name) => format!("{name}: new Date({value})"),
            _ => format!("{name}: {value}"),
        })
        .collect();
    format!("{{ {} }}", members.join(", ")).replace("{  }", "{}")
}

/// Values of the path's parameters.
fn quoted(operation: &Operation<'_>) -> Vec<String> {
    let names = operation.path_parameters().into_iter();
    names.map(|name| format!("\"{}\"", sample(name))).collect()
}

fn sample(parameter: &str) -> &'static str {
    match parameter {
        "app_id" => "acme",
        "endpoint_id" => "main",
        "msg_id" => "msg_1srOrx2ZWZBpBUvZwXKQmoEYga2",
        "attempt_id" => "atmpt_1srOrx2ZWZBpBUvZwXKQmoEYga2",
        "event_type_name" => "threat.created",
        "contract_name" => "standard",
        "task_id" => "qtask_1srOrx2ZWZBpBUvZwXKQmoEYga2",
        "key_id" => "key_1srOrx2ZWZBpBUvZwXKQmoEYga2",
        "notice_id" => "notice_1srOrx2ZWZBpBUvZwXKQmoEYga2",
        _ => "example",
    }
}

/// `eventType` as `event_type`.
fn snake(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// `message-attempt` as `messageAttempt`.
fn camel(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for (index, word) in name.split('-').enumerate() {
        match word.chars().next() {
            Some(first) if index > 0 => {
                text.push(first.to_ascii_uppercase());
                text.push_str(&word[1..]);
            }
            _ => text.push_str(word),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Value {
        serde_json::from_str(&crate::document()).expect("JSON")
    }

    #[test]
    fn every_call_of_an_sdk_is_an_operation_of_ours() {
        let document = document();
        let ours = Operation::all(&document);
        for (id, _, class) in CALLS {
            let operation = ours.iter().find(|operation| operation.id == *id);
            let operation = operation.unwrap_or_else(|| panic!("{id} is no operation"));
            assert_eq!(operation.body_schema().is_some(), class.is_some(), "{id}");
        }
    }

    #[test]
    fn every_snippet_of_an_sdk_names_the_server() {
        let document = document();
        let mut seen = 0;
        for operation in Operation::all(&document) {
            let page = of(&operation, &document).into_string();
            for part in page.split("<pre class=\"").skip(1) {
                let names = part.contains("server_url=") || part.contains("serverUrl: ");
                assert!(names || part.starts_with("curl\""), "{part}");
                seen += usize::from(names);
            }
        }
        assert_eq!(seen, 2 * CALLS.len() - NOT_IN_JAVASCRIPT.len());
    }

    #[test]
    fn snippets_read_like_what_people_write() {
        let document = document();
        let all = Operation::all(&document);
        let send = all
            .iter()
            .find(|operation| operation.id == "v1.message.create");
        let send = send.expect("an operation");
        let schema = send.body_schema().expect("a body");
        let body = example(&document, schema);
        let expect = "curl \"$WATCHFIRE/api/v1/app/acme/msg\" \\\n  \
            -H \"Authorization: Bearer $TOKEN\" \\\n  \
            -H 'Content-Type: application/json' \\\n  \
            -d '{\"eventType\":\"threat.created\",\"payload\":{\"id\":\"thr_8121\",\"risk\":\"high\"}}'";
        assert_eq!(curl(send, Some(&body)), expect);
        let call = CALLS
            .iter()
            .find(|(id, _, _)| *id == send.id)
            .expect("a call");
        let python = python(send, call, Some(&body));
        let last = "svix.message.create(\"acme\", MessageIn(event_type=\"threat.created\", \
            payload={\"id\":\"thr_8121\",\"risk\":\"high\"}))";
        assert_eq!(python.lines().last(), Some(last));
        let javascript = javascript(send, Some(&body));
        let last = "await svix.message.create(\"acme\", { eventType: \"threat.created\", \
            payload: {\"id\":\"thr_8121\",\"risk\":\"high\"} });";
        assert_eq!(javascript.lines().last(), Some(last));
    }
}
