//! Texts and keys that must not reach a log: their `Debug` redacts, their memory is cleared.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use crate::ambient::Entropy;
use crate::limit;
use crate::time::Timestamp;

/// A secret text, such as a password or a token.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself: for the wire and for sealing, never for a log or an answer.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Serialized only into what is sealed before it is stored.
impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// A key that signs deliveries.
#[derive(Clone, PartialEq, Eq)]
pub enum SigningKey {
    /// HMAC-SHA256: 24 to 75 bytes, `whsec_` and base64.
    Symmetric(Zeroizing<Vec<u8>>),
    /// Ed25519: the 32-byte seed and the 32-byte public key, `whsk_` and base64.
    Ed25519(Zeroizing<Vec<u8>>),
}

/// Why a text is not a signing secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSecret {
    #[error("expected whsec_ or whsk_ followed by base64")]
    Base64,
    #[error(
        "a symmetric secret must have {min} to {max} bytes",
        min = limit::SECRET_BYTES_MIN,
        max = limit::SECRET_BYTES_MAX
    )]
    SymmetricLength,
    #[error("an ed25519 key must have 64 bytes: the seed and the public key")]
    Ed25519Length,
    #[error("a public key can't sign; expected whsec_ or whsk_")]
    PublicKey,
}

impl SigningKey {
    pub const SYMMETRIC_PREFIX: &'static str = "whsec_";
    pub const ED25519_PREFIX: &'static str = "whsk_";
    pub const ED25519_PUBLIC_PREFIX: &'static str = "whpk_";
    /// Bytes of a secret we make.
    const GENERATED_BYTES: usize = 24;

    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new(vec![0; Self::GENERATED_BYTES]);
        entropy.fill(&mut bytes);
        Self::Symmetric(bytes)
    }

    /// Reads `whsec_…`, `whsk_…`, or bare base64, which is taken for a symmetric secret.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        if text.starts_with(Self::ED25519_PUBLIC_PREFIX) {
            return Err(InvalidSecret::PublicKey);
        }
        let decode = |digits: &str| {
            let bytes = BASE64.decode(digits).map_err(|_| InvalidSecret::Base64)?;
            Ok(Zeroizing::new(bytes))
        };
        if let Some(digits) = text.strip_prefix(Self::ED25519_PREFIX) {
            let bytes = decode(digits)?;
            return match bytes.len() {
                64 => Ok(Self::Ed25519(bytes)),
                _ => Err(InvalidSecret::Ed25519Length),
            };
        }
        let bytes = decode(text.strip_prefix(Self::SYMMETRIC_PREFIX).unwrap_or(text))?;
        match bytes.len() {
            limit::SECRET_BYTES_MIN..=limit::SECRET_BYTES_MAX => Ok(Self::Symmetric(bytes)),
            _ => Err(InvalidSecret::SymmetricLength),
        }
    }

    /// The secret as its owner may see it: `whsec_…`, or `whpk_…` for an asymmetric key, whose
    /// private half never leaves.
    pub fn shareable(&self) -> String {
        match self {
            Self::Symmetric(bytes) => format!("{}{}", Self::SYMMETRIC_PREFIX, BASE64.encode(bytes)),
            Self::Ed25519(bytes) => {
                format!(
                    "{}{}",
                    Self::ED25519_PUBLIC_PREFIX,
                    BASE64.encode(&bytes[32..])
                )
            }
        }
    }

    /// The secret in full, for sealing.
    fn sealed_text(&self) -> Zeroizing<String> {
        Zeroizing::new(match self {
            Self::Symmetric(bytes) => format!("{}{}", Self::SYMMETRIC_PREFIX, BASE64.encode(bytes)),
            Self::Ed25519(bytes) => format!("{}{}", Self::ED25519_PREFIX, BASE64.encode(bytes)),
        })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Symmetric(_) => "[symmetric key]",
            Self::Ed25519(_) => "[ed25519 key]",
        })
    }
}

impl Serialize for SigningKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.sealed_text())
    }
}

impl<'de> Deserialize<'de> for SigningKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        Self::parse(&text).map_err(de::Error::custom)
    }
}

/// A replaced signing key that goes on signing until `expires_at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OldKey {
    pub key: SigningKey,
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_bounds() {
        let text = |bytes: usize| format!("whsec_{}", BASE64.encode(vec![7; bytes]));
        assert_eq!(
            SigningKey::parse(&text(23)),
            Err(InvalidSecret::SymmetricLength)
        );
        assert_eq!(
            SigningKey::parse(&text(76)),
            Err(InvalidSecret::SymmetricLength)
        );
        for bytes in [24, 75] {
            let key = SigningKey::parse(&text(bytes)).expect("valid");
            assert_eq!(key.shareable(), text(bytes));
        }
        assert_eq!(SigningKey::parse(""), Err(InvalidSecret::SymmetricLength));
        assert_eq!(SigningKey::parse("whsec_!"), Err(InvalidSecret::Base64));
        assert_eq!(
            SigningKey::parse("whpk_AAAA"),
            Err(InvalidSecret::PublicKey)
        );
        assert_eq!(
            SigningKey::parse("whsk_AAAA"),
            Err(InvalidSecret::Ed25519Length)
        );
    }

    #[test]
    fn private_half_is_never_shown() {
        let mut bytes = vec![1; 64];
        bytes[32..].fill(2);
        let key = SigningKey::parse(&format!("whsk_{}", BASE64.encode(&bytes))).expect("valid");
        assert_eq!(key.shareable(), format!("whpk_{}", BASE64.encode([2; 32])));
        assert_eq!(format!("{key:?}"), "[ed25519 key]");
    }

    #[test]
    fn sealing_round_trips() {
        let key = SigningKey::parse(&BASE64.encode([9; 32])).expect("valid");
        let text = serde_json::to_string(&key).expect("serializable");
        assert_eq!(
            serde_json::from_str::<SigningKey>(&text).expect("readable"),
            key
        );
    }
}
