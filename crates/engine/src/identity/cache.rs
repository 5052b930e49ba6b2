//! Tokens that were verified before, named by their hash.

use std::collections::HashMap;
use std::sync::Arc;

use watchfire_domain::time::Timestamp;

use super::Caller;

/// Tokens of one generation. Two generations are kept, so memory is bounded and a token in use
/// stays known.
const GENERATION: usize = 1_024;

/// Tokens that were verified before.
#[derive(Default)]
pub(super) struct Verified {
    young: HashMap<[u8; 32], Entry>,
    old: HashMap<[u8; 32], Entry>,
}

#[derive(Clone)]
struct Entry {
    caller: Arc<Caller>,
    /// The token is not valid from then on.
    until: Timestamp,
}

impl Verified {
    pub(super) fn find(&mut self, name: &[u8; 32], now: Timestamp) -> Option<Arc<Caller>> {
        if let Some(entry) = self.young.get(name) {
            return (entry.until > now).then(|| Arc::clone(&entry.caller));
        }
        let entry = self.old.remove(name).filter(|entry| entry.until > now)?;
        let caller = Arc::clone(&entry.caller);
        self.keep(*name, entry.caller, entry.until);
        Some(caller)
    }

    pub(super) fn keep(&mut self, name: [u8; 32], caller: Arc<Caller>, until: Timestamp) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, Entry { caller, until });
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

    fn caller() -> Arc<Caller> {
        Arc::new(Caller {
            actor: Arc::default(),
            org: "org_x".parse().expect("valid"),
            reach: Reach::Everything,
            scopes: Scopes::NONE,
            feature_flags: Vec::new(),
        })
    }

    #[test]
    fn a_token_is_forgotten_when_it_expires() {
        let mut verified = Verified::default();
        let until = Timestamp::EPOCH + Duration::from_secs(1);
        verified.keep(name(1), caller(), until);
        assert!(verified.find(&name(1), Timestamp::EPOCH).is_some());
        assert!(verified.find(&name(1), until).is_none());
    }

    #[test]
    fn memory_is_bounded_and_tokens_in_use_stay() {
        let mut verified = Verified::default();
        for number in 0..10 * GENERATION {
            verified.keep(name(number + 1), caller(), Timestamp::MAX);
            if number == 0 || number % 100 == 0 {
                let used = verified.find(&name(1), Timestamp::EPOCH);
                assert!(used.is_some(), "after {number}");
            }
        }
        assert!(verified.young.len() + verified.old.len() <= 2 * GENERATION);
    }
}
