//! Chance that repeats itself.

use std::sync::atomic::{AtomicU64, Ordering};

use watchfire_domain::ambient::Entropy;

/// Draws the same bytes for the same seed. Never for anything that must be hard to guess.
///
/// The generator is `SplitMix64`: a counter with a fixed step, mixed on the way out. A counter
/// can be shared by threads without a lock.
#[derive(Debug)]
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    /// The step of `SplitMix64`: 2^64 divided by the golden ratio, made odd.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn draw(&self) -> u64 {
        let state = self.0.fetch_add(Self::STEP, Ordering::Relaxed);
        let mixed = state.wrapping_add(Self::STEP);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(size_of::<u64>()) {
            let drawn = self.draw().to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64) -> [u8; 20] {
        let mut bytes = [0; 20];
        SeededEntropy::new(seed).fill(&mut bytes);
        bytes
    }

    #[test]
    fn the_first_number_of_seed_zero_is_the_published_one() {
        assert_eq!(SeededEntropy::new(0).draw(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn a_seed_repeats_itself_and_another_differs() {
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
    }

    #[test]
    fn units_stay_within_bounds() {
        let entropy = SeededEntropy::new(1);
        for _ in 0..1_000 {
            assert!((0.0..1.0).contains(&entropy.unit()));
        }
    }
}
