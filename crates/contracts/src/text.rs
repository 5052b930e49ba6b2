//! The little language of header values and body fields: text with `{placeholders}`.
//!
//! A placeholder is replaced by what the message, the product's instance or the endpoint says;
//! `{{` and `}}` stand for single braces. Nothing is computed and nothing nests, so a text is as
//! safe as its parts.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use watchfire_domain::endpoint::Settings;
use watchfire_domain::id::{EventType, MessageId};

use crate::manifest::Instance;

/// Text with placeholders, as written in a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(Vec<Piece>);

/// A part of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(String),
    Placeholder(Placeholder),
}

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Placeholder {
    /// The posted bytes; only alone, and only in a body.
    Payload,
    EventType,
    MessageId,
    /// When the message was accepted, to 1/256 s: the time in its id.
    AcceptedAt,
    InstanceUrl,
    ProductVersion,
    EndpointOwner,
    EndpointMetadata(String),
}

/// Why a text can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    #[error(
        "{{{0}}} is unknown; use event_type, message_id, accepted_at, instance_url, \
         product_version, endpoint.owner, endpoint.metadata.NAME or, in a body, payload"
    )]
    Unknown(String),
    #[error("a brace stands alone; write {{{{ or }}}} for a brace that is meant as such")]
    Brace,
    #[error("{{payload}} must stand alone")]
    PayloadInText,
}

/// What is known of a destination before any message.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub instance: &'a Instance,
    pub settings: &'a Settings,
}

/// What is known of a message.
#[derive(Clone, Copy)]
pub(crate) struct Occasion<'a> {
    pub message_id: MessageId,
    pub event_type: &'a EventType,
}

impl Text {
    /// A text without placeholders.
    pub(crate) fn literal(text: &str) -> Self {
        Self(vec![Piece::Literal(text.to_owned())])
    }

    /// Whether the text is `{payload}`.
    pub(crate) fn is_payload(&self) -> bool {
        self.0 == [Piece::Placeholder(Placeholder::Payload)]
    }

    pub(crate) fn uses(&self, placeholder: &Placeholder) -> bool {
        self.0
            .iter()
            .any(|piece| matches!(piece, Piece::Placeholder(used) if used == placeholder))
    }

    /// The text with everything filled in that does not depend on a message; `None` if something
    /// is absent that the endpoint may leave out.
    pub(crate) fn settle(&self, around: Surroundings<'_>) -> Option<Self> {
        let mut settled: Vec<Piece> = Vec::new();
        for piece in &self.0 {
            let piece = match piece {
                Piece::Literal(text) => Piece::Literal(text.clone()),
                Piece::Placeholder(placeholder) => match placeholder.known(around) {
                    Known::Now(text) => Piece::Literal(text),
                    Known::Absent => return None,
                    Known::Later => Piece::Placeholder(placeholder.clone()),
                },
            };
            match (settled.last_mut(), piece) {
                (Some(Piece::Literal(before)), Piece::Literal(text)) => before.push_str(&text),
                (_, piece) => settled.push(piece),
            }
        }
        Some(Self(settled))
    }

    /// The text itself, if it has no placeholder left.
    pub(crate) fn as_literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Writes a settled text for one message.
    pub(crate) fn write(&self, occasion: Occasion<'_>, out: &mut String) {
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Placeholder(placeholder) => placeholder.write(occasion, out),
            }
        }
    }
}

/// What a placeholder is worth before any message.
enum Known {
    Now(String),
    Absent,
    Later,
}

impl Placeholder {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "payload" => Self::Payload,
            "event_type" => Self::EventType,
            "message_id" => Self::MessageId,
            "accepted_at" => Self::AcceptedAt,
            "instance_url" => Self::InstanceUrl,
            "product_version" => Self::ProductVersion,
            "endpoint.owner" => Self::EndpointOwner,
            _ => Self::EndpointMetadata(name.strip_prefix("endpoint.metadata.")?.to_owned()),
        })
    }

    fn known(&self, around: Surroundings<'_>) -> Known {
        let value = match self {
            Self::Payload | Self::EventType | Self::MessageId | Self::AcceptedAt => {
                return Known::Later;
            }
            Self::InstanceUrl => around.instance.instance_url.as_ref(),
            Self::ProductVersion => around.instance.product_version.as_ref(),
            Self::EndpointOwner => around.settings.owner.as_ref(),
            Self::EndpointMetadata(name) => around.settings.metadata.get(name),
        };
        value.map_or(Known::Absent, |text| Known::Now(text.clone()))
    }

    fn write(&self, occasion: Occasion<'_>, out: &mut String) {
        match self {
            Self::EventType => out.push_str(occasion.event_type.as_str()),
            Self::MessageId => write_display(out, occasion.message_id),
            Self::AcceptedAt => write_display(out, occasion.message_id.ksuid().created_at()),
            Self::Payload
            | Self::InstanceUrl
            | Self::ProductVersion
            | Self::EndpointOwner
            | Self::EndpointMetadata(_) => {
                debug_assert!(false, "settled before, or written by the body");
            }
        }
    }
}

