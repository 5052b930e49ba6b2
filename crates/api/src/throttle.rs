//! How often somebody may ask: each credential, each organization, and each address whose
//! credentials are refused.
//!
//! Each is counted by a [`Meter`].
//!
//! # Refused credentials
//!
//! An address that brings too many wrong credentials is not listened to for a while, without
//! looking any up. A credential that was good a short while ago is: behind one proxy, a stranger's
//! guesses do not lock out everybody else.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use parking_lot::Mutex;
use watchfire_domain::id::OrganizationId;
use watchfire_domain::time::Timestamp;
use watchfire_engine::identity::ClientAddress;
use watchfire_engine::identity::meter::{Known, Meter};

use crate::error::{ApiError, ApiResult};

/// How often somebody may ask; `None` is as often as they like.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateLimits {
    /// Requests a second of one token or API key.
    pub per_credential: Option<NonZeroU32>,
    /// Requests a second of one organization, its applications included.
    pub per_organization: Option<NonZeroU32>,
    /// Refused credentials a minute from one address.
    pub refusals_per_address: Option<NonZeroU32>,
}

/// Requests and refusals may come in bursts of so much time.
const BURST: Duration = Duration::from_secs(2);
const REFUSALS_BURST: Duration = Duration::from_mins(1);

/// What all requests pass.
pub(crate) struct Throttle {
    credentials: Option<Mutex<Meter<u64>>>,
    organizations: Option<Mutex<Meter<OrganizationId>>>,
    refusals: Option<Mutex<Refusals>>,
    /// Names credentials for as long as the process lives, and tells nobody what they are.
    names: RandomState,
}

struct Refusals {
    meter: Meter<IpAddr>,
    good: Known<u64>,
}

impl Throttle {
    pub(crate) fn new(limits: RateLimits) -> Self {
        let second = |rate: NonZeroU32| Duration::from_secs(1) / rate.get();
        let refusals = |rate: NonZeroU32| {
            let interval = Duration::from_mins(1) / rate.get();
            Mutex::new(Refusals {
                meter: Meter::new(interval, REFUSALS_BURST),
                good: Known::default(),
            })
        };
        Self {
            credentials: limits
                .per_credential
                .map(|rate| Mutex::new(Meter::new(second(rate), BURST))),
            organizations: limits
                .per_organization
                .map(|rate| Mutex::new(Meter::new(second(rate), BURST))),
            refusals: limits.refusals_per_address.map(refusals),
            names: RandomState::new(),
        }
    }

    /// Whether to look a credential up at all.
    pub(crate) fn may_try(
        &self,
        from: Option<ClientAddress>,
        credential: &str,
        now: Timestamp,
    ) -> ApiResult<()> {
        let (Some(refusals), Some(from)) = (&self.refusals, from) else {
            return Ok(());
        };
        let refusals = refusals.lock();
        match refusals.meter.wait(&from.network(), now) {
            Some(wait) if !refusals.good.knows(&self.names.hash_one(credential)) => {
                Err(ApiError::Limited(wait))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A credential was refused.
    pub(crate) fn refused(&self, from: Option<ClientAddress>, now: Timestamp) {
        if let (Some(refusals), Some(from)) = (&self.refusals, from) {
            refusals.lock().meter.take(from.network(), now);
        }
    }

    /// A credential is good: counts the request for it and its organization.
    pub(crate) fn passed(
        &self,
        credential: &str,
        org: &OrganizationId,
        now: Timestamp,
    ) -> ApiResult<()> {
        let name = self.names.hash_one(credential);
        if let Some(refusals) = &self.refusals {
            refusals.lock().good.learn(name);
        }
        let by_credential = self.credentials.as_ref();
        let waits = by_credential.and_then(|meter| meter.lock().ask(name, now));
        let by_organization = self.organizations.as_ref();
        let waits = waits.or_else(|| by_organization.and_then(|m| m.lock().ask(org.clone(), now)));
        waits.map_or(Ok(()), |wait| Err(ApiError::Limited(wait)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::EPOCH;

    fn limits(requests: u32, refusals: u32) -> Throttle {
        Throttle::new(RateLimits {
            per_credential: NonZeroU32::new(requests),
            per_organization: NonZeroU32::new(requests * 2),
            refusals_per_address: NonZeroU32::new(refusals),
        })
    }

    fn org() -> OrganizationId {
        "org_test".parse().expect("valid")
    }

    fn wait(result: ApiResult<()>) -> Option<Duration> {
        match result {
            Ok(()) => None,
            Err(ApiError::Limited(wait)) => Some(wait),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn from(address: &str) -> ClientAddress {
        ClientAddress(address.parse().expect("an address"))
    }

    #[test]
    fn a_credential_may_ask_so_often_and_its_organization_twice_as_often() {
        let throttle = limits(10, 1);
        let ask = |credential: &str, now| wait(throttle.passed(credential, &org(), now));
        for _ in 0..20 {
            assert_eq!(ask("a", NOW), None, "a burst of two seconds");
        }
        assert_eq!(ask("a", NOW), Some(Duration::from_millis(100)));
        let later = NOW + Duration::from_millis(100);
        assert_eq!(ask("a", later), None);
        assert!(ask("a", later).is_some());
        // What the credential could not ask did not count for its organization: of its burst of
        // 40 and the 2 of a tenth of a second, 21 are used.
        let others = (0..100).map(|number| ask(&format!("other {number}"), later));
        assert_eq!(others.filter(Option::is_none).count(), 21);
    }

    #[test]
    fn an_address_with_wrong_credentials_is_not_listened_to_but_good_ones_are() {
        let throttle = limits(100, 60);
        let here = Some(from("192.0.2.1"));
        throttle.passed("good", &org(), NOW).expect("it is good");
        for _ in 0..60 {
            assert_eq!(wait(throttle.may_try(here, "bad", NOW)), None);
            throttle.refused(here, NOW);
        }
        assert_eq!(
            wait(throttle.may_try(here, "bad", NOW)),
            Some(Duration::from_secs(1))
        );
        assert_eq!(wait(throttle.may_try(here, "good", NOW)), None);
        assert_eq!(
            wait(throttle.may_try(Some(from("192.0.2.2")), "bad", NOW)),
            None
        );
        assert_eq!(wait(throttle.may_try(None, "bad", NOW)), None);
        let later = NOW + Duration::from_secs(1);
        assert_eq!(wait(throttle.may_try(here, "bad", later)), None);
    }

    #[test]
    fn a_network_counts_as_one_address() {
        let throttle = limits(100, 1);
        throttle.refused(Some(from("2001:db8::1")), NOW);
        assert!(wait(throttle.may_try(Some(from("2001:db8::ffff:2")), "bad", NOW)).is_some());
        assert_eq!(
            wait(throttle.may_try(Some(from("2001:db8:0:1::1")), "bad", NOW)),
            None
        );
        throttle.refused(Some(from("::ffff:192.0.2.1")), NOW);
        assert!(wait(throttle.may_try(Some(from("192.0.2.1")), "bad", NOW)).is_some());
    }

    #[test]
    fn without_limits_nobody_waits() {
        let throttle = Throttle::new(RateLimits::default());
        for _ in 0..10_000 {
            throttle.refused(Some(from("192.0.2.1")), NOW);
            assert_eq!(wait(throttle.passed("a", &org(), NOW)), None);
        }
        assert_eq!(
            wait(throttle.may_try(Some(from("192.0.2.1")), "bad", NOW)),
            None
        );
    }
}
