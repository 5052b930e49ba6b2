//! How often somebody may ask: each credential, each organization, and each address whose
//! credentials are refused.
//!
//! # Idea
//!
//! For each name there is one instant: when it will have used up what it was given, if it asked no
//! more. Who asks moves the instant on by one interval, and is refused while it is further ahead
//! than a burst. So a name costs one number, and nothing has to run to refill anything.
//!
//! Names are kept in two generations of a bounded size. A name that is forgotten may ask anew.
//!
//! # Refused credentials
//!
//! An address that brings too many wrong credentials is not listened to for a while, without
//! looking any up. A credential that was good a short while ago is: behind one proxy, a stranger's
//! guesses do not lock out everybody else.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use parking_lot::Mutex;
use watchfire_domain::id::OrganizationId;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;

use crate::error::{ApiError, ApiResult};

/// Where a request comes from, as the listener knows it: the peer, or whom a trusted proxy names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

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
    good: Generations<HashSet<u64>>,
}

impl Throttle {
    pub(crate) fn new(limits: RateLimits) -> Self {
        let second = |rate: NonZeroU32| Duration::from_secs(1) / rate.get();
        let refusals = |rate: NonZeroU32| {
            let interval = Duration::from_mins(1) / rate.get();
            Mutex::new(Refusals {
                meter: Meter::new(interval, REFUSALS_BURST),
                good: Generations::default(),
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
        match refusals.meter.wait(&network(from.0), now) {
            Some(wait) if !refusals.good.knows(self.names.hash_one(credential)) => {
                Err(ApiError::Limited(wait))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A credential was refused.
    pub(crate) fn refused(&self, from: Option<ClientAddress>, now: Timestamp) {
        if let (Some(refusals), Some(from)) = (&self.refusals, from) {
            refusals.lock().meter.take(network(from.0), now);
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

/// Who commands an address of version 6 commands all of its network.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => IpAddr::V4(four),
            None => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() >> 64 << 64)),
        },
    }
}

/// One instant a name: when it will have used up what it was given.
struct Meter<K> {
    interval: Duration,
    burst: Duration,
    used_up_at: Generations<HashMap<K, Timestamp>>,
}

impl<K: Clone + Eq + Hash> Meter<K> {
    fn new(interval: Duration, burst: Duration) -> Self {
        Self {
            interval,
            // One request always fits.
            burst: burst.max(interval),
            used_up_at: Generations::default(),
        }
    }

    /// How long a name must wait; `None` if it need not.
    fn wait(&self, name: &K, now: Timestamp) -> Option<Duration> {
        let used_up_at = *self.used_up_at.get(name)?;
        let ahead = used_up_at.since(now) + self.interval;
        ahead.checked_sub(self.burst).filter(|wait| !wait.is_zero())
    }

    /// Counts one, whatever that leads to.
    fn take(&mut self, name: K, now: Timestamp) {
        let used_up_at = self.used_up_at.get(&name).copied();
        let used_up_at = used_up_at.map_or(now, |at| at.max(now)) + self.interval;
        self.used_up_at.insert(name, used_up_at);
    }

    /// Counts one unless it must wait.
    fn ask(&mut self, name: K, now: Timestamp) -> Option<Duration> {
        let wait = self.wait(&name, now);
        if wait.is_none() {
            self.take(name, now);
        }
        wait
    }
}

/// What was seen lately, in two generations: when the young one is full, the old one is forgotten.
#[derive(Default)]
struct Generations<T> {
    young: T,
    old: T,
}

const GENERATION: usize = limit::THROTTLED_NAMES_MAX / 2;

impl<K: Eq + Hash> Generations<HashMap<K, Timestamp>> {
    fn get(&self, name: &K) -> Option<&Timestamp> {
        self.young.get(name).or_else(|| self.old.get(name))
    }

    fn insert(&mut self, name: K, at: Timestamp) {
        if self.young.len() >= GENERATION && !self.young.contains_key(&name) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, at);
    }
}

impl Generations<HashSet<u64>> {
    fn knows(&self, name: u64) -> bool {
        self.young.contains(&name) || self.old.contains(&name)
    }

    fn learn(&mut self, name: u64) {
        if self.young.contains(&name) {
            return;
        }
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name);
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
    fn memory_does_not_grow_with_the_names() {
        let mut meter = Meter::new(Duration::from_secs(1), BURST);
        for name in 0..limit::THROTTLED_NAMES_MAX * 3 {
            meter.take(name, NOW);
            let kept = meter.used_up_at.young.len() + meter.used_up_at.old.len();
            assert!(kept <= limit::THROTTLED_NAMES_MAX);
        }
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