fn write_display(out: &mut String, value: impl fmt::Display) {
    write!(out, "{value}").expect("a string takes any text");
}

impl FromStr for Text {
    type Err = InvalidText;

    fn from_str(text: &str) -> Result<Self, InvalidText> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if let Some(after) = after.strip_prefix(brace) {
                literal.push_str(brace);
                rest = after;
                continue;
            }
            let (name, after) = match brace {
                "{" => after.split_once('}').ok_or(InvalidText::Brace)?,
                _ => return Err(InvalidText::Brace),
            };
            let placeholder =
                Placeholder::parse(name).ok_or_else(|| InvalidText::Unknown(name.to_owned()))?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Placeholder(placeholder));
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        let text = Self(pieces);
        if text.uses(&Placeholder::Payload) && !text.is_payload() {
            return Err(InvalidText::PayloadInText);
        }
        Ok(text)
    }
}

/// As it is written in a contract.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => {
                    f.write_str(&text.replace('{', "{{").replace('}', "}}"))?;
                }
                Piece::Placeholder(placeholder) => write!(f, "{{{placeholder}}}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payload => f.write_str("payload"),
            Self::EventType => f.write_str("event_type"),
            Self::MessageId => f.write_str("message_id"),
            Self::AcceptedAt => f.write_str("accepted_at"),
            Self::InstanceUrl => f.write_str("instance_url"),
            Self::ProductVersion => f.write_str("product_version"),
            Self::EndpointOwner => f.write_str("endpoint.owner"),
            Self::EndpointMetadata(name) => write!(f, "endpoint.metadata.{name}"),
        }
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_written_as_it_was_read() {
        for text in [
            "",
            "plain",
            "{payload}",
            "{{{event_type}}} {message_id}, {accepted_at}",
            "{instance_url}{product_version}{endpoint.owner}{endpoint.metadata.team}",
        ] {
            let read: Text = text.parse().expect("valid");
            assert_eq!(read.to_string(), text);
            assert_eq!(read.to_string().parse(), Ok(read));
        }
    }

    fn check(text: &str, expect: Result<&str, &InvalidText>) {
        let around = Surroundings {
            instance: &Instance {
                instance_url: Some("https://dojo.example".to_owned()),
                product_version: Some("3.2.0".to_owned()),
            },
            settings: &serde_json::from_str(
                r#"{"url":"https://a.example","metadata":{"team":"red"}}"#,
            )
            .expect("settings"),
        };
        let occasion = Occasion {
            message_id: "msg_000000000000000000000000000".parse().expect("id"),
            event_type: &"threat.create".parse().expect("name"),
        };
        let got = text.parse::<Text>().map(|text| {
            let mut out = String::new();
            match text.settle(around) {
                Some(text) => text.write(occasion, &mut out),
                None => out.push_str("(absent)"),
            }
            out
        });
        assert_eq!(got.as_ref().map(String::as_str), expect, "{text}");
    }

    #[test]
    fn placeholders_are_replaced_and_doubled_braces_kept() {
        check("", Ok(""));
        check("plain", Ok("plain"));
        check("{event_type}", Ok("threat.create"));
        check("DefectDojo-{product_version}", Ok("DefectDojo-3.2.0"));
        check("{{{event_type}}}", Ok("{threat.create}"));
        check("{accepted_at}", Ok("2014-05-13T16:53:20Z"));
        check("{message_id}", Ok("msg_000000000000000000000000000"));
        check(
            "{endpoint.metadata.team}/{instance_url}",
            Ok("red/https://dojo.example"),
        );
        check("{endpoint.metadata.none}", Ok("(absent)"));
        check("{endpoint.owner}", Ok("(absent)"));
    }

    #[test]
    fn faults_are_named() {
        check(
            "{nothing}",
            Err(&InvalidText::Unknown("nothing".to_owned())),
        );
        check("{", Err(&InvalidText::Brace));
        check("a}b", Err(&InvalidText::Brace));
        check("{event_type", Err(&InvalidText::Brace));
        check("x{payload}", Err(&InvalidText::PayloadInText));
    }
}
