//! What a payload says about its message: which record it is about, and how urgent it is.

use serde_json::Value;
use watchfire_domain::limit;
use watchfire_domain::message::Urgency;

use crate::contract::Contract;
use crate::manifest::{Pointer, Urgent, UrgentFixed};

/// What a payload says about its message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `None` where the contract or the payload names no record.
    pub record_key: Option<String>,
    pub urgency: Urgency,
    /// The users it is for; empty where it names none.
    pub recipients: Vec<String>,
}

impl Contract {
    /// Whether [`Contract::facts`] looks into the payload; if not, there is no need to parse it.
    pub fn reads_payload(&self, event_type: &str) -> bool {
        !self.record_pointers(event_type).is_empty()
            || !self.manifest().messages.recipients.is_empty()
            || matches!(self.urgent(event_type), Urgent::ByValue(_))
    }

    /// What a payload of this event type says about its message.
    pub fn facts(&self, event_type: &str, payload: &Value) -> Facts {
        Facts {
            record_key: record_key(self.record_pointers(event_type), payload),
            urgency: urgency(self.urgent(event_type), payload),
            recipients: recipients(&self.manifest().messages.recipients, payload),
        }
    }

    fn record_pointers(&self, event_type: &str) -> &[Pointer] {
        let own = self.event_type(event_type);
        let own = own.and_then(|event| event.about.record.as_ref());
        own.unwrap_or(&self.manifest().messages.record)
    }

    fn urgent(&self, event_type: &str) -> &Urgent {
        let own = self.event_type(event_type);
        let own = own.and_then(|event| event.about.urgent.as_ref());
        own.unwrap_or(&self.manifest().messages.urgent)
    }
}

/// The values at all pointers, joined by `/`. A key that is too long is cut: records that share
/// its beginning then wait for each other, which costs time but never order.
fn record_key(pointers: &[Pointer], payload: &Value) -> Option<String> {
    let texts: Option<Vec<String>> = pointers
        .iter()
        .map(|pointer| scalar_text(payload.pointer(pointer.as_str())?))
        .collect();
    let key = texts.filter(|texts| !texts.is_empty())?.join("/");
    match key.char_indices().nth(limit::RECORD_KEY_CHARS_MAX) {
        Some((end, _)) => Some(key[..end].to_owned()),
        None => Some(key),
    }
}

/// The texts at all pointers, each once; more than a message can name are left out.
fn recipients(pointers: &[Pointer], payload: &Value) -> Vec<String> {
    let mut users: Vec<String> = Vec::new();
    for pointer in pointers {
        let found = payload.pointer(pointer.as_str());
        let found = match found {
            Some(Value::Array(items)) => items.as_slice(),
            other => other.map(std::slice::from_ref).unwrap_or_default(),
        };
        for user in found.iter().filter_map(scalar_text) {
            if !users.contains(&user) && users.len() < limit::RECIPIENTS_PER_MESSAGE_MAX {
                users.push(user);
            }
        }
    }
    users
}

fn urgency(urgent: &Urgent, payload: &Value) -> Urgency {
    let is_urgent = match urgent {
        Urgent::Fixed(UrgentFixed::Always) => true,
        Urgent::Fixed(UrgentFixed::Never) => false,
        Urgent::ByValue(by) => {
            let text = payload.pointer(by.pointer.as_str()).and_then(scalar_text);
            text.is_some_and(|text| by.values.contains(&text))
        }
    };
    if is_urgent {
        Urgency::Urgent
    } else {
        Urgency::Ordinary
    }
}

/// A text or number; nothing else names a record or a grade.
fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;
    use crate::source::Source;

    fn pointers(texts: &[&str]) -> Vec<Pointer> {
        let texts = serde_json::to_value(texts).expect("texts");
        serde_json::from_value(texts).expect("pointers")
    }

    fn check(texts: &[&str], payload: &Value, expect: Option<&str>) {
        assert_eq!(
            record_key(&pointers(texts), payload).as_deref(),
            expect,
            "{payload}"
        );
    }

    #[test]
    fn a_record_key_joins_texts_and_numbers() {
        check(&["/a"], &json!({"a": "x"}), Some("x"));
        check(&["/a", "/b/0"], &json!({"a": "x", "b": [7]}), Some("x/7"));
        check(&[], &json!({"a": "x"}), None);
        check(&["/a"], &json!({"b": "x"}), None);
        check(&["/a", "/b"], &json!({"a": "x"}), None);
        for unusable in [json!(null), json!(""), json!(true), json!([1]), json!({})] {
            check(&["/a"], &json!({ "a": unusable }), None);
        }
    }

    #[test]
    fn a_long_record_key_is_cut_between_characters() {
        for length in [limit::RECORD_KEY_CHARS_MAX, limit::RECORD_KEY_CHARS_MAX + 1] {
            let key = record_key(&pointers(&["/a"]), &json!({"a": "ä".repeat(length)}));
            let chars = key.expect("a key").chars().count();
            assert_eq!(chars, limit::RECORD_KEY_CHARS_MAX);
        }
    }

    #[test]
    fn recipients_are_texts_and_lists_of_texts() {
        let found = |payload: &Value| recipients(&pointers(&["/user/name", "/to"]), payload);
        assert_eq!(
            found(&json!({"user": {"name": "ann"}, "to": ["bob", "ann", 7, null]})),
            ["ann", "bob", "7"]
        );
        for nobody in [
            json!({}),
            json!({"user": null, "to": []}),
            json!({"to": {"a": "b"}}),
        ] {
            assert!(found(&nobody).is_empty(), "{nobody}");
        }
        let many: Vec<_> = (0..=limit::RECIPIENTS_PER_MESSAGE_MAX)
            .map(|n| n.to_string())
            .collect();
        assert_eq!(
            found(&json!({ "to": many })).len(),
            limit::RECIPIENTS_PER_MESSAGE_MAX
        );
    }

    #[test]
    fn an_event_type_can_differ_from_its_contract() {
        let manifest = r#"
            title = "A"
            summary = "A"
            [messages]
            record = ["/id"]
            urgent = { pointer = "/risk", values = ["high"] }
            [events.quiet]
            description = "A"
            record = []
            urgent = "never"
            [events.loud]
            description = "A"
            urgent = "always"
        "#;
        let files = [
            "schemas/quiet",
            "schemas/loud",
            "samples/quiet",
            "samples/loud",
        ]
        .map(|file| Source::new(format!("a/{file}.json"), "{}"));
        let sources = [
            vec![Source::new("a/contract.toml", manifest)],
            files.to_vec(),
        ]
        .concat();
        let catalog = Catalog::embedded().with_sources(&sources).expect("valid");
        let contract = catalog.contract("a").expect("added");
        let payload = json!({"id": 1, "risk": "high"});
        let facts = |event| contract.facts(event, &payload);
        assert_eq!(facts("other").urgency, Urgency::Urgent);
        assert_eq!(facts("other").record_key.as_deref(), Some("1"));
        assert_eq!(facts("quiet"), Facts::default());
        assert_eq!(facts("loud").urgency, Urgency::Urgent);
        assert!(!contract.reads_payload("quiet"));
        assert!(contract.reads_payload("loud"));
    }
}
