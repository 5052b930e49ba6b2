//! Tokens: minting them, and what their claims mean.

use std::sync::Arc;
use std::time::Duration;

use subtle::ConstantTimeEq as _;
use watchfire_domain::audit::Actor;
use watchfire_domain::id::{ApplicationId, OrganizationId};
use watchfire_domain::scope::{Scope, Scopes};
use watchfire_domain::secret::SecretText;
use watchfire_domain::time::Timestamp;
use watchfire_store::TokenMark;

use super::jwt::{Claims, Keys};
use super::{Caller, Reach, Refused, hash};

/// The organization of a server that has only one; the Svix server's default as well.
pub const DEFAULT_ORGANIZATION: &str = "org_23rb8YdGqMT0qIzpgGwdXfHirMu";

const ORGANIZATION_PREFIX: &str = "org_";
const ISSUER: &str = "watchfire";
/// An organization's token is configuration: it lives as long as an installation.
const ORGANIZATION_LIFE: Duration = Duration::from_hours(24 * 365 * 10);
/// An application's token is a session of one customer.
pub(super) const APPLICATION_LIFE: Duration = Duration::from_hours(24 * 28);
/// A token that this server makes for an application is not accepted for longer.
pub const APPLICATION_TOKEN_LIFE_MAX: Duration = APPLICATION_LIFE.saturating_add(SKEW);
/// What a customer does in the portal: all with its own endpoints, but no events of its own.
const CUSTOMER: [Scope; 4] = [
    Scope::EndpointsRead,
    Scope::EndpointsWrite,
    Scope::SecretsRead,
    Scope::Replay,
];
/// Clocks of those who mint tokens may differ from ours by this much.
const SKEW: Duration = Duration::from_mins(1);

/// What a token for one application gives; by default all a customer may do, for the longest time.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    /// It sees event types without a feature flag or with one of these.
    pub feature_flags: Vec<String>,
    /// Never more than a customer may do.
    pub scopes: Option<Scopes>,
    /// At most 28 days.
    pub life: Option<Duration>,
    /// What tokens that belong together are ended by.
    pub session: Option<String>,
}

/// What a token's signature and claims prove.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) caller: Caller,
    pub(super) mark: TokenMark,
    /// It is not valid from then on.
    pub(super) until: Timestamp,
}

/// Mints and verifies tokens with one secret.
pub struct Tokens {
    secret: SecretText,
    keys: Keys,
}

impl Tokens {
    pub fn new(secret: &SecretText) -> Self {
        Self {
            secret: secret.clone(),
            keys: Keys::new(secret.expose().as_bytes()),
        }
    }

    /// A token for all of an organization.
    pub fn for_organization(&self, org: &OrganizationId, now: Timestamp) -> String {
        self.keys.sign(&Claims {
            sub: Some(org.to_string()),
            ..lasting(now, ORGANIZATION_LIFE)
        })
    }

    /// A token for one application.
    pub fn for_application(
        &self,
        org: &OrganizationId,
        app: ApplicationId,
        grant: Grant,
        now: Timestamp,
    ) -> String {
        let scopes = grant.scopes.map(|scopes| scopes.to_string());
        self.keys.sign(&Claims {
            sub: Some(app.to_string()),
            org: Some(org.to_string()),
            feature_flags: grant.feature_flags,
            scopes,
            sid: grant.session,
            ..lasting(
                now,
                grant.life.unwrap_or(APPLICATION_LIFE).min(APPLICATION_LIFE),
            )
        })
    }

    /// Whom a token speaks for, if it is genuine and its time has not passed.
    pub(super) fn verify(&self, token: &str, now: Timestamp) -> Result<Verified, Refused> {
        let claims = self
            .keys
            .verify(token)
            .ok_or_else(|| self.not_a_token(token))?;
        let until = claims.exp.map_or(Timestamp::MAX, |exp| instant(exp) + SKEW);
        let from = claims.nbf.map_or(Timestamp::MIN, |nbf| instant(nbf) - SKEW);
        if now < from || now >= until {
            return Err(Refused::NotValid);
        }
        let (issued_at, session) = (issued_at(&claims), claims.sid.clone());
        let caller = caller(claims)?;
        let mark = TokenMark {
            hash: hash(token),
            org: caller.org.clone(),
            application: match caller.reach {
                Reach::Everything => None,
                Reach::Only(application) => Some(application),
            },
            session,
            issued_at,
        };
        Ok(Verified {
            caller,
            mark,
            until,
        })
    }

    fn not_a_token(&self, token: &str) -> Refused {
        let secret = self.secret.expose().as_bytes();
        if bool::from(secret.ct_eq(token.as_bytes())) {
            Refused::SigningSecret
        } else {
            Refused::NotValid
        }
    }
}

fn lasting(now: Timestamp, life: Duration) -> Claims {
    Claims {
        iat: Some(seconds(now)),
        nbf: Some(seconds(now)),
        exp: Some(seconds(now + life)),
        iss: Some(ISSUER.into()),
        iat_us: Some(now.unix_micros()),
        ..Claims::default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "seconds stay far below 2^53")]
fn seconds(at: Timestamp) -> f64 {
    at.unix_seconds() as f64
}

/// Saturates; what is not a number lies in the past.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast from float saturates"
)]
fn instant(seconds: f64) -> Timestamp {
    Timestamp::from_unix_micros((seconds * 1_000_000.0) as i64)
}

