//! The receiver's side of a signature, for `watchfire verify` and for people who want to see how
//! it is done.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use watchfire_domain::secret::{InvalidSecret, SigningKey};
use watchfire_domain::time::Timestamp;

use crate::signature::{ASYMMETRIC_VERSION, Content, SYMMETRIC_VERSION};

//= https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#verifying-signatures
//# has a timestamp that is within some allowable tolerance of the current timestamp to prevent replay attacks
/// How far the time of the attempt may be from ours, in both directions.
pub const TOLERANCE: Duration = Duration::from_mins(5);
/// Signatures looked at; each costs a computation.
const SIGNATURES_MAX: usize = 32;

/// Bytes of an HMAC-SHA256.
const HMAC_BYTES: usize = 32;

/// A key that can check signatures but, if it is asymmetric, make none.
pub struct VerifyingKey(Kind);

enum Kind {
    Symmetric(hmac::Key),
    Asymmetric(UnparsedPublicKey<Vec<u8>>),
}

/// What a request carried.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// `webhook-id`.
    pub id: &'a str,
    /// `webhook-timestamp`.
    pub timestamp: &'a str,
    /// `webhook-signature`.
    pub signature: &'a str,
    /// The exact bytes of the body.
    pub body: &'a [u8],
}

/// Why a request is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the timestamp is not a number of seconds")]
    Timestamp,
    #[error("the timestamp is more than {} s old", TOLERANCE.as_secs())]
    TooOld,
    #[error("the timestamp is more than {} s in the future", TOLERANCE.as_secs())]
    TooNew,
    #[error("no signature was made with this key over this id, timestamp and body")]
    Signature,
}

impl VerifyingKey {
    /// Reads `whsec_…`, `whpk_…` or `whsk_…`.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        if let Some(digits) = text.strip_prefix(SigningKey::ED25519_PUBLIC_PREFIX) {
            let bytes = BASE64.decode(digits).map_err(|_| InvalidSecret::Base64)?;
            return match bytes.len() {
                32 => Ok(Self::public(bytes)),
                _ => Err(InvalidSecret::Ed25519Length),
            };
        }
        Ok(match SigningKey::parse(text)? {
            SigningKey::Symmetric(bytes) => {
                Self(Kind::Symmetric(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
            }
            SigningKey::Ed25519(bytes) => {
                let pair = Ed25519KeyPair::from_seed_unchecked(&bytes[..32])
                    .map_err(|_| InvalidSecret::Ed25519Length)?;
                Self::public(pair.public_key().as_ref().to_vec())
            }
        })
    }

    fn public(bytes: Vec<u8>) -> Self {
        Self(Kind::Asymmetric(UnparsedPublicKey::new(&ED25519, bytes)))
    }

    fn accepts(&self, version: &str, signature: &str, content: Content<'_>) -> bool {
        match &self.0 {
            Kind::Symmetric(key) if version == SYMMETRIC_VERSION => {
                BASE64.decode(signature).is_ok_and(|given| {
                    // The length first: a part of a signature is none.
                    given.len() == HMAC_BYTES
                        && hmac::verify(key, &content.joined(), &given).is_ok()
                })
            }
            Kind::Asymmetric(key) if version == ASYMMETRIC_VERSION => BASE64
                .decode(signature)
                .is_ok_and(|given| key.verify(&content.joined(), &given).is_ok()),
            Kind::Symmetric(_) | Kind::Asymmetric(_) => false,
        }
    }
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.0 {
            Kind::Symmetric(_) => "[symmetric key]",
            Kind::Asymmetric(_) => "[ed25519 public key]",
        })
    }
}

/// Checks that one of `keys` signed what was received, and that it was signed about now.
pub fn verify(
    received: Received<'_>,
    keys: &[VerifyingKey],
    now: Timestamp,
) -> Result<(), Refusal> {
    check_time(received.timestamp, now)?;
    let content = Content {
        id: received.id,
        timestamp: received.timestamp,
        body: received.body,
    };
    let signatures = received.signature.split(' ').take(SIGNATURES_MAX);
    let accepted =
        signatures
            .filter_map(|entry| entry.split_once(','))
            .any(|(version, signature)| {
                keys.iter()
                    .any(|key| key.accepts(version, signature, content))
            });
    if accepted {
        Ok(())
    } else {
        Err(Refusal::Signature)
    }
}

fn check_time(text: &str, now: Timestamp) -> Result<(), Refusal> {
    let seconds: i64 = text.parse().map_err(|_| Refusal::Timestamp)?;
    let signed_at = Timestamp::from_unix_seconds(seconds);
    let now = Timestamp::from_unix_seconds(now.unix_seconds());
    if now.since(signed_at) > TOLERANCE {
        Err(Refusal::TooOld)
    } else if signed_at.since(now) > TOLERANCE {
        Err(Refusal::TooNew)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
