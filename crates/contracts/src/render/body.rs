//! The body: the posted bytes, and what the contract puts around them.

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::manifest;
use crate::text::{Occasion, Surroundings, Text};

/// Room for an id, an event type and a time.
const VARYING: usize = 128;

/// How a body is made.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Body {
    /// The posted bytes.
    Payload,
    /// Fixed and varying parts, one after the other.
    Parts(Vec<Part>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Part {
    Fixed(String),
    Payload,
    /// Written as a JSON string.
    Text(Text),
}

impl Body {
    pub(super) fn new(body: &manifest::Body, around: Surroundings<'_>) -> Self {
        match body {
            manifest::Body::Payload(_) => Self::Payload,
            manifest::Body::Object(members) => Self::Parts(parts(members, around)),
        }
    }

    /// The body for one message. Bytes of the payload are never changed, only framed.
    pub(super) fn render(&self, occasion: Occasion<'_>, payload: &Bytes) -> Bytes {
        let parts = match self {
            Self::Payload => return payload.clone(),
            Self::Parts(parts) => parts,
        };
        let fixed: usize = parts.iter().map(Part::fixed_bytes).sum();
        let mut body = BytesMut::with_capacity(fixed + payload.len() + VARYING);
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Fixed(fixed) => body.put_slice(fixed.as_bytes()),
                Part::Payload => body.put_slice(payload),
                Part::Text(varying) => {
                    text.clear();
                    varying.write(occasion, &mut text);
                    body.put_slice(json_string(&text).as_bytes());
                }
            }
        }
        body.freeze()
    }
}

impl Part {
    fn fixed_bytes(&self) -> usize {
        match self {
            Self::Fixed(text) => text.len(),
            Self::Payload | Self::Text(_) => 0,
        }
    }
}

/// An object's members as parts; a member whose value is absent is left out.
fn parts(members: &[manifest::Member], around: Surroundings<'_>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut fixed = String::from("{");
    for member in members {
        let Some(value) = member.value.settle(around) else {
            continue;
        };
        if fixed != "{" || !parts.is_empty() {
            fixed.push(',');
        }
        fixed.push_str(&json_string(&member.key));
        fixed.push(':');
        if let Some(text) = value.as_literal() {
            fixed.push_str(&json_string(text));
            continue;
        }
        parts.push(Part::Fixed(std::mem::take(&mut fixed)));
        parts.push(if value.is_payload() {
            Part::Payload
        } else {
            Part::Text(value)
        });
    }
    fixed.push('}');
    parts.push(Part::Fixed(fixed));
    parts
}

fn json_string(text: &str) -> String {
    serde_json::to_string(text).expect("a text can always be written as JSON")
}
