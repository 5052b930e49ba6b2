//! Ids as the API shows them: a prefix and 27 base62 digits that sort by time.
//!
//! The 20 bytes behind the digits are a KSUID with sub-second precision: 40 bits of time in
//! units of 1/256 s since 2014-05-13T16:53:20Z, then 120 bits of chance. Text and bytes sort alike,
//! so an id is also the position of its object in a time-ordered list.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ambient::Entropy;
use crate::limit;
use crate::time::Timestamp;

/// Number of base62 digits in an id.
pub const DIGITS: usize = 27;
/// Number of bytes in an id.
pub const BYTES: usize = 20;
/// KSUID time starts here, in seconds since 1970.
const EPOCH_SECONDS: i64 = 1_400_000_000;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The 20 bytes of a time-sortable id, without a prefix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ksuid([u8; BYTES]);

/// Why a text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    #[error("expected an id that begins with {0:?}")]
    Prefix(&'static str),
    #[error("expected {DIGITS} letters and digits after the prefix")]
    Length,
    #[error("an id holds only the letters A-Z and a-z and the digits 0-9")]
    Digit,
    #[error("the id is larger than any that can exist")]
    Range,
}

impl Ksuid {
    pub const MIN: Self = Self([0; BYTES]);
    pub const MAX: Self = Self([0xff; BYTES]);

    pub fn new(now: Timestamp, entropy: &dyn Entropy) -> Self {
        let mut id = Self::first_at(now);
        entropy.fill(&mut id.0[5..]);
        id
    }

    /// The id that comes next; the largest stays.
    #[must_use]
    pub fn next(self) -> Self {
        let mut bytes = self.0;
        for byte in bytes.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                return Self(bytes);
            }
        }
        Self::MAX
    }

    /// The smallest id of that instant: a bound for time windows.
    pub fn first_at(at: Timestamp) -> Self {
        let micros = at.unix_micros().saturating_sub(EPOCH_SECONDS * 1_000_000);
        let ticks = i128::from(micros.max(0)) * 256 / 1_000_000;
        let ticks = u64::try_from(ticks).unwrap_or(u64::MAX).min((1 << 40) - 1);
        let mut bytes = [0; BYTES];
        bytes[..5].copy_from_slice(&ticks.to_be_bytes()[3..]);
        Self(bytes)
    }

    /// When the id was made, to 1/256 s.
    pub fn created_at(self) -> Timestamp {
        let mut ticks = [0; 8];
        ticks[3..].copy_from_slice(&self.0[..5]);
        let micros = i128::from(u64::from_be_bytes(ticks)) * 1_000_000 / 256;
        let micros = i64::try_from(micros).unwrap_or(i64::MAX);
        Timestamp::from_unix_micros(micros.saturating_add(EPOCH_SECONDS * 1_000_000))
    }

    pub fn from_bytes(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    /// The digits, as ASCII.
    pub fn digits(self) -> [u8; DIGITS] {
        // Long division of the 160-bit number by 62^9 yields nine digits a round.
        const CHUNK: u64 = 13_537_086_546_263_552;
        let mut words: [u32; 5] = [0; 5];
        for (word, chunk) in words.iter_mut().zip(self.0.chunks_exact(4)) {
            *word = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        }
        let mut digits = [b'0'; DIGITS];
        for round in (0..3).rev() {
            let mut rest: u128 = 0;
            for word in &mut words {
                let value = (rest << 32) | u128::from(*word);
                *word = u32::try_from(value / u128::from(CHUNK)).unwrap_or(0);
                rest = value % u128::from(CHUNK);
            }
            let mut rest = u64::try_from(rest).unwrap_or(0);
            for digit in digits[round * 9..(round + 1) * 9].iter_mut().rev() {
                *digit = ALPHABET[usize::try_from(rest % 62).unwrap_or(0)];
                rest /= 62;
            }
        }
        digits
    }
}

impl fmt::Display for Ksuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits();
        f.write_str(std::str::from_utf8(&digits).expect("base62 digits are ASCII"))
    }
}

impl fmt::Debug for Ksuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Ksuid {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() != DIGITS {
            return Err(InvalidId::Length);
        }
        let mut bytes = [0u8; BYTES];
        for digit in text.bytes() {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'A'..=b'Z' => digit - b'A' + 10,
                b'a'..=b'z' => digit - b'a' + 36,
                _ => return Err(InvalidId::Digit),
            };
            let mut carry = u32::from(value);
            for byte in bytes.iter_mut().rev() {
                carry += u32::from(*byte) * 62;
                *byte = carry.to_le_bytes()[0];
                carry >>= 8;
            }
            if carry != 0 {
                return Err(InvalidId::Range);
            }
        }
        Ok(Self(bytes))
    }
}

/// Declares the id type of one kind of object.
macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Ksuid);

        impl $name {
            pub const PREFIX: &'static str = $prefix;

            pub fn new(now: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(Ksuid::new(now, entropy))
            }

            pub fn from_ksuid(ksuid: Ksuid) -> Self {
                Self(ksuid)
            }

            pub fn ksuid(self) -> Ksuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($prefix)?;
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let digits = text
                    .strip_prefix($prefix)
                    .ok_or(InvalidId::Prefix($prefix))?;
                digits.parse().map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

id_type!(
    /// A tenant.
    ApplicationId, "app_"
);
id_type!(
    /// A URL with settings, subscriptions, secrets and health.
    EndpointId, "ep_"
);
id_type!(
    /// An accepted event; also its `webhook-id` on the wire.
    MessageId, "msg_"
);
id_type!(
    /// One HTTP request for a delivery.
    AttemptId, "atmpt_"
);
id_type!(
    /// A notice, and the operational webhook it makes.
    NoticeId, "notice_"
);
id_type!(
    /// A durable background job such as a replay.
    TaskId, "qtask_"
);
id_type!(
    /// A revocable API key.
    KeyId, "key_"
);

id_type!(
    /// A line of the audit log.
    AuditId, "audit_"
);

/// Why a text is not a name a caller may choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    #[error("must have 1 to {max} characters", max = limit::NAME_CHARS_MAX)]
    Length,
    #[error("may hold only letters, digits, '-', '_' and '.'")]
    Charset,
    #[error("must not begin with {0:?}, which marks our own ids")]
    ReservedPrefix(&'static str),
}

fn check_name(text: &str) -> Result<(), InvalidName> {
    if text.is_empty() || text.len() > limit::NAME_CHARS_MAX {
        return Err(InvalidName::Length);
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text.bytes().all(allowed) {
        Ok(())
    } else {
        Err(InvalidName::Charset)
    }
}

/// Declares a text of the charset `[a-zA-Z0-9\-_.]`, 1 to 256 characters long.
macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                check_name(&text)?;
                Ok(Self(text))
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::try_from(text.to_owned())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::try_from(String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
    };
}

name_type!(
    /// The caller's own id of an application or endpoint, or of a message (`eventId`).
    Uid
);
name_type!(
    /// The name of an event type, for example `threat.created`.
    EventType
);
name_type!(
    /// Who owns applications; named by a token, `org_…`.
    OrganizationId
);

impl Uid {
    /// A uid for an object whose ids begin with `prefix`; it must not look like such an id.
    pub fn for_prefix(text: String, prefix: &'static str) -> Result<Self, InvalidName> {
        if text.starts_with(prefix) {
            return Err(InvalidName::ReservedPrefix(prefix));
        }
        Self::try_from(text)
    }
}

#[cfg(test)]
mod tests;
