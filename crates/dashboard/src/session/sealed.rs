//! What a session's cookie holds, and how it is sealed.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use watchfire_domain::audit::Actor;
use watchfire_domain::id::{ApplicationId, KeyId, OrganizationId};
use watchfire_domain::time::Timestamp;
use watchfire_engine::Vault;
use watchfire_engine::identity::{Caller, Proof, Reach};
use watchfire_store::TokenMark;

use super::{Look, Place, cookie};
use crate::state::DashboardState;
use crate::ui::theme::{Accent, Mode};

/// A cookie is renewed no more often than this, so that most answers set none.
const RENEWAL: Duration = Duration::from_mins(5);
/// Browsers keep no longer cookies.
const BYTES_MAX: usize = 4_096;

/// What a session's cookie holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sealed {
    pub(super) id: [u8; 16],
    pub(super) proof: Proof,
    pub(super) look: Look,
    pub(super) began_at: Timestamp,
    pub(super) seen_at: Timestamp,
}

/// The same, as it is written. A field is added as optional: old cookies are read by new servers.
#[derive(Serialize, Deserialize)]
struct Written {
    id: [u8; 16],
    proof: WrittenProof,
    began_at: Timestamp,
    seen_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accent: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenProof {
    Key(String),
    Token {
        #[serde(default)]
        actor: Actor,
        org: OrganizationId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        application: Option<String>,
        scopes: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        feature_flags: Vec<String>,
        until: Timestamp,
        /// The token's hash. A cookie without it can be ended only with others.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issued_at: Option<Timestamp>,
    },
}

impl Sealed {
    /// The cookie that keeps it.
    pub(super) fn cookie(&self, state: &DashboardState, place: Place) -> HeaderValue {
        let engine = state.engine();
        let plain = serde_json::to_vec(&Written::from(self)).expect("plain data with text keys");
        let sealed = engine
            .vault()
            .seal_bytes(&context(place), &plain, engine.entropy());
        cookie::set(state.is_https(), place, &BASE64.encode(sealed))
    }

    pub(super) fn open(vault: &Vault, place: Place, text: &str) -> Option<Self> {
        if text.len() > BYTES_MAX {
            return None;
        }
        let sealed = BASE64.decode(text).ok()?;
        let plain = vault.open_bytes(&context(place), &sealed).ok()?;
        serde_json::from_slice::<Written>(&plain).ok()?.read()
    }

    /// This session as seen now, if that was not noted just before.
    pub(super) fn renewed(&self, now: Timestamp) -> Option<Self> {
        (now.since(self.seen_at) >= RENEWAL).then(|| Self {
            seen_at: now,
            ..self.clone()
        })
    }
}

/// A cookie of one place does not open in another.
fn context(place: Place) -> Vec<u8> {
    match place {
        Place::Dashboard => b"watchfire session of the dashboard".to_vec(),
        Place::Portal(app) => format!("watchfire session of the portal of {app}").into_bytes(),
    }
}

impl From<&Sealed> for Written {
    fn from(sealed: &Sealed) -> Self {
        Self {
            id: sealed.id,
            proof: WrittenProof::from(&sealed.proof),
            began_at: sealed.began_at,
            seen_at: sealed.seen_at,
            mode: Some(sealed.look.mode.name().to_owned()),
            accent: sealed.look.accent.map(|accent| accent.to_string()),
        }
    }
}

impl Written {
    fn read(self) -> Option<Sealed> {
        let mode = self.mode.as_deref().and_then(|name| name.parse().ok());
        Some(Sealed {
            id: self.id,
            proof: self.proof.read()?,
            look: Look {
                mode: mode.unwrap_or(Mode::Auto),
                accent: self.accent.and_then(|text| text.parse::<Accent>().ok()),
            },
            began_at: self.began_at,
            seen_at: self.seen_at,
        })
    }
}

impl From<&Proof> for WrittenProof {
    fn from(proof: &Proof) -> Self {
        match proof {
            Proof::Key(id) => Self::Key(id.to_string()),
            Proof::Token {
                caller,
                mark,
                until,
            } => Self::Token {
                actor: Actor::clone(&caller.actor),
                org: caller.org.clone(),
                application: match caller.reach {
                    Reach::Everything => None,
                    Reach::Only(app) => Some(app.to_string()),
                },
                scopes: caller.scopes.to_string(),
                feature_flags: caller.feature_flags.clone(),
                until: *until,
                token: Some(BASE64.encode(mark.hash)),
                session: mark.session.clone(),
                issued_at: Some(mark.issued_at),
            },
        }
    }
}

impl WrittenProof {
    fn read(self) -> Option<Proof> {
        Some(match self {
            Self::Key(id) => Proof::Key(id.parse::<KeyId>().ok()?),
            Self::Token {
                actor,
                org,
                application,
                scopes,
                feature_flags,
                until,
                token,
                session,
                issued_at,
            } => {
                let application = match application {
                    None => None,
                    Some(app) => Some(app.parse::<ApplicationId>().ok()?),
                };
                Proof::Token {
                    mark: TokenMark {
                        hash: hash(token)?,
                        org: org.clone(),
                        application,
                        session,
                        issued_at: issued_at.unwrap_or(Timestamp::MIN),
                    },
                    caller: Caller {
                        actor: Arc::new(actor),
                        org,
                        reach: application.map_or(Reach::Everything, Reach::Only),
                        scopes: scopes.parse().ok()?,
                        feature_flags,
                    },
                    until,
                }
            }
        })
    }
}

/// A written hash; all zero, which is no token's, if there is none.
fn hash(text: Option<String>) -> Option<[u8; 32]> {
    match text {
        None => Some([0; 32]),
        Some(text) => BASE64.decode(text).ok()?.try_into().ok(),
    }
}

#[cfg(test)]
mod tests {
    use watchfire_domain::ambient::Entropy;
    use watchfire_domain::id::Ksuid;
    use watchfire_domain::scope::{Scope, Scopes};

