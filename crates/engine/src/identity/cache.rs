//! Tokens that were verified before, named by their hash.

use std::collections::HashMap;
use std::sync::Arc;

use watchfire_domain::time::Timestamp;
use watchfire_store::TokenMark;

use super::Caller;
use super::tokens::Verified;

/// Tokens of one generation. Two generations are kept, so memory is bounded and a token in use
/// stays known.
const GENERATION: usize = 1_024;

/// Tokens that were verified before.
#[derive(Default)]
pub(super) struct Cache {
    young: HashMap<[u8; 32], Arc<Known>>,
    old: HashMap<[u8; 32], Arc<Known>>,
}

/// What a token's signature proved. Whether it was ended since is known elsewhere.
pub(super) struct Known {
    pub(super) caller: Arc<Caller>,
    pub(super) mark: TokenMark,
    /// The token is not valid from then on.
    until: Timestamp,
}

impl From<Verified> for Known {
    fn from(verified: Verified) -> Self {
        Self {
            caller: Arc::new(verified.caller),
            mark: verified.mark,
            until: verified.until,
        }
    }
}

impl Cache {
    pub(super) fn find(&mut self, name: &[u8; 32], now: Timestamp) -> Option<Arc<Known>> {
        if let Some(known) = self.young.get(name) {
            return (known.until > now).then(|| Arc::clone(known));
        }
        let known = self.old.remove(name).filter(|known| known.until > now)?;
        self.keep(*name, Arc::clone(&known));
        Some(known)
    }

    pub(super) fn keep(&mut self, name: [u8; 32], known: Arc<Known>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, known);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use watchfire_domain::scope::Scopes;

    use super::super::Reach;
    use super::*;

    fn name(number: usize) -> [u8; 32] {
        let mut name = [0; 32];
        name[..8].copy_from_slice(&number.to_be_bytes());
        name
    }

    fn known(until: Timestamp) -> Arc<Known> {
        let caller = Caller {
            actor: Arc::default(),
            org: "org_x".parse().expect("valid"),
            reach: Reach::Everything,
            scopes: Scopes::NONE,
            feature_flags: Vec::new(),
        };
        let mark = TokenMark {
            hash: [0; 32],
            org: caller.org.clone(),
            application: None,
            session: None,
            issued_at: Timestamp::MIN,
        };
        Arc::new(Known::from(Verified {
            caller,
            mark,
            until,
        }))
    }

    #[test]
    fn a_token_is_forgotten_when_it_expires() {
        let mut verified = Cache::default();
        let until = Timestamp::EPOCH + Duration::from_secs(1);
        verified.keep(name(1), known(until));
        assert!(verified.find(&name(1), Timestamp::EPOCH).is_some());
        assert!(verified.find(&name(1), until).is_none());
    }

    #[test]
    fn memory_is_bounded_and_tokens_in_use_stay() {
        let mut verified = Cache::default();
        for number in 0..10 * GENERATION {
            verified.keep(name(number + 1), known(Timestamp::MAX));
            if number == 0 || number % 100 == 0 {
                let used = verified.find(&name(1), Timestamp::EPOCH);
                assert!(used.is_some(), "after {number}");
            }
        }
        assert!(verified.young.len() + verified.old.len() <= 2 * GENERATION);
    }
}
