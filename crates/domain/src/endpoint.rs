//! A URL with settings, subscriptions and secrets, owned by an application.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::filter::{Mismatch, Subscription};
use crate::id::{EndpointId, EventType, Uid};
use crate::message::Details;
use crate::secret::{OldKey, SecretText, SigningKey};
use crate::time::Timestamp;

/// What an endpoint's owner set, as far as anyone who sees the endpoint may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Normalized: the serialized form of what was parsed.
    pub url: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Switched off by its owner. Health is another matter.
    #[serde(default)]
    pub disabled: bool,
    #[serde(default)]
    pub subscription: Subscription,
    /// Deliveries per second, at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle_rate: Option<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// A number of the caller's; Svix's older SDKs require it.
    #[serde(default = "first_version")]
    pub version: u32,
    /// Overrides the contract's method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Deadline over a whole attempt in milliseconds; the contract decides if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u32>,
    /// Whether messages about one record wait for each other; the contract decides if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered: Option<bool>,
    /// The user the endpoint belongs to; absent for one of the whole application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

fn first_version() -> u32 {
    1
}

/// What an endpoint's owner set and nobody may read back. Sealed before it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Secrets {
    pub key: SigningKey,
    /// Replaced keys that still sign.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub old_keys: Vec<OldKey>,
    /// Custom headers in the spelling and order given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, SecretText)>,
    #[serde(default)]
    pub auth: Auth,
}

impl Secrets {
    /// A fresh endpoint's: one key, no headers.
    pub fn with_key(key: SigningKey) -> Self {
        Self {
            key,
            old_keys: Vec::new(),
            headers: Vec::new(),
            auth: Auth::None,
        }
    }

    /// The keys that sign at `now`: the current one first.
    pub fn signing_keys(&self, now: Timestamp) -> impl Iterator<Item = &SigningKey> {
        let live = self.old_keys.iter().filter(move |old| old.expires_at > now);
        std::iter::once(&self.key).chain(live.map(|old| &old.key))
    }
}

/// How the receiver is told who is calling, beyond the signature.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Auth {
    #[default]
    None,
    Basic {
        username: String,
        password: SecretText,
    },
    Bearer {
        token: SecretText,
    },
    Header {
        name: String,
        value: SecretText,
    },
}

/// The request methods webhooks use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    Post,
    Put,
    Patch,
    Get,
}

impl Method {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Get => "GET",
        }
    }
}

/// Who an endpoint is, apart from what was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub id: EndpointId,
    pub uid: Option<Uid>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Settings {
    /// Whether a new message goes to this endpoint, or why not.
    pub fn wants(&self, event_type: &EventType, details: &Details) -> Result<(), Mismatch> {
        if self.disabled {
            return Err(Mismatch::Disabled);
        }
        let recipients = details.recipients.as_ref();
        if !recipients.is_none_or(|named| named.include(self.owner.as_ref())) {
            return Err(Mismatch::Recipient);
        }
        self.subscription.matches(event_type, &details.channels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Recipients;

    #[test]
    fn a_personal_endpoint_gets_what_is_for_its_owner() {
        let settings = |owner: &str| -> Settings {
            serde_json::from_str(&format!(
                r#"{{"url":"https://a.example/","owner":{owner}}}"#
            ))
            .expect("settings")
        };
        let named = |users: &[&str], shared| Details {
            recipients: Some(Recipients {
                users: users.iter().map(ToString::to_string).collect(),
                shared,
            }),
            ..Details::default()
        };
        let event_type = "scan_added".parse().expect("valid");
        let check = |owner: &str, details: &Details, expect: bool| {
            let wanted = settings(owner).wants(&event_type, details);
            let expect = if expect {
                Ok(())
            } else {
                Err(Mismatch::Recipient)
            };
            assert_eq!(wanted, expect, "{owner} {details:?}");
        };
        let (ann, nobody) = (r#""ann""#, "null");
        for owner in [ann, nobody] {
            check(owner, &Details::default(), true);
        }
        check(ann, &named(&["bob", "ann"], false), true);
        check(ann, &named(&["bob"], true), false);
        check(ann, &named(&[], true), false);
        check(nobody, &named(&["ann"], true), true);
        check(nobody, &named(&["ann"], false), false);
    }
}
