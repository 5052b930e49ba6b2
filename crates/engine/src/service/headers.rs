//! Custom headers of an endpoint: what may be set, and what may be read back.

use std::collections::BTreeMap;

use watchfire_domain::limit;
use watchfire_domain::secret::SecretText;

use super::check::Faults;
use super::{Edit, Result};

/// Names that belong to the connection, to the message's framing, or to us.
const FORBIDDEN: &[&str] = &[
    "age",
    "cache-control",
    "clear-site-data",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-type",
    "expect",
    "expires",
    "forwarded",
    "host",
    "keep-alive",
    "pragma",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "warning",
];

/// Beginnings of names that receivers, their proxies or clouds believe.
const FORBIDDEN_PREFIXES: &[&str] = &[
    "proxy-",
    "svix-",
    "webhook-",
    "x-amz-",
    "x-amzn-",
    "x-azure-",
    "x-fd-",
    "x-forwarded-",
    "x-gfe",
    "x-goog-",
    "x-google",
    "x-svix-",
];

/// Names whose values are credentials.
const SENSITIVE: &[&str] = &[
    "authorization",
    "cookie",
    "www-authenticate",
    "x-auth-token",
];

/// Parts of names whose values are most likely credentials.
const SENSITIVE_PARTS: &[&str] = &["api-key", "apikey", "password", "secret", "token"];

/// Headers in the order and spelling given.
pub type Headers = Vec<(String, SecretText)>;

/// Whether a header's value may not be read back.
pub fn is_sensitive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SENSITIVE.contains(&name.as_str()) || SENSITIVE_PARTS.iter().any(|part| name.contains(part))
}

/// Headers that replace all others.
pub(super) fn replaced(wanted: BTreeMap<String, String>) -> Result<Headers> {
    let headers = wanted
        .into_iter()
        .map(|(name, value)| (name, SecretText::new(value)));
    checked(headers.collect())
}

/// Headers after setting some and removing others.
pub(super) fn merged(mut old: Headers, changes: BTreeMap<String, Edit<String>>) -> Result<Headers> {
    for (name, change) in changes {
        if change == Edit::Keep {
            continue;
        }
        let place = old
            .iter()
            .position(|(known, _)| known.eq_ignore_ascii_case(&name));
        match (change, place) {
            (Edit::Set(value), Some(place)) => old[place] = (name, SecretText::new(value)),
            (Edit::Set(value), None) => old.push((name, SecretText::new(value))),
            (_, Some(place)) => drop(old.remove(place)),
            (_, None) => {}
        }
    }
    checked(old)
}

fn checked(headers: Headers) -> Result<Headers> {
    let mut faults = Faults::default();
    if headers.len() > limit::HEADERS_PER_ENDPOINT_MAX {
        let max = limit::HEADERS_PER_ENDPOINT_MAX;
        faults.add("headers", format_args!("may have at most {max} entries"));
    }
    let bytes = headers
        .iter()
        .map(|(name, value)| name.len() + value.expose().len())
        .sum::<usize>();
    if bytes > limit::HEADERS_BYTES_MAX {
        let max = limit::HEADERS_BYTES_MAX;
        faults.add(
            "headers",
            format_args!("may have at most {max} bytes in all"),
        );
    }
    for (index, (name, value)) in headers.iter().enumerate() {
        if let Some(reason) = fault_of(name, value.expose()) {
            faults.add_at("headers", name.clone(), reason);
        } else if headers[..index]
            .iter()
            .any(|(other, _)| other.eq_ignore_ascii_case(name))
        {
            faults.add_at(
                "headers",
                name.clone(),
                "is set twice; letter case does not count",
            );
        }
    }
    faults.finish()?;
    Ok(headers)
}

