//! Encryption of secrets at rest.
//!
//! What may not be read back (signing keys, credentials, custom headers) is sealed with
//! `XChaCha20-Poly1305` before it reaches a store. The endpoint's id is authenticated with it, so a
//! sealed blob moved to another row does not open.
//!
//! What only has to be recognized (API keys) is not stored at all, but its keyed hash: without the
//! vault's key, a stolen database does not even allow guesses to be checked.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use ring::hmac;
use watchfire_domain::ambient::Entropy;
use watchfire_domain::endpoint::Secrets;
use watchfire_domain::id::EndpointId;
use zeroize::Zeroizing;

/// Version of the sealed format, its first byte.
const FORMAT: u8 = 1;
/// Bytes of the nonce that follows it; random, as `XChaCha20` allows.
const NONCE_BYTES: usize = 24;

/// The key that seals secrets.
pub struct Vault {
    cipher: XChaCha20Poly1305,
    hashing: hmac::Key,
    fingerprinting: hmac::Key,
}

/// A sealed blob did not open: another key, another row, or damage.
#[derive(Debug, thiserror::Error)]
#[error(
    "open sealed secrets: they were sealed with another key, for another object, or are damaged"
)]
pub struct VaultError;

impl Vault {
    pub fn new(key: &[u8; 32]) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(key.into()),
            hashing: derived_key(key, b"watchfire hashes of credentials"),
            fingerprinting: derived_key(key, b"watchfire fingerprints of secrets"),
        }
    }

    /// The keyed hash of a credential.
    pub fn hash(&self, credential: &[u8]) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&self.hashing, credential).as_ref());
        hash
    }

    /// Whether `hash` is the credential's; takes the same time wherever they differ.
    pub fn is_hash_of(&self, hash: &[u8; 32], credential: &[u8]) -> bool {
        hmac::verify(&self.hashing, credential, hash).is_ok()
    }

    /// What tells a secret of an endpoint from the next one, and nothing about either.
    pub fn fingerprint(&self, endpoint: EndpointId, secret: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.fingerprinting);
        context.update(endpoint.ksuid().as_bytes());
        context.update(secret);
        let tag = context.sign();
        let start = tag.as_ref().first_chunk().copied().unwrap_or_default();
        format!("{:016x}", u64::from_be_bytes(start))
    }

    /// Seals an endpoint's secrets for storage.
    pub fn seal(&self, endpoint: EndpointId, secrets: &Secrets, entropy: &dyn Entropy) -> Vec<u8> {
        let text = serde_json::to_vec(secrets).expect("secrets are plain data with text keys");
        self.seal_bytes(
            endpoint.to_string().as_bytes(),
            &Zeroizing::new(text),
            entropy,
        )
    }

    pub fn open(&self, endpoint: EndpointId, sealed: &[u8]) -> Result<Secrets, VaultError> {
        let text = self.open_bytes(endpoint.to_string().as_bytes(), sealed)?;
        serde_json::from_slice(&text).map_err(|_| VaultError)
    }

    /// Seals any bytes; `context` must be given again to open them.
    pub fn seal_bytes(&self, context: &[u8], plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        entropy.fill(&mut nonce);
        let payload = Payload {
            msg: plain,
            aad: context,
        };
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("the cipher refuses only texts of many gigabytes");
        let mut out = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
        out.push(FORMAT);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        out
    }

    pub fn open_bytes(
        &self,
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let (&FORMAT, rest) = sealed.split_first().ok_or(VaultError)? else {
            return Err(VaultError);
        };
        let (nonce, text) = rest.split_at_checked(NONCE_BYTES).ok_or(VaultError)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| VaultError)?;
        let payload = Payload {
            msg: text,
            aad: context,
        };
        let plain = self.cipher.decrypt(&XNonce::from(nonce), payload);
        plain.map(Zeroizing::new).map_err(|_| VaultError)
    }
}

/// A key for one purpose, so that what is made with it says nothing about what is sealed, or made
/// for another.
fn derived_key(key: &[u8; 32], purpose: &[u8]) -> hmac::Key {
    let root = hmac::Key::new(hmac::HMAC_SHA256, key);
    let derived = hmac::sign(&root, purpose);
    hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

#[cfg(test)]
mod tests {
    use watchfire_domain::id::Ksuid;
    use watchfire_domain::secret::SigningKey;

    use super::*;

    struct Sevens;

    impl Entropy for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn ids() -> (EndpointId, EndpointId) {
        let id = |byte| EndpointId::from_ksuid(Ksuid::from_bytes([byte; 20]));
        (id(1), id(2))
    }

    #[test]
    fn sealed_secrets_open_only_for_their_endpoint_and_key() {
        let vault = Vault::new(&[1; 32]);
        let secrets = Secrets::with_key(SigningKey::generate(&Sevens));
        let (mine, other) = ids();
        let sealed = vault.seal(mine, &secrets, &Sevens);
        assert_eq!(vault.open(mine, &sealed).expect("its own"), secrets);
        assert!(vault.open(other, &sealed).is_err());
        assert!(Vault::new(&[2; 32]).open(mine, &sealed).is_err());
    }

    #[test]
    fn a_hash_is_one_credentials_under_one_key() {
        let vault = Vault::new(&[1; 32]);
        let hash = vault.hash(b"credential");
        assert!(vault.is_hash_of(&hash, b"credential"));
        assert!(!vault.is_hash_of(&hash, b"another"));
        assert!(!Vault::new(&[2; 32]).is_hash_of(&hash, b"credential"));
        for place in 0..32 {
            let mut changed = hash;
            changed[place] ^= 1;
            assert!(!vault.is_hash_of(&changed, b"credential"), "byte {place}");
        }
    }

    #[test]
    fn a_fingerprint_is_of_one_secret_of_one_endpoint() {
        let vault = Vault::new(&[1; 32]);
        let (mine, other) = ids();
        let print = vault.fingerprint(mine, b"secret");
        assert_eq!(print, vault.fingerprint(mine, b"secret"));
        assert_ne!(print, vault.fingerprint(mine, b"secrets"));
        assert_ne!(print, vault.fingerprint(other, b"secret"));
        assert_ne!(print, Vault::new(&[2; 32]).fingerprint(mine, b"secret"));
    }

    #[test]
    fn damage_is_noticed() {
        let vault = Vault::new(&[1; 32]);
        let (mine, _) = ids();
        let sealed = vault.seal(
            mine,
            &Secrets::with_key(SigningKey::generate(&Sevens)),
            &Sevens,
        );
        for position in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[position] ^= 1;
            assert!(vault.open(mine, &damaged).is_err(), "byte {position}");
        }
        assert!(vault.open(mine, &sealed[..10]).is_err());
        assert!(vault.open(mine, &[]).is_err());
    }
}
