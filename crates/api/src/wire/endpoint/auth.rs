//! How a receiver is told who is calling. Credentials go in and never come out: what comes out
//! tells two of them apart.

use ring::hmac;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfire_domain::endpoint::Auth;
use watchfire_domain::id::EndpointId;
use watchfire_domain::secret::SecretText;

/// How the receiver is told who is calling, beyond the signature.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum AuthIn {
    None,
    Basic {
        username: String,
        #[schema(value_type = String, write_only)]
        password: SecretText,
    },
    Bearer {
        #[schema(value_type = String, write_only)]
        token: SecretText,
    },
    Header {
        name: String,
        #[schema(value_type = String, write_only)]
        value: SecretText,
    },
}

impl From<AuthIn> for Auth {
    fn from(auth: AuthIn) -> Self {
        match auth {
            AuthIn::None => Self::None,
            AuthIn::Basic { username, password } => Self::Basic { username, password },
            AuthIn::Bearer { token } => Self::Bearer { token },
            AuthIn::Header { name, value } => Self::Header { name, value },
        }
    }
}

/// How the receiver is told who is calling, without the credential.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum AuthOut {
    None,
    Basic {
        username: String,
        /// Differs where the credential differs; says nothing else about it.
        fingerprint: String,
    },
    Bearer {
        fingerprint: String,
    },
    Header {
        name: String,
        fingerprint: String,
    },
}

impl AuthOut {
    /// `key` makes fingerprints worthless for guessing: without it none can be computed.
    pub(super) fn new(auth: &Auth, endpoint: EndpointId, key: &hmac::Key) -> Self {
        let print = |secret: &SecretText| {
            let mut context = hmac::Context::with_key(key);
            context.update(endpoint.ksuid().as_bytes());
            context.update(secret.expose().as_bytes());
            let tag = context.sign();
            let start = tag.as_ref().first_chunk().copied().unwrap_or_default();
            format!("{:08x}", u32::from_be_bytes(start))
        };
        match auth {
            Auth::None => Self::None,
            Auth::Basic { username, password } => Self::Basic {
                username: username.clone(),
                fingerprint: print(password),
            },
            Auth::Bearer { token } => Self::Bearer {
                fingerprint: print(token),
            },
            Auth::Header { name, value } => Self::Header {
                name: name.clone(),
                fingerprint: print(value),
            },
        }
    }
}
