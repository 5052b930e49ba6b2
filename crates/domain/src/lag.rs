//! How long deliveries took from being accepted to being delivered, as counts in fixed buckets.
//!
//! Counts add up: minutes to hours, applications to an organization, hours to any span. So the
//! percentiles of any span are read from a few rows, whatever the number of deliveries.

use std::time::Duration;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Upper ends of the buckets but the last, which has none. The steps are about a factor of two
/// where people promise something, and coarser beyond.
pub const BOUNDS: [Duration; BUCKETS - 1] = [
    ms(1),
    ms(2),
    ms(5),
    ms(10),
    ms(20),
    ms(50),
    ms(100),
    ms(200),
    ms(500),
    ms(1_000),
    ms(2_000),
    ms(5_000),
    ms(15_000),
    ms(60_000),
    ms(300_000),
    ms(1_800_000),
    ms(7_200_000),
    ms(43_200_000),
];

/// Number of buckets. Stored by each back end, so it never shrinks.
pub const BUCKETS: usize = 19;

/// Counts by bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    pub counts: [u64; BUCKETS],
}

/// The bucket a lag counts for: the first whose upper end it does not exceed.
pub fn bucket_of(lag: Duration) -> usize {
    BOUNDS.partition_point(|bound| *bound < lag)
}

impl Histogram {
    pub fn add(&mut self, lag: Duration) {
        self.counts[bucket_of(lag)] += 1;
    }

    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count = count.saturating_add(more);
        }
    }

    pub fn total(&self) -> u64 {
        self.counts.iter().copied().fold(0, u64::saturating_add)
    }

    /// The lag that this share of the deliveries did not exceed, `share` in 0 to 1; linear within
    /// a bucket. In the last bucket it is that bucket's lower end: at least so long. `None`
    /// without any.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let total = self.total();
        if total == 0 {
            return None;
        }
        let rank = to_float(total) * share.clamp(0.0, 1.0);
        let mut below = 0.0;
        for (bucket, count) in self.counts.iter().enumerate() {
            let count = to_float(*count);
            if count > 0.0 && below + count >= rank {
                return Some(within(bucket, (rank - below) / count));
            }
            below += count;
        }
        Some(BOUNDS[BUCKETS - 2])
    }
}

/// A point in a bucket.
fn within(bucket: usize, share: f64) -> Duration {
    let lower = match bucket {
        0 => Duration::ZERO,
        _ => BOUNDS[bucket - 1],
    };
    match BOUNDS.get(bucket) {
        Some(upper) => lower + upper.saturating_sub(lower).mul_f64(share.clamp(0.0, 1.0)),
        None => lower,
    }
}

/// Exact up to 2^32; beyond, nobody sees the difference in a percentile.
fn to_float(count: u64) -> f64 {
    let high = u32::try_from(count >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(count & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_rise() {
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn a_lag_counts_for_the_bucket_it_does_not_exceed() {
        assert_eq!(bucket_of(Duration::ZERO), 0);
        for (bucket, bound) in BOUNDS.iter().enumerate() {
            assert_eq!(bucket_of(*bound), bucket);
            assert_eq!(bucket_of(*bound + Duration::from_nanos(1)), bucket + 1);
        }
        assert_eq!(bucket_of(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn nothing_has_no_percentiles() {
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn percentiles_are_linear_within_a_bucket() {
        let mut lags = Histogram::default();
        for _ in 0..100 {
            lags.add(ms(4));
        }
        assert_eq!(lags.quantile(0.0), Some(ms(2)));
        assert_eq!(lags.quantile(0.5), Some(Duration::from_micros(3_500)));
        assert_eq!(lags.quantile(1.0), Some(ms(5)));
    }

    #[test]
    fn a_percentile_is_never_further_off_than_its_bucket() {
        let mut lags = Histogram::default();
        for n in 1..=1_000 {
            lags.add(ms(n));
        }
        for (share, truth) in [(0.5, 500), (0.95, 950), (0.99, 990)] {
            let found = lags.quantile(share).expect("there are some");
            let bucket = bucket_of(ms(truth));
            assert!(found <= BOUNDS[bucket] && found >= BOUNDS[bucket - 1]);
        }
    }

    #[test]
    fn the_longest_are_said_to_be_at_least_so_long() {
        let mut lags = Histogram::default();
        lags.add(Duration::from_hours(24 * 30));
        assert_eq!(lags.quantile(0.99), Some(ms(43_200_000)));
    }

    #[test]
    fn merged_counts_are_those_of_both() {
        let (mut one, mut two) = (Histogram::default(), Histogram::default());
        one.add(ms(1));
        two.add(ms(1));
        two.add(ms(300));
        one.merge(&two);
        assert_eq!(one.total(), 3);
        assert_eq!(one.counts[0], 2);
    }
}
