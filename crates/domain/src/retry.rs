//! Retry schedules: an explicit list of delays, and the pure function that steps through it.

use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limit;
use crate::time::Timestamp;

/// The delays between the attempts of a delivery. With `n` delays there are at most `n + 1`
/// attempts; an empty schedule never retries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    delays: Vec<Duration>,
    /// Share of each delay that chance may add, in `0.0..=1.0`.
    jitter_permille: u16,
}

/// Why a schedule can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    #[error("has {0} delays, at most {max} are allowed", max = limit::RETRY_DELAYS_MAX)]
    TooMany(usize),
    #[error("a delay must be at most {max} days", max = limit::RETRY_DELAY_MAX.as_secs() / 86_400)]
    TooLong,
    #[error("{0:?} is not a duration such as 500ms, 5s, 30m or 2h")]
    Delay(String),
}

impl Default for Schedule {
    /// 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h: the one Standard Webhooks senders commonly use.
    fn default() -> Self {
        let seconds = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000];
        Self {
            delays: seconds.map(Duration::from_secs).to_vec(),
            jitter_permille: DEFAULT_JITTER_PERMILLE,
        }
    }
}

/// A tenth: enough to spread a herd, too little to be noticed.
const DEFAULT_JITTER_PERMILLE: u16 = 100;

impl Schedule {
    pub fn new(delays: Vec<Duration>) -> Result<Self, InvalidSchedule> {
        if delays.len() > limit::RETRY_DELAYS_MAX {
            return Err(InvalidSchedule::TooMany(delays.len()));
        }
        if delays.iter().any(|delay| *delay > limit::RETRY_DELAY_MAX) {
            return Err(InvalidSchedule::TooLong);
        }
        Ok(Self {
            delays,
            jitter_permille: DEFAULT_JITTER_PERMILLE,
        })
    }

    /// Never retries.
    pub const fn none() -> Self {
        Self {
            delays: Vec::new(),
            jitter_permille: 0,
        }
    }

    /// The same delays with another share of chance, in thousandths of the delay (0 to 1000).
    #[must_use]
    pub fn with_jitter_permille(mut self, permille: u16) -> Self {
        self.jitter_permille = permille.min(1_000);
        self
    }

    pub fn delays(&self) -> &[Duration] {
        &self.delays
    }

    /// Attempts a delivery gets at most, the first one included.
    pub fn attempts_max(&self) -> u32 {
        u32::try_from(self.delays.len()).unwrap_or(u32::MAX - 1) + 1
    }
}

/// When the next attempt is due after `attempts_made` of them, or `None` after the last.
///
/// `jitter` is a number drawn from `0.0..1.0`. A receiver's `retry_after` can only postpone, and
/// no further than [`limit::RETRY_AFTER_MAX`].
pub fn next_due_at(
    schedule: &Schedule,
    attempts_made: u32,
    retry_after: Option<Duration>,
    now: Timestamp,
    jitter: f64,
) -> Option<Timestamp> {
    let step = usize::try_from(attempts_made.checked_sub(1)?).ok()?;
    let delay = *schedule.delays.get(step)?;
    let spread =
        delay.mul_f64(f64::from(schedule.jitter_permille) / 1_000.0 * jitter.clamp(0.0, 1.0));
    let asked = retry_after.unwrap_or_default().min(limit::RETRY_AFTER_MAX);
    let wait = delay.saturating_add(spread).max(asked);
    debug_assert!(wait >= delay, "jitter and hints only postpone");
    Some(now + wait)
}

/// Reads a duration such as `500ms`, `5s`, `30m`, `2h` or `1d`.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidSchedule> {
    let wrong = || InvalidSchedule::Delay(text.to_owned());
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(millis)
        .map(Duration::from_millis)
        .ok_or_else(wrong)
}

