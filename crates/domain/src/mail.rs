//! Addresses of people who are told by e-mail.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limit;

/// Octets before the `@`.
//= https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1.1
//# The maximum total length of a user name or other local-part is 64 octets.
const LOCAL_PART_MAX: usize = 64;
/// Octets between two dots of a domain name.
const LABEL_MAX: usize = 63;

/// An e-mail address that can be written into a command or a header as it stands: it holds
/// neither spaces, quotes, line breaks nor anything beyond ASCII.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(String);

/// An address and the name that is shown with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// Without control characters.
    pub name: Option<String>,
    pub address: Address,
}

/// Why a text is not an address we send to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAddress {
    #[error("expected an address such as security@example.com")]
    Form,
    #[error("may have at most {max} characters", max = limit::MAIL_ADDRESS_CHARS_MAX)]
    Length,
    #[error("letters beyond ASCII are not supported; write the domain in its xn-- form")]
    NotAscii,
    #[error("a name must not hold control characters")]
    Name,
}

impl Address {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    //= https://www.rfc-editor.org/rfc/rfc5321#section-4.1.2
    //# Mailbox        = Local-part "@" ( Domain / address-literal )
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if !text.is_ascii() {
            return Err(InvalidAddress::NotAscii);
        }
        if text.len() > limit::MAIL_ADDRESS_CHARS_MAX {
            return Err(InvalidAddress::Length);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidAddress::Form)?;
        let is_local = local.len() <= LOCAL_PART_MAX && local.split('.').all(is_atom);
        let is_domain = domain.split('.').all(is_label);
        if is_local && is_domain {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidAddress::Form)
        }
    }
}

//= https://www.rfc-editor.org/rfc/rfc5322#section-3.2.3
//# atext           =   ALPHA / DIGIT /    ; Printable US-ASCII
fn is_atom(text: &str) -> bool {
    let is_atext =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_atext)
}

fn is_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=LABEL_MAX).contains(&text.len())
        && text.bytes().all(is_inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl FromStr for Mailbox {
    type Err = InvalidAddress;

    /// Reads `security@example.com` and `Watchfire <security@example.com>`.
    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        let Some((name, rest)) = text.split_once('<') else {
            let address = text.parse()?;
            return Ok(Self {
                name: None,
                address,
            });
        };
        let address = rest.strip_suffix('>').ok_or(InvalidAddress::Form)?;
        let name = name.trim().trim_matches('"').trim();
        if name.chars().any(char::is_control) || name.chars().count() > limit::NAME_CHARS_MAX {
            return Err(InvalidAddress::Name);
        }
        Ok(Self {
            name: (!name.is_empty()).then(|| name.to_owned()),
            address: address.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in [
            "a@b",
            "security@example.com",
            "first.last+tag@sub-domain.example.com",
            "o'neil_{x}@xn--bcher-kva.example",
        ] {
            assert_eq!(text.parse::<Address>().expect(text).as_str(), text);
        }
        let long = format!(
            "{}@{}",
            "a".repeat(64),
            ["b".repeat(62), "c".repeat(62)].join(".")
        );
        assert!(long.parse::<Address>().is_ok());
    }

    #[test]
    fn what_could_leave_its_place_is_no_address() {
        for text in [
            "",
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a@b\r\nRCPT TO:<x@y>",
            "a\n@b",
            "a@b>",
            "<a@b",
            "\"a b\"@c",
            "a..b@c",
            ".a@c",
            "a@b..c",
            "a@-b",
            "a@b-",
            "a@[127.0.0.1]",
            "a@b\0",
        ] {
            assert_eq!(
                text.parse::<Address>(),
                Err(InvalidAddress::Form),
                "{text:?}"
            );
        }
        assert_eq!("ä@b".parse::<Address>(), Err(InvalidAddress::NotAscii));
        let local = format!("{}@b", "a".repeat(65));
        assert_eq!(local.parse::<Address>(), Err(InvalidAddress::Form));
        let long = format!("a@{}", ["b"; 130].join("."));
        assert_eq!(long.parse::<Address>(), Err(InvalidAddress::Length));
    }

    #[test]
    fn a_mailbox_may_have_a_name() {
        let check = |text: &str, name: Option<&str>| {
            let mailbox: Mailbox = text.parse().expect(text);
            assert_eq!(mailbox.name.as_deref(), name);
            assert_eq!(mailbox.address.as_str(), "a@b.c");
        };
        check("a@b.c", None);
        check(" Wächter <a@b.c> ", Some("Wächter"));
        check("\"The, watch\" <a@b.c>", Some("The, watch"));
        check("<a@b.c>", None);
        for text in [
            "Watch\r\nBcc: <a@b.c>",
            "x <a@b.c",
            "x <a@b.c> y",
            "x a@b.c",
        ] {
            assert!(text.parse::<Mailbox>().is_err(), "{text:?}");
        }
    }
}
