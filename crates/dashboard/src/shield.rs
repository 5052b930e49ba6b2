//! Headers that keep a page to itself, and the refusal of requests that other sites make.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::failure::{self, Failure, Start};
use crate::state::DashboardState;
use crate::ui::Brand;

/// What a page may load: our own files and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; \
                      img-src 'self' data:; connect-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors ";

const FIXED: [(HeaderName, HeaderValue); 5] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(
            "camera=(), microphone=(), geolocation=(), payment=(), usb=(), clipboard-write=(self)",
        ),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// Around every page: sets the headers, and turns away what another site's page asks to change.
pub(crate) async fn guard(
    State(state): State<DashboardState>,
    request: Request,
    next: Next,
) -> Response {
    let start = Start::of(request.uri().path());
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = if changes && !is_ours(request.headers(), state.public_url()) {
        Failure::Forged.into_response()
    } else {
        next.run(request).await
    };
    response = failure::shown(&state, &start, response);
    let headers = response.headers_mut();
    headers.extend(FIXED);
    let parents = match state.portal_frame_ancestors() {
        parents if start.brand == Brand::Portal && !parents.is_empty() => parents.join(" "),
        _ => "'none'".to_owned(),
    };
    let policy = HeaderValue::try_from(format!("{POLICY}{parents}"));
    let policy = policy.expect("parents were checked when the settings were read");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Whether a request that changes something comes from one of our own pages.
///
/// Browsers say so themselves (`Sec-Fetch-Site`), older ones name the page's origin. A request with
/// neither comes from no browser; it still needs a session and its form's token.
fn is_ours(headers: &HeaderMap, public_url: Option<&str>) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().unwrap_or_default();
    let host = text("host").unwrap_or_default();
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    public_url == Some(origin) || (!host.is_empty() && authority == Some(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[(&'static str, &str)], expect: bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(*name, HeaderValue::from_str(value).expect("a value"));
        }
        let is_ours = is_ours(&headers, Some("https://hooks.example.com"));
        assert_eq!(is_ours, expect, "{fields:?}");
    }

    #[test]
    fn only_our_own_pages_may_change_something() {
        check(&[("sec-fetch-site", "same-origin")], true);
        check(&[("sec-fetch-site", "none")], true);
        for other in ["same-site", "cross-site", "nonsense"] {
            check(&[("sec-fetch-site", other)], false);
        }
        let host = ("host", "127.0.0.1:8071");
        check(&[host], true);
        check(&[host, ("origin", "http://127.0.0.1:8071")], true);
        check(&[host, ("origin", "https://hooks.example.com")], true);
        for other in ["http://127.0.0.1:80710", "null", "", "https://evil.example"] {
            check(&[host, ("origin", other)], false);
        }
        check(&[("origin", "null")], false);
    }
}