/// Writes a duration the way [`parse_duration`] reads it, in the largest unit that is exact.
pub fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1_000, "s"),
    ];
    match units
        .iter()
        .find(|(size, _)| millis >= *size && millis.is_multiple_of(*size))
    {
        Some((size, unit)) => format!("{}{unit}", millis / size),
        None => format!("{millis}ms"),
    }
}

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    /// Reads comma-separated durations; an empty text is a schedule without retries.
    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        if text.trim().is_empty() {
            return Self::new(Vec::new());
        }
        let delays = text.split(',').map(|part| parse_duration(part.trim()));
        Self::new(delays.collect::<Result<_, _>>()?)
    }
}

impl Serialize for Schedule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.delays.iter().copied().map(format_duration))
    }
}

impl<'de> Deserialize<'de> for Schedule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let delays = Vec::<String>::deserialize(deserializer)?;
        let delays = delays.iter().map(|delay| parse_duration(delay));
        let delays = delays
            .collect::<Result<Vec<_>, _>>()
            .map_err(de::Error::custom)?;
        Self::new(delays).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn schedule_reads_its_own_text() {
        let schedule: Schedule = "1ms, 5s,5m,2h,1d".parse().expect("valid");
        let millis: Vec<_> = schedule.delays().iter().map(Duration::as_millis).collect();
        assert_eq!(millis, [1, 5_000, 300_000, 7_200_000, 86_400_000]);
        assert_eq!("".parse::<Schedule>().expect("valid").attempts_max(), 1);
    }

    #[test]
    fn wrong_schedules_are_named() {
        for text in ["5", "s", "5 s", "-1s", "5s,", "1w", "99999999999999999999s"] {
            assert!(
                matches!(text.parse::<Schedule>(), Err(InvalidSchedule::Delay(_))),
                "{text}"
            );
        }
        assert_eq!("31d".parse::<Schedule>(), Err(InvalidSchedule::TooLong));
        let long = vec![Duration::ZERO; limit::RETRY_DELAYS_MAX + 1];
        assert_eq!(
            Schedule::new(long),
            Err(InvalidSchedule::TooMany(limit::RETRY_DELAYS_MAX + 1))
        );
        assert!(Schedule::new(vec![Duration::ZERO; limit::RETRY_DELAYS_MAX]).is_ok());
    }

    #[test]
    fn every_step_of_the_default_is_taken_once() {
        let schedule = Schedule::default();
        let due = |made| next_due_at(&schedule, made, None, Timestamp::EPOCH, 0.0);
        assert_eq!(due(1), Some(Timestamp::EPOCH + Duration::from_secs(5)));
        assert_eq!(due(7), Some(Timestamp::EPOCH + Duration::from_hours(10)));
        assert_eq!(due(8), None);
    }

    #[test]
    fn a_receiver_can_only_postpone_and_only_so_far() {
        let schedule: Schedule = "10s".parse().expect("valid");
        let due = |hint| next_due_at(&schedule, 1, Some(hint), Timestamp::EPOCH, 0.0);
        assert_eq!(
            due(Duration::from_secs(1)),
            Some(Timestamp::EPOCH + Duration::from_secs(10))
        );
        assert_eq!(
            due(Duration::from_mins(1)),
            Some(Timestamp::EPOCH + Duration::from_mins(1))
        );
        assert_eq!(
            due(Duration::MAX),
            Some(Timestamp::EPOCH + limit::RETRY_AFTER_MAX)
        );
    }

    proptest! {
        #[test]
        fn the_next_step_is_never_early_and_at_most_a_tenth_late(
            made in 1u32..9, jitter in 0.0f64..1.0,
        ) {
            let schedule = Schedule::default();
            let now = Timestamp::from_unix_seconds(1_800_000_000);
            if let Some(due) = next_due_at(&schedule, made, None, now, jitter) {
                let delay = schedule.delays()[made as usize - 1];
                prop_assert!(due >= now + delay);
                prop_assert!(due <= now + delay.mul_f64(1.1));
            } else { prop_assert_eq!(made, 8) }
        }

        #[test]
        fn durations_round_trip(millis in 0u64..2_592_000_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
    }
}