    use super::*;

    struct Sevens;

    impl Entropy for Sevens {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    fn sealed(proof: Proof) -> Sealed {
        Sealed {
            id: [3; 16],
            proof,
            look: Look {
                mode: Mode::Dark,
                accent: Some("28bb93".parse().expect("a colour")),
            },
            began_at: Timestamp::EPOCH,
            seen_at: Timestamp::EPOCH,
        }
    }

    fn text(sealed: &Sealed, vault: &Vault, place: Place) -> String {
        let plain = serde_json::to_vec(&Written::from(sealed)).expect("plain data");
        BASE64.encode(vault.seal_bytes(&context(place), &plain, &Sevens))
    }

    #[test]
    fn what_was_sealed_opens_in_its_place_only() {
        let app = ApplicationId::from_ksuid(Ksuid::from_bytes([9; 20]));
        let caller = Caller {
            actor: Arc::new(Actor::CommandLine),
            org: "org_a".parse().expect("valid"),
            reach: Reach::Only(app),
            scopes: Scopes::from_iter([Scope::EndpointsRead]),
            feature_flags: vec!["beta".into()],
        };
        let mark = TokenMark {
            hash: [6; 32],
            org: caller.org.clone(),
            application: Some(app),
            session: Some("laptop".into()),
            issued_at: Timestamp::EPOCH,
        };
        let until = Timestamp::EPOCH + Duration::from_secs(5);
        let proofs = [
            Proof::Token {
                caller,
                mark,
                until,
            },
            Proof::Key(KeyId::from_ksuid(Ksuid::from_bytes([8; 20]))),
        ];
        let vault = Vault::new(&[1; 32]);
        for proof in proofs {
            let sealed = sealed(proof);
            let text = text(&sealed, &vault, Place::Portal(app));
            let opened = Sealed::open(&vault, Place::Portal(app), &text);
            assert_eq!(opened.as_ref(), Some(&sealed));
            let other = ApplicationId::from_ksuid(Ksuid::from_bytes([1; 20]));
            assert_eq!(Sealed::open(&vault, Place::Portal(other), &text), None);
            assert_eq!(Sealed::open(&vault, Place::Dashboard, &text), None);
            let stranger = Vault::new(&[2; 32]);
            assert_eq!(Sealed::open(&stranger, Place::Portal(app), &text), None);
        }
    }

    #[test]
    fn use_is_noted_now_and_then() {
        let sealed = sealed(Proof::Key(KeyId::from_ksuid(Ksuid::from_bytes([8; 20]))));
        let soon = Timestamp::EPOCH + RENEWAL - Duration::from_micros(1);
        assert_eq!(sealed.renewed(soon), None);
        let later = Timestamp::EPOCH + RENEWAL;
        assert_eq!(sealed.renewed(later).expect("due").seen_at, later);
    }
}
