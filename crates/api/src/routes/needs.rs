//! The scope each operation needs.
//!
//! Every permission asks here, so an operation without a row is refused; a test holds the rows
//! against the document. `docs/reference/scopes.md` is generated from the table.

use std::fmt::Write as _;

use axum::http::Method;
use watchfire_domain::scope::Scope;

/// Operations by method and path behind `/api/v1`. Those that need no credential have no row.
#[rustfmt::skip]
const NEEDS: &[(&str, &str, Scope)] = &[
    ("POST", "/app/{app_id}/msg", Scope::EventsWrite),
    ("POST", "/app/{app_id}/msg-batch", Scope::EventsWrite),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/send-example", Scope::EventsWrite),
    ("GET", "/app", Scope::EndpointsRead),
    ("GET", "/app/{app_id}", Scope::EndpointsRead),
    ("GET", "/app/{app_id}/endpoint", Scope::EndpointsRead),
    ("GET", "/app/{app_id}/endpoint/{endpoint_id}", Scope::EndpointsRead),
    ("GET", "/app/{app_id}/endpoint/{endpoint_id}/headers", Scope::EndpointsRead),
    ("GET", "/app/{app_id}/endpoint/{endpoint_id}/stats", Scope::EndpointsRead),
    ("GET", "/app/{app_id}/endpoint/{endpoint_id}/attempt-stats", Scope::EndpointsRead),
    ("GET", "/app/{app_id}/endpoint/{endpoint_id}/msg", Scope::EndpointsRead),
    ("GET", "/app/{app_id}/attempt/endpoint/{endpoint_id}", Scope::EndpointsRead),
    ("GET", "/app/{app_id}/attempt/msg/{msg_id}", Scope::EndpointsRead),
    ("GET", "/app/{app_id}/msg", Scope::EndpointsRead),
    ("GET", "/app/{app_id}/msg/{msg_id}", Scope::EndpointsRead),
    ("GET", "/app/{app_id}/msg/{msg_id}/attempt", Scope::EndpointsRead),
    ("GET", "/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}", Scope::EndpointsRead),
    ("GET", "/app/{app_id}/msg/{msg_id}/endpoint", Scope::EndpointsRead),
    ("GET", "/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/attempt", Scope::EndpointsRead),
    ("POST", "/app/{app_id}/msg/precheck/active", Scope::EndpointsRead),
    ("POST", "/app/{app_id}/msg/search", Scope::EndpointsRead),
    ("GET", "/background-task", Scope::EndpointsRead),
    ("GET", "/background-task/{task_id}", Scope::EndpointsRead),
    ("GET", "/contract", Scope::EndpointsRead),
    ("GET", "/contract/{contract_name}", Scope::EndpointsRead),
    ("GET", "/event-type", Scope::EndpointsRead),
    ("GET", "/event-type/{event_type_name}", Scope::EndpointsRead),
    ("POST", "/app/{app_id}/endpoint", Scope::EndpointsWrite),
    ("PUT", "/app/{app_id}/endpoint/{endpoint_id}", Scope::EndpointsWrite),
    ("PATCH", "/app/{app_id}/endpoint/{endpoint_id}", Scope::EndpointsWrite),
    ("DELETE", "/app/{app_id}/endpoint/{endpoint_id}", Scope::EndpointsWrite),
    ("PUT", "/app/{app_id}/endpoint/{endpoint_id}/headers", Scope::EndpointsWrite),
    ("PATCH", "/app/{app_id}/endpoint/{endpoint_id}/headers", Scope::EndpointsWrite),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/ping", Scope::EndpointsWrite),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/cancel-msgs", Scope::EndpointsWrite),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/activate", Scope::EndpointsWrite),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/deactivate", Scope::EndpointsWrite),
    // Answers the new secret; who asks could have chosen it as well.
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/secret/rotate", Scope::EndpointsWrite),
    ("GET", "/app/{app_id}/endpoint/{endpoint_id}/secret", Scope::SecretsRead),
    ("POST", "/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/resend", Scope::Replay),
    ("POST", "/app/{app_id}/msg/{msg_id}/endpoint/{endpoint_id}/cancel", Scope::Replay),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/recover", Scope::Replay),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/replay-missing", Scope::Replay),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/bulk-replay", Scope::Replay),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/record/skip", Scope::Replay),
    ("POST", "/app/{app_id}/endpoint/{endpoint_id}/record/retry", Scope::Replay),
    ("POST", "/background-task/{task_id}/cancel", Scope::Replay),
    ("POST", "/background-task/{task_id}/pause", Scope::Replay),
    ("POST", "/background-task/{task_id}/resume", Scope::Replay),
    ("POST", "/app", Scope::Admin),
    ("PUT", "/app/{app_id}", Scope::Admin),
    ("PATCH", "/app/{app_id}", Scope::Admin),
    ("DELETE", "/app/{app_id}", Scope::Admin),
    ("DELETE", "/app/{app_id}/msg/{msg_id}/content", Scope::Admin),
    ("DELETE", "/app/{app_id}/msg/{msg_id}/attempt/{attempt_id}/content", Scope::Admin),
    ("POST", "/app/{app_id}/msg/bulk-expunge", Scope::Admin),
    ("POST", "/app/{app_id}/msg/expunge-all-contents", Scope::Admin),
    ("POST", "/stats/usage/app", Scope::Admin),
    ("PUT", "/stats/usage/event-types", Scope::Admin),
    ("POST", "/event-type/import/openapi", Scope::Admin),
    ("POST", "/environment/export", Scope::Admin),
    ("POST", "/environment/import", Scope::Admin),
    ("POST", "/event-type", Scope::Admin),
    ("PUT", "/event-type/{event_type_name}", Scope::Admin),
    ("PATCH", "/event-type/{event_type_name}", Scope::Admin),
    ("DELETE", "/event-type/{event_type_name}", Scope::Admin),
    ("GET", "/node", Scope::Admin),
    ("GET", "/notice", Scope::EndpointsRead),
    ("POST", "/notice/{notice_id}/read", Scope::EndpointsWrite),
    ("GET", "/operational-webhook/endpoint", Scope::Admin),
    ("POST", "/operational-webhook/endpoint", Scope::Admin),
    ("GET", "/operational-webhook/endpoint/{endpoint_id}", Scope::Admin),
    ("PUT", "/operational-webhook/endpoint/{endpoint_id}", Scope::Admin),
    ("DELETE", "/operational-webhook/endpoint/{endpoint_id}", Scope::Admin),
    ("GET", "/operational-webhook/endpoint/{endpoint_id}/headers", Scope::Admin),
    ("PUT", "/operational-webhook/endpoint/{endpoint_id}/headers", Scope::Admin),
    ("GET", "/operational-webhook/endpoint/{endpoint_id}/secret", Scope::Admin),
    ("POST", "/operational-webhook/endpoint/{endpoint_id}/secret/rotate", Scope::Admin),
    ("GET", "/audit", Scope::Admin),
    ("GET", "/auth/key", Scope::Admin),
    ("POST", "/auth/key", Scope::Admin),
    ("GET", "/auth/key/{key_id}", Scope::Admin),
    ("DELETE", "/auth/key/{key_id}", Scope::Admin),
    // Mint tokens that reach all of an application.
    ("POST", "/auth/app-portal-access/{app_id}", Scope::Admin),
    ("POST", "/auth/dashboard-access/{app_id}", Scope::Admin),
    ("POST", "/auth/app/{app_id}/expire-all", Scope::Admin),
    ("POST", "/auth/expire-all", Scope::Admin),
    // Of the token that asks; every token may look.
    ("POST", "/auth/logout", Scope::EndpointsRead),
    ("POST", "/admin/redrive-dlq", Scope::Admin),
];

