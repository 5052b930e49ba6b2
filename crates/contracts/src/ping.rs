//! What a ping says: the sample of its event type, with the owner of the endpoint it asks.

use bytes::Bytes;
use serde_json::{Map, Value};
use watchfire_domain::endpoint::Settings;

use crate::contract::Contract;
use crate::manifest::PingOwner;

impl Contract {
    /// The payload of a ping for an endpoint with these settings, on one line as a product's events
    /// are; `None` if the contract has none.
    pub fn ping_payload(&self, settings: &Settings) -> Option<Bytes> {
        let ping = self.manifest().ping.as_ref()?;
        let sample = &self.event_type(&ping.event_type)?.sample;
        let mut payload: Value = serde_json::from_str(sample).ok()?;
        if let Some((place, owner)) = ping.owner.as_ref().zip(settings.owner.as_ref())
            && let Some(asked) = payload.pointer_mut(place.pointer.as_str())
        {
            *asked = owner_object(place, owner, settings);
        }
        Some(Bytes::from(payload.to_string()))
    }

    /// Whether the sample has a place for the owner.
    pub(crate) fn ping_has_its_place(&self) -> bool {
        let Some(ping) = &self.manifest().ping else {
            return true;
        };
        let sample = self.event_type(&ping.event_type);
        let sample = sample.and_then(|event| serde_json::from_str::<Value>(&event.sample).ok());
        let has = |place: &PingOwner| {
            let found = sample
                .as_ref()
                .map(|text| text.pointer(place.pointer.as_str()));
            found.flatten().is_some()
        };
        ping.owner.as_ref().is_none_or(has)
    }
}

/// What is known of the owner: what the endpoint's metadata say, under the name it belongs to.
fn owner_object(place: &PingOwner, owner: &str, settings: &Settings) -> Value {
    let said = settings.metadata.get(&place.metadata);
    let said = said.and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
    let mut members = said.unwrap_or_default();
    members.insert(place.name.clone(), Value::from(owner));
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;

    fn check(settings: &Value, expect: &Value) {
        let catalog = Catalog::embedded();
        let contract = catalog.contract("defectdojo").expect("embedded");
        let mut whole = json!({ "url": "https://a.example/" });
        for (name, value) in settings.as_object().expect("an object") {
            whole[name] = value.clone();
        }
        let settings: Settings = serde_json::from_value(whole).expect("settings");
        let payload = contract.ping_payload(&settings).expect("it pings");
        assert!(!payload.contains(&b'\n'), "on one line, as events are");
        let payload: Value = serde_json::from_slice(&payload).expect("JSON");
        let whole =
            json!({ "description": "Test webhook notification", "title": "", "user": expect });
        assert_eq!(payload, whole);
    }

    #[test]
    fn a_ping_names_the_owner_of_a_personal_endpoint_and_nobody_else() {
        check(&json!({}), &json!(null));
        check(
            &json!({ "owner": "user5" }),
            &json!({ "username": "user5" }),
        );
        let user = r#"{"id":6,"email":"u@e.example","username":"someone else"}"#;
        check(
            &json!({ "owner": "user5", "metadata": { "user": user } }),
            &json!({ "id": 6, "email": "u@e.example", "username": "user5" }),
        );
        check(&json!({ "metadata": { "user": user } }), &json!(null));
        for wrong in ["", "7", "[]", "{"] {
            let settings = json!({ "owner": "user5", "metadata": { "user": wrong } });
            check(&settings, &json!({ "username": "user5" }));
        }
    }

    #[test]
    fn a_contract_without_a_ping_has_no_payload_for_it() {
        let settings = json!({ "url": "https://a.example/", "owner": "user5" });
        let settings: Settings = serde_json::from_value(settings).expect("settings");
        let catalog = Catalog::embedded();
        let contract = catalog.contract("dfend").expect("embedded");
        assert_eq!(contract.ping_payload(&settings), None);
    }
}
