//! How often a sign-in may be refused: for each address, and for all strangers together.
//!
//! A credential is long and random, so nobody guesses one; but looking one up costs, and a sign-in
//! page that answers everything asked of it is a way to make the server work. Addresses that somebody
//! has signed in from count for themselves only, so strangers do not lock them out.

use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_engine::identity::ClientAddress;
use watchfire_engine::identity::meter::{Known, Meter};

/// Refusals may come all at once: so many as a minute allows.
const BURST: Duration = Duration::from_mins(1);

/// What all sign-ins pass.
pub(crate) struct Throttle(Mutex<Refusals>);

struct Refusals {
    by_address: Meter<Option<IpAddr>>,
    of_strangers: Meter<()>,
    welcome: Known<IpAddr>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self(Mutex::new(Refusals {
            by_address: Meter::new(each(limit::SIGN_INS_REFUSED_PER_ADDRESS), BURST),
            of_strangers: Meter::new(each(limit::SIGN_INS_REFUSED), BURST),
            welcome: Known::default(),
        }))
    }
}

/// The time between two of so many a minute.
fn each(count: usize) -> Duration {
    BURST / u32::try_from(count).unwrap_or(u32::MAX)
}

impl Throttle {
    /// How long a sign-in from there must wait; `None` if it need not.
    pub(crate) fn wait(&self, from: Option<ClientAddress>, now: Timestamp) -> Option<Duration> {
        let from = from.map(ClientAddress::network);
        let refusals = self.0.lock();
        let own = refusals.by_address.wait(&from, now);
        if from.is_some_and(|from| refusals.welcome.knows(&from)) {
            return own;
        }
        own.max(refusals.of_strangers.wait(&(), now))
    }

    /// A sign-in from there was refused.
    pub(crate) fn refused(&self, from: Option<ClientAddress>, now: Timestamp) {
        let from = from.map(ClientAddress::network);
        let mut refusals = self.0.lock();
        refusals.by_address.take(from, now);
        if !from.is_some_and(|from| refusals.welcome.knows(&from)) {
            refusals.of_strangers.take((), now);
        }
    }

    /// Somebody has signed in from there.
    pub(crate) fn passed(&self, from: Option<ClientAddress>) {
        if let Some(from) = from {
            self.0.lock().welcome.learn(from.network());
        }
    }
}

/// What to say to somebody who must wait.
pub(crate) fn words(wait: Duration) -> String {
    format!(
        "Too many sign-ins were refused. Please try again in {} s.",
        seconds(wait)
    )
}

/// Whole seconds, never too few.
pub(crate) fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::EPOCH;

    fn address(last: u8) -> ClientAddress {
        ClientAddress([192, 0, 2, last].into())
    }

    #[test]
    fn an_address_is_refused_so_often_and_then_waits() {
        let throttle = Throttle::default();
        for _ in 0..limit::SIGN_INS_REFUSED_PER_ADDRESS {
            assert_eq!(throttle.wait(Some(address(1)), NOW), None);
            throttle.refused(Some(address(1)), NOW);
        }
        let wait = throttle.wait(Some(address(1)), NOW).expect("it waits");
        assert_eq!(
            throttle.wait(Some(address(2)), NOW),
            None,
            "another does not"
        );
        assert_eq!(throttle.wait(Some(address(1)), NOW + wait), None);
        assert!(words(wait).contains("in 5 s"), "{}", words(wait));
    }

    #[test]
    fn strangers_together_do_not_lock_out_who_has_signed_in() {
        let throttle = Throttle::default();
        throttle.passed(Some(address(200)));
        let addresses = (0..150).cycle().take(limit::SIGN_INS_REFUSED);
        for last in addresses {
            throttle.refused(Some(address(last)), NOW);
        }
        assert!(
            throttle.wait(Some(address(160)), NOW).is_some(),
            "a new one waits"
        );
        assert!(throttle.wait(None, NOW).is_some());
        assert_eq!(throttle.wait(Some(address(200)), NOW), None);
    }
}
