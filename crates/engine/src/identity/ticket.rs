//! Links that sign in once.
//!
//! # Problem
//!
//! Whoever just started a server has no credential yet, and a password nobody set must not exist.
//!
//! # Idea
//!
//! A ticket is sealed with the server's master key, so whoever can read the data folder can make
//! one, without the server's help. It names the organization it opens, ends after
//! [`limit::SIGN_IN_TICKET_LIFE`], and counts once: using it writes its hash beside the remembered
//! requests, in a transaction that fails if it stands there.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use watchfire_domain::ambient::Entropy;
use watchfire_domain::audit::Actor;
use watchfire_domain::id::OrganizationId;
use watchfire_domain::limit;
use watchfire_domain::scope::{Scope, Scopes};
use watchfire_domain::secret::SecretText;
use watchfire_domain::time::Timestamp;
use watchfire_store::{Change, Remembered, TokenMark};

use super::{Caller, Proof, Reach, Refused};
use crate::service;
use crate::{Engine, Vault};

/// Sealed tickets open in no other place.
const CONTEXT: &[u8] = b"watchfire sign-in ticket";
/// Longer texts are no tickets.
const TEXT_BYTES_MAX: usize = 1_024;

#[derive(Serialize, Deserialize)]
struct Ticket {
    org: OrganizationId,
    expires_at: Timestamp,
}

/// A ticket for all of an organization.
pub fn issue(
    vault: &Vault,
    org: &OrganizationId,
    now: Timestamp,
    entropy: &dyn Entropy,
) -> SecretText {
    let ticket = Ticket {
        org: org.clone(),
        expires_at: now + limit::SIGN_IN_TICKET_LIFE,
    };
    let plain = serde_json::to_vec(&ticket).expect("a ticket is plain data");
    SecretText::new(BASE64.encode(vault.seal_bytes(CONTEXT, &plain, entropy)))
}

/// Uses a ticket up.
///
/// # Errors
///
/// [`Refused::NotValid`] if it is none, has expired or was used.
pub async fn redeem(engine: &Engine, text: &str) -> Result<Proof, Refused> {
    let now = engine.clock().now();
    let ticket = open(engine.vault(), text)
        .filter(|ticket| ticket.expires_at > now)
        .ok_or(Refused::NotValid)?;
    let used = Remembered {
        key: engine.vault().hash(text.as_bytes()),
        request: [0; 32],
        answer: Vec::new(),
        expires_at: ticket.expires_at,
    };
    let remember = Change::Remember { answer: used, now };
    match engine.apply(vec![remember]).await.map_err(Into::into) {
        Ok(()) => {}
        Err(service::Error::Repeated(_)) => return Err(Refused::NotValid),
        Err(error) => return Err(error.into()),
    }
    tracing::info!(org = %ticket.org, "a sign-in link was used");
    // Ended with the organization's tokens: it opens as much as one of them.
    let mark = TokenMark {
        hash: super::hash(text),
        org: ticket.org.clone(),
        application: None,
        session: None,
        issued_at: now,
    };
    Ok(Proof::Token {
        caller: Caller {
            actor: Arc::new(Actor::Session {
                user: "sign-in link".to_owned(),
            }),
            org: ticket.org,
            reach: Reach::Everything,
            scopes: Scopes::from_iter([Scope::Admin]),
            feature_flags: Vec::new(),
        },
        mark,
        until: now + limit::SESSION_LIFE,
    })
}

fn open(vault: &Vault, text: &str) -> Option<Ticket> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let sealed = BASE64.decode(text).ok()?;
    let plain = vault.open_bytes(CONTEXT, &sealed).ok()?;
    serde_json::from_slice(&plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sevens;

    impl Entropy for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    #[test]
    fn a_ticket_opens_only_under_the_key_that_made_it() {
        let org: OrganizationId = super::super::DEFAULT_ORGANIZATION.parse().expect("valid");
        let vault = Vault::new(&[1; 32]);
        let text = issue(&vault, &org, Timestamp::EPOCH, &Sevens);
        let ticket = open(&vault, text.expose()).expect("its own");
        assert_eq!(ticket.org, org);
        assert_eq!(
            ticket.expires_at,
            Timestamp::EPOCH + limit::SIGN_IN_TICKET_LIFE
        );
        assert!(open(&Vault::new(&[2; 32]), text.expose()).is_none());
        assert!(open(&vault, &text.expose()[1..]).is_none());
        assert!(open(&vault, &"A".repeat(TEXT_BYTES_MAX + 1)).is_none());
    }
}