/// What is wrong with a header, if anything.
pub fn fault_of(name: &str, value: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || name.len() > limit::NAME_CHARS_MAX || !name.bytes().all(is_token) {
        return Some("a header's name holds only letters, digits and !#$%&'*+-.^_`|~");
    }
    if FORBIDDEN.contains(&lower.as_str())
        || FORBIDDEN_PREFIXES
            .iter()
            .any(|prefix| lower.starts_with(prefix))
    {
        return Some("this header is set by the server or reserved");
    }
    if value.chars().count() > limit::HEADER_VALUE_CHARS_MAX {
        return Some("the value is too long");
    }
    // Visible ASCII, spaces and tabs: what every receiver reads alike.
    if !value
        .bytes()
        .all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte))
    {
        return Some("the value may hold only visible ASCII characters, spaces and tabs");
    }
    (value.trim() != value).then_some("the value must not begin or end with a space")
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
//# token = 1*tchar
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::super::Error;
    use super::*;

    fn check(name: &str, value: &str, fine: bool) {
        assert_eq!(fault_of(name, value).is_none(), fine, "{name}: {value}");
    }

    #[test]
    fn framing_routing_and_signature_headers_are_refused() {
        for name in FORBIDDEN {
            check(name, "x", false);
            check(&name.to_ascii_uppercase(), "x", false);
        }
        for prefix in FORBIDDEN_PREFIXES {
            check(&format!("{prefix}id"), "x", false);
        }
        check("Authorization", "Bearer x", true);
        check("X-Api-Key", "x", true);
    }

    #[test]
    fn nothing_that_splits_a_header_passes() {
        for (name, value) in [
            ("a b", "x"),
            ("", "x"),
            ("a:", "x"),
            ("a", "x\r\ny: z"),
            ("a", "x\0"),
        ] {
            check(name, value, false);
        }
        check("a", "ü", false);
        check("a", " x", false);
        check("a", "", true);
        check("a", &"v".repeat(limit::HEADER_VALUE_CHARS_MAX), true);
        check("a", &"v".repeat(limit::HEADER_VALUE_CHARS_MAX + 1), false);
    }

    #[test]
    fn number_and_size_have_limits() {
        let many = |count: usize| {
            (0..count)
                .map(|n| (format!("h{n}"), String::new()))
                .collect()
        };
        assert!(replaced(many(limit::HEADERS_PER_ENDPOINT_MAX)).is_ok());
        assert!(replaced(many(limit::HEADERS_PER_ENDPOINT_MAX + 1)).is_err());
        let long = |n: usize| (format!("h{n}"), "v".repeat(limit::HEADER_VALUE_CHARS_MAX));
        assert!(replaced([long(1)].into()).is_ok());
        assert!(replaced([long(1), long(2)].into()).is_err());
    }

    #[test]
    fn merging_ignores_letter_case_and_keeps_the_new_spelling() {
        let old = vec![("X-One".to_owned(), SecretText::new("1".into()))];
        let changes = [
            ("x-one".to_owned(), Edit::Set("2".to_owned())),
            ("X-Two".to_owned(), Edit::Set("3".to_owned())),
        ];
        let both = merged(old, changes.into()).expect("valid");
        let names: Vec<_> = both.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-one", "X-Two"]);
        let one = merged(both, [("X-ONE".to_owned(), Edit::Clear)].into()).expect("valid");
        assert_eq!(one.len(), 1);
    }

    #[test]
    fn the_same_name_in_two_cases_is_refused() {
        let twice = [
            ("A".to_owned(), String::new()),
            ("a".to_owned(), String::new()),
        ];
        assert!(matches!(replaced(twice.into()), Err(Error::Invalid(faults)) if faults.len() == 1));
    }

    #[test]
    fn credentials_are_recognized_by_name() {
        for name in [
            "Authorization",
            "X-Api-Key",
            "x-auth-token",
            "Cookie",
            "my-secret",
        ] {
            assert!(is_sensitive(name), "{name}");
        }
        assert!(!is_sensitive("X-Tenant"));
    }
}
