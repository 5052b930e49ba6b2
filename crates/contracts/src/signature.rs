//! Standard Webhooks signatures: `v1` with HMAC-SHA256 and `v1a` with ed25519.
//!
//! The signed content is made of the message id, the time of the attempt and the exact bytes of the
//! body, so whoever changes one of them, or repeats an old request, is found out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;
use ring::signature::Ed25519KeyPair;
use watchfire_domain::secret::SigningKey;

pub(crate) const SYMMETRIC_VERSION: &str = "v1";
pub(crate) const ASYMMETRIC_VERSION: &str = "v1a";
/// A version and its comma, base64 of 64 bytes, and the space before the next one.
const SIGNATURE_CHARS_MAX: usize = 4 + 88 + 1;

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    pub id: &'a str,
    /// Seconds since 1970, as in the header.
    pub timestamp: &'a str,
    /// The exact bytes of the body.
    pub body: &'a [u8],
}

/// The public half of an ed25519 key does not belong to the private half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the two halves of the ed25519 key do not belong together")]
pub struct KeyMismatch;

/// A signing key, made ready: the derived state is computed once, not per message.
pub struct Signer(Kind);

enum Kind {
    Symmetric(hmac::Key),
    Asymmetric(Box<Ed25519KeyPair>),
}

impl Signer {
    pub fn new(key: &SigningKey) -> Result<Self, KeyMismatch> {
        Ok(Self(match key {
            SigningKey::Symmetric(bytes) => {
                Kind::Symmetric(hmac::Key::new(hmac::HMAC_SHA256, bytes))
            }
            SigningKey::Ed25519(bytes) => {
                let (seed, public) = bytes.split_at_checked(32).ok_or(KeyMismatch)?;
                let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public)
                    .map_err(|_| KeyMismatch)?;
                Kind::Asymmetric(Box::new(pair))
            }
        }))
    }

    /// Appends `v1,…` or `v1a,…`.
    fn append_signature(&self, content: Content<'_>, out: &mut String) {
        match &self.0 {
            Kind::Symmetric(key) => {
                append(out, SYMMETRIC_VERSION, hmac_tag(key, content).as_ref());
            }
            Kind::Asymmetric(pair) => {
                append(
                    out,
                    ASYMMETRIC_VERSION,
                    pair.sign(&content.joined()).as_ref(),
                );
            }
        }
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.0 {
            Kind::Symmetric(_) => "[symmetric signer]",
            Kind::Asymmetric(_) => "[ed25519 signer]",
        })
    }
}

fn append(out: &mut String, version: &str, bytes: &[u8]) {
    if !out.is_empty() {
        out.push(' ');
    }
    out.push_str(version);
    out.push(',');
    BASE64.encode_string(bytes, out);
}

/// The tag over the content, without joining its parts in memory first.
fn hmac_tag(key: &hmac::Key, content: Content<'_>) -> hmac::Tag {
    let mut hash = hmac::Context::with_key(key);
    for part in content.parts() {
        hash.update(part);
    }
    hash.sign()
}

impl Content<'_> {
    //= https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md#signature-scheme
    //# The content to be signed is therefore: `{msg_id}.{timestamp}.{payload}`.
    fn parts(&self) -> [&[u8]; 5] {
        [
            self.id.as_bytes(),
            b".",
            self.timestamp.as_bytes(),
            b".",
            self.body,
        ]
    }

    pub(crate) fn joined(&self) -> Vec<u8> {
        self.parts().concat()
    }
}

/// The value of the signature header: one signature per key, separated by spaces, in their order.
pub fn sign<'a>(signers: impl Iterator<Item = &'a Signer>, content: Content<'_>) -> String {
    let mut header = String::with_capacity(SIGNATURE_CHARS_MAX);
    for signer in signers {
        signer.append_signature(content, &mut header);
    }
    header
}

#[cfg(test)]
pub(crate) mod tests;
