//! JSON Web Tokens signed with HMAC: only what this server mints and accepts.
//!
//! Only the three HMAC algorithms exist here, all with the same secret, so a token can't choose
//! an algorithm that means something else to us than to whoever signed it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::hmac;
use serde::{Deserialize, Serialize, Serializer};

/// A token's claims, as far as anyone here looks at them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Claims {
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "whole_seconds"
    )]
    #[serde(default)]
    pub(super) iat: Option<f64>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "whole_seconds"
    )]
    #[serde(default)]
    pub(super) exp: Option<f64>,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "whole_seconds"
    )]
    #[serde(default)]
    pub(super) nbf: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sub: Option<String>,
    /// The organization, in a token for one application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) org: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) feature_flags: Vec<String>,
    /// What a token for one application may do; all a customer may do if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) scopes: Option<String>,
    /// When it was made, to the microsecond: tokens made just before and just after others were
    /// ended are told apart by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) iat_us: Option<i64>,
    /// The session that a token for one application is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sid: Option<String>,
}

/// Fractions are allowed and understood, but we write none: many libraries expect integers.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast from float saturates"
)]
#[expect(
    clippy::ref_option,
    reason = "serde hands over a reference to the field"
)]
fn whole_seconds<S: Serializer>(seconds: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    seconds.map(|seconds| seconds as i64).serialize(serializer)
}

#[derive(Deserialize)]
struct Header<'a> {
    alg: &'a str,
    /// Extensions that must be understood; none is.
    #[serde(default)]
    crit: Option<serde::de::IgnoredAny>,
}

/// The header of every token we mint.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
/// Longer ones are nobody's.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The keys made of one secret.
pub(super) struct Keys {
    hs256: hmac::Key,
    hs384: hmac::Key,
    hs512: hmac::Key,
}

impl Keys {
    pub(super) fn new(secret: &[u8]) -> Self {
        Self {
            hs256: hmac::Key::new(hmac::HMAC_SHA256, secret),
            hs384: hmac::Key::new(hmac::HMAC_SHA384, secret),
            hs512: hmac::Key::new(hmac::HMAC_SHA512, secret),
        }
    }

    pub(super) fn sign(&self, claims: &Claims) -> String {
        let claims = serde_json::to_vec(claims).expect("claims are plain data with text keys");
        let mut token = BASE64.encode(HEADER);
        token.push('.');
        BASE64.encode_string(claims, &mut token);
        let signature = hmac::sign(&self.hs256, token.as_bytes());
        token.push('.');
        BASE64.encode_string(signature, &mut token);
        token
    }

    /// The claims of a token one of the keys signed; its times are for the caller to check.
    pub(super) fn verify(&self, token: &str) -> Option<Claims> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header = BASE64.decode(header).ok()?;
        let header: Header<'_> = serde_json::from_slice(&header).ok()?;
        let key = match header.alg {
            "HS256" => &self.hs256,
            "HS384" => &self.hs384,
            "HS512" => &self.hs512,
            _ => return None,
        };
        let signature = BASE64.decode(signature).ok()?;
        hmac::verify(key, signed.as_bytes(), &signature).ok()?;
        if header.crit.is_some() {
            return None;
        }
        serde_json::from_slice(&BASE64.decode(claims).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    //= https://www.rfc-editor.org/rfc/rfc7515#appendix-A.1
    //# Example JWS Using HMAC SHA-256
    const PUBLISHED: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\
        eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0\
        cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const PUBLISHED_KEY: &str = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4\
        hcgUuTwjAzZr1Z9CAow";

    fn signed_as(alg: &str, key: &hmac::Key) -> String {
        let header = BASE64.encode(format!(r#"{{"alg":"{alg}"}}"#));
        let signed = format!("{header}.{}", BASE64.encode(r#"{"sub":"org_a"}"#));
        let signature = BASE64.encode(hmac::sign(key, signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    #[test]
    fn the_published_example_is_understood() {
        let key = BASE64.decode(PUBLISHED_KEY).expect("base64");
        let claims = Keys::new(&key).verify(PUBLISHED).expect("valid");
        assert_eq!(claims.iss.as_deref(), Some("joe"));
        assert_eq!(claims.exp, Some(1_300_819_380.0));
        assert_eq!(Keys::new(b"another").verify(PUBLISHED), None);
    }

    #[test]
    fn what_was_signed_is_what_is_read() {
        let keys = Keys::new(b"secret");
        let claims = Claims {
            exp: Some(5.0),
            sub: Some("app_b".into()),
            org: Some("org_a".into()),
            feature_flags: vec!["beta".into()],
            ..Claims::default()
        };
        assert_eq!(keys.verify(&keys.sign(&claims)), Some(claims));
    }

    #[test]
    fn times_are_minted_as_integers_and_read_as_any_number() {
        let keys = Keys::new(b"secret");
        let claims = Claims {
            iat: Some(1_795_256_688.0),
            nbf: Some(-1.0),
            exp: Some(4_102_444_800.0),
            ..Claims::default()
        };
        let token = keys.sign(&claims);
        let minted = token.split('.').nth(1).expect("a token has claims");
        let minted = BASE64.decode(minted).expect("base64");
        assert_eq!(
            String::from_utf8(minted).expect("JSON"),
            r#"{"iat":1795256688,"exp":4102444800,"nbf":-1}"#
        );
        for text in ["1795256688", "1795256688.0", "1.795256688e9"] {
            let claims: Claims =
                serde_json::from_str(&format!(r#"{{"exp":{text}}}"#)).expect("claims");
            assert_eq!(claims.exp, Some(1_795_256_688.0), "{text}");
        }
    }

    #[test]
    fn the_longer_hashes_are_understood() {
        let keys = Keys::new(b"secret");
        for (alg, key) in [
            ("HS256", &keys.hs256),
            ("HS384", &keys.hs384),
            ("HS512", &keys.hs512),
        ] {
            assert!(keys.verify(&signed_as(alg, key)).is_some(), "{alg}");
        }
    }

    #[test]
    fn no_other_algorithm_is_believed() {
        let keys = Keys::new(b"secret");
        for alg in ["none", "None", "hs256", "RS256", "HS384", ""] {
            assert!(keys.verify(&signed_as(alg, &keys.hs256)).is_none(), "{alg}");
        }
    }

    #[test]
    fn changed_or_broken_tokens_are_refused() {
        let keys = Keys::new(b"secret");
        let token = keys.sign(&Claims::default());
        for place in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert_eq!(keys.verify(&changed), None, "byte {place}");
        }
        for text in [
            "",
            ".",
            "..",
            "a.b",
            "a.b.c.d",
            &token[1..],
            &token[..token.len() - 1],
        ] {
            assert_eq!(keys.verify(text), None, "{text}");
        }
        assert_eq!(keys.verify(&"a".repeat(TOKEN_BYTES_MAX + 1)), None);
    }
}