/// The exact time counts only within the second that everybody else reads.
fn issued_at(claims: &Claims) -> Timestamp {
    let Some(second) = claims.iat.map(instant) else {
        return Timestamp::MIN;
    };
    let exact = claims.iat_us.map(Timestamp::from_unix_micros);
    let exact = exact.filter(|at| at.unix_seconds() == second.unix_seconds());
    exact.unwrap_or(second)
}

fn caller(claims: Claims) -> Result<Caller, Refused> {
    let subject = claims.sub.ok_or(Refused::NoSubject)?;
    let actor = Arc::new(Actor::Token {
        subject: subject.clone(),
    });
    let Some(org) = claims.org else {
        return Ok(Caller {
            actor,
            org: organization(&subject).ok_or(Refused::BadSubject)?,
            reach: Reach::Everything,
            scopes: Scopes::from_iter([Scope::Admin]),
            feature_flags: claims.feature_flags,
        });
    };
    let bad = |claim, kind| Refused::BadClaim { claim, kind };
    let customer = Scopes::from_iter(CUSTOMER);
    let scopes = match claims.scopes {
        None => customer,
        // Never more than a customer may have, whoever signed it.
        Some(text) => {
            let asked: Scopes = text
                .parse()
                .map_err(|_| bad("scopes", "a list of scopes"))?;
            customer
                .granted()
                .filter(|scope| asked.allow(*scope))
                .collect()
        }
    };
    Ok(Caller {
        actor,
        org: organization(&org).ok_or_else(|| bad("org", "organization"))?,
        reach: Reach::Only(subject.parse().map_err(|_| bad("sub", "application"))?),
        scopes,
        feature_flags: claims.feature_flags,
    })
}

fn organization(text: &str) -> Option<OrganizationId> {
    text.strip_prefix(ORGANIZATION_PREFIX)
        .filter(|rest| !rest.is_empty())?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        Tokens::new(&SecretText::new("secret".into()))
    }

    fn verified(claims: &Claims) -> Result<Caller, Refused> {
        let tokens = tokens();
        let token = tokens.keys.sign(claims);
        tokens
            .verify(&token, Timestamp::EPOCH)
            .map(|verified| verified.caller)
    }

    fn claims(sub: Option<&str>, org: Option<&str>) -> Claims {
        Claims {
            sub: sub.map(Into::into),
            org: org.map(Into::into),
            ..Claims::default()
        }
    }

    #[test]
    fn a_minted_token_speaks_for_its_owner_until_it_expires() {
        let org: OrganizationId = DEFAULT_ORGANIZATION.parse().expect("valid");
        let token = tokens().for_organization(&org, Timestamp::EPOCH);
        let verified = tokens().verify(&token, Timestamp::EPOCH).expect("valid");
        let (caller, until) = (verified.caller, verified.until);
        assert_eq!((caller.org, caller.reach), (org, Reach::Everything));
        assert_eq!(until, Timestamp::EPOCH + ORGANIZATION_LIFE + SKEW);
        assert!(tokens().verify(&token, until).is_err());
        assert!(
            tokens()
                .verify(&token, until - Duration::from_micros(1))
                .is_ok()
        );
        let early = Timestamp::EPOCH - SKEW - Duration::from_secs(1);
        assert!(tokens().verify(&token, early).is_err());
    }

    #[test]
    fn claims_that_name_no_owner_are_told_apart() {
        let app = "app_000000000000000000000000000";
        let check = |sub, org| verified(&claims(sub, org)).expect_err("refused");
        verified(&claims(Some(app), Some("org_a"))).expect("valid");
        assert!(matches!(check(None, None), Refused::NoSubject));
        assert!(matches!(check(None, Some("org_a")), Refused::NoSubject));
        assert!(matches!(check(Some("a"), None), Refused::BadSubject));
        assert!(matches!(check(Some(app), None), Refused::BadSubject));
        let bad = |claim| move |refused| matches!(refused, Refused::BadClaim { claim: c, .. } if c == claim);
        assert!(bad("org")(check(Some(app), Some("a"))));
        assert!(bad("sub")(check(Some("a"), Some("org_a"))));
    }

    #[test]
    fn an_application_s_token_gives_no_more_than_a_customer_may_do() {
        let app = "app_000000000000000000000000000";
        let check = |scopes: Option<&str>, expect: &[Scope]| {
            let claims = Claims {
                scopes: scopes.map(Into::into),
                ..claims(Some(app), Some("org_a"))
            };
            let caller = verified(&claims).expect("valid");
            assert_eq!(
                caller.scopes,
                expect.iter().copied().collect(),
                "{scopes:?}"
            );
        };
        check(None, &CUSTOMER);
        check(Some("endpoints:read"), &[Scope::EndpointsRead]);
        check(Some("admin"), &CUSTOMER);
        check(Some("events:write"), &[]);
        let claims = Claims {
            scopes: Some("everything".into()),
            ..claims(Some(app), Some("org_a"))
        };
        assert!(verified(&claims).is_err());
    }

    #[test]
    fn whoever_sends_the_secret_is_told_so() {
        let check = |token: &str| {
            tokens()
                .verify(token, Timestamp::EPOCH)
                .expect_err("no token")
        };
        assert!(matches!(check("nonsense"), Refused::NotValid));
        assert!(matches!(check("secret"), Refused::SigningSecret));
    }
}
