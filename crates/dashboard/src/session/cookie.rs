//! Cookies: their names and attributes, and reading them.
//!
//! Over https every name begins with `__Host-`, so that no other host of the same domain can set
//! one. The portal's cookies are partitioned by the page that frames it, and there are none of them
//! in frames of other sites over plain http: browsers keep no such cookie.

use axum::http::{HeaderMap, HeaderValue, header};
use watchfire_domain::limit;

use super::Place;
use crate::ui::theme::Mode;

/// How the dashboard looks in this browser; nothing secret.
pub(crate) const THEME: &str = "watchfire-theme";

/// The value of one cookie.
pub(crate) fn named<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).into_iter();
    let pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(known, value)| (known == name).then_some(value))
}

/// The name of a session's cookie.
pub(super) fn name(https: bool, place: Place) -> String {
    let prefix = if https { "__Host-" } else { "" };
    match place {
        Place::Dashboard => format!("{prefix}watchfire"),
        Place::Portal(app) => format!("{prefix}watchfire-portal-{app}"),
    }
}

pub(super) fn set(https: bool, place: Place, value: &str) -> HeaderValue {
    let name = name(https, place);
    let life = limit::SESSION_LIFE.as_secs();
    let rest = attributes(https, place);
    visible(format!("{name}={value}; Max-Age={life}; {rest}"))
}

/// Takes a session's cookie away.
pub(super) fn clear(https: bool, place: Place) -> HeaderValue {
    let name = name(https, place);
    let rest = attributes(https, place);
    visible(format!("{name}=; Max-Age=0; {rest}"))
}

fn attributes(https: bool, place: Place) -> &'static str {
    match (https, place) {
        (true, Place::Dashboard) => "Path=/; Secure; HttpOnly; SameSite=Lax",
        (false, _) => "Path=/; HttpOnly; SameSite=Lax",
        (true, Place::Portal(_)) => "Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
    }
}

/// Remembers how the dashboard is to look.
pub(crate) fn set_theme(mode: Mode) -> HeaderValue {
    let mode = mode.name();
    visible(format!(
        "{THEME}={mode}; Max-Age=31536000; Path=/dashboard; HttpOnly; SameSite=Lax"
    ))
}

/// Lets the system decide again.
pub(crate) fn clear_theme() -> HeaderValue {
    visible(format!(
        "{THEME}=; Max-Age=0; Path=/dashboard; HttpOnly; SameSite=Lax"
    ))
}

fn visible(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("names, base64 and attributes are visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_by_their_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("ab=1; a=2"));
        headers.append(header::COOKIE, HeaderValue::from_static("c=3=4; empty="));
        assert_eq!(named(&headers, "a"), Some("2"));
        assert_eq!(named(&headers, "c"), Some("3=4"));
        assert_eq!(named(&headers, "empty"), Some(""));
        assert_eq!(named(&headers, "b"), None);
    }

    #[test]
    fn over_https_no_other_host_can_set_a_session() {
        let cookie = set(true, Place::Dashboard, "x");
        let cookie = cookie.to_str().expect("text");
        assert!(cookie.starts_with("__Host-watchfire=x; "), "{cookie}");
        for part in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(cookie.contains(part), "{part}");
        }
        assert!(!cookie.contains("Domain"));
    }
}
