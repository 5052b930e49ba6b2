//! Custom headers of an endpoint: what may be set, and what may be read back.

use std::collections::BTreeMap;

use watchfire_contracts::HeaderFault;
use watchfire_domain::secret::SecretText;

use super::Edit;
use super::check::Faults;

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
pub(super) fn replaced(wanted: BTreeMap<String, String>) -> Headers {
    let headers = wanted.into_iter();
    headers
        .map(|(name, value)| (name, SecretText::new(value)))
        .collect()
}

/// Headers after setting some and removing others.
pub(super) fn merged(mut old: Headers, changes: BTreeMap<String, Edit<String>>) -> Headers {
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
    old
}

/// Notes a fault at the header it is about.
pub(super) fn note(fault: &HeaderFault, faults: &mut Faults) {
    match named_by(fault) {
        Some(name) => faults.add_at("headers", name, fault),
        None => faults.add("headers", fault),
    }
}

/// The header a fault is about.
fn named_by(fault: &HeaderFault) -> Option<String> {
    match fault {
        HeaderFault::Name { name }
        | HeaderFault::Reserved { name }
        | HeaderFault::Value { name }
        | HeaderFault::ValueLength { name }
        | HeaderFault::Repeated { name } => Some(name.clone()),
        HeaderFault::TooMany | HeaderFault::TooLarge => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_ignores_letter_case_and_keeps_the_new_spelling() {
        let old = vec![("X-One".to_owned(), SecretText::new("1".into()))];
        let changes = [
            ("x-one".to_owned(), Edit::Set("2".to_owned())),
            ("X-Two".to_owned(), Edit::Set("3".to_owned())),
        ];
        let both = merged(old, changes.into());
        let names: Vec<_> = both.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-one", "X-Two"]);
        let one = merged(both, [("X-ONE".to_owned(), Edit::Clear)].into());
        assert_eq!(one.len(), 1);
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