/// The scope that the operation at a route's path needs; none is known for most paths.
pub(crate) fn scope_of(method: &Method, route: &str) -> Option<Scope> {
    // HEAD is answered by the handler of GET.
    let method = if method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    named_scope(method, route)
}

/// Like [`scope_of`], with the method's name.
pub(crate) fn named_scope(method: &str, route: &str) -> Option<Scope> {
    let path = route.strip_prefix("/api/v1")?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let row = NEEDS.iter().find(|row| row.1 == path && row.0 == method);
    row.map(|row| row.2)
}

/// The reference page of all operations and their scopes, as Markdown.
pub fn scopes_reference() -> String {
    let mut page = String::from(
        "# Scopes\n\n\
        Generated from `crates/api/src/routes/needs.rs`.\n\n\
        An API key does what its scopes allow, and `admin` stands for all of them.\n\
        An organization's token has `admin`; an application's token, which signs in to the portal, \
        has `endpoints:read`, `endpoints:write`, `secrets:read` and `replay`.\n\
        Paths begin behind `/api/v1`.\n\n\
        | operation | scope |\n|---|---|\n",
    );
    for (method, path, scope) in NEEDS {
        writeln!(page, "| `{method} {path}` | `{scope}` |")
            .expect("writing to a string does not fail");
    }
    page
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Operations that need no credential. The list may only shrink.
    const OPEN: &[&str] = &["GET /health", "GET /health/ping"];

    #[test]
    fn every_operation_has_one_row() {
        let document: serde_json::Value = serde_json::from_str(&crate::document()).expect("JSON");
        let mut documented = BTreeSet::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            let path = path.strip_prefix("/api/v1").expect("under the API");
            for method in item.as_object().expect("an item").keys() {
                documented.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let rows = NEEDS
            .iter()
            .map(|(method, path, _)| format!("{method} {path}"));
        let mut listed: Vec<String> = rows.chain(OPEN.iter().map(ToString::to_string)).collect();
        listed.sort();
        assert_eq!(listed, documented.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_path_is_found_in_both_spellings_and_an_unknown_one_is_not() {
        let expect = Some(Scope::EventsWrite);
        for path in ["/api/v1/app/{app_id}/msg", "/api/v1/app/{app_id}/msg/"] {
            assert_eq!(scope_of(&Method::POST, path), expect, "{path}");
        }
        let read = Some(Scope::EndpointsRead);
        assert_eq!(scope_of(&Method::HEAD, "/api/v1/app"), read);
        assert_eq!(scope_of(&Method::DELETE, "/api/v1/app"), None);
        assert_eq!(scope_of(&Method::GET, "/api/v1/nothing"), None);
        assert_eq!(scope_of(&Method::GET, "/app"), None);
    }
}
