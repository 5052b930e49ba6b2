//! What is answered where there is no route.
//!
//! The SDKs know operations of their vendor's cloud that this server does not have. Those are
//! named, so that whoever calls one learns what is missing and not that a path was misspelled.

use axum::http::Uri;

use crate::error::{ApiError, Code};

pub(super) async fn unknown_path(uri: Uri) -> ApiError {
    not_offered(uri.path())
        .unwrap_or_else(|| ApiError::new(Code::NotFound, "There is no such path"))
}

pub(super) async fn unsupported_method(uri: Uri) -> ApiError {
    not_offered(uri.path()).unwrap_or_else(|| Code::MethodNotAllowed.into())
}

/// Paths of the SDKs that are not offered, and what is instead. `*` stands for one part of a path;
/// what follows does not matter.
const NOT_OFFERED: &[(&str, &str)] = &[
    (
        "/api/v1/app/*/endpoint/*/transformation",
        "Code that changes requests is not offered; a contract shapes them.",
    ),
    (
        "/api/v1/app/*/endpoint/*/rate-limit-status",
        "Use endpoint/{endpoint_id}/stats, which counts what is pending.",
    ),
    (
        "/api/v1/app/*/destination",
        "Endpoints are the only destinations.",
    ),
    (
        "/api/v1/app/*/integration",
        "Use API keys of an application.",
    ),
    (
        "/api/v1/app/*/autoconfig",
        "Create the endpoint with endpoint.create.",
    ),
    (
        "/api/v1/app/*/poller",
        "Messages are sent, not polled for; use message.list to read them.",
    ),
    (
        "/api/v1/app/*/events",
        "Messages are sent, not polled for; use message.list to read them.",
    ),
    (
        "/api/v1/app/*/stats",
        "Use the statistics of each endpoint.",
    ),
    (
        "/api/v1/app/stats/count-active",
        "Use application.list with exclude_apps_with_disabled_endpoints.",
    ),
    (
        "/api/v1/stats/app",
        "Use statistics.aggregate_app_stats, or the statistics of each endpoint.",
    ),
    (
        "/api/v1/stats/endpoint",
        "Use endpoint.list and its filter by state.",
    ),
    ("/api/v1/auth/stream", "Streams are not offered."),
    ("/api/v1/auth/stream-logout", "Streams are not offered."),
    (
        "/api/v1/auth/stream-portal-access",
        "Streams are not offered.",
    ),
    (
        "/api/v1/auth/whoami",
        "What a credential opens is what its scopes say.",
    ),
    (
        "/api/v1/connector",
        "Contracts take the place of connectors.",
    ),
    ("/api/v1/stream", "Streams are not offered."),
    (
        "/ingest/api/v1/source",
        "Receiving webhooks is not offered.",
    ),
];

fn not_offered(path: &str) -> Option<ApiError> {
    let (_, instead) = NOT_OFFERED
        .iter()
        .find(|(known, _)| begins_with(path, known))?;
    Some(ApiError::new(
        Code::NotImplemented,
        format!("This server does not offer the operation. {instead}"),
    ))
}

/// Whether a path begins with the parts of a pattern.
fn begins_with(path: &str, pattern: &str) -> bool {
    let mut parts = path.split('/');
    pattern.split('/').all(|wanted| {
        let part = parts.next();
        part.is_some_and(|part| part == wanted || (wanted == "*" && !part.is_empty()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_whole_parts() {
        assert!(begins_with(
            "/api/v1/app/x/poller/y",
            "/api/v1/app/*/poller"
        ));
        assert!(begins_with("/api/v1/stream/", "/api/v1/stream"));
        for other in [
            "/api/v1/app/poller",
            "/api/v1/app//poller",
            "/api/v1/app/x/pollers",
        ] {
            assert!(!begins_with(other, "/api/v1/app/*/poller"), "{other}");
        }
    }
}
