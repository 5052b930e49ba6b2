//! Which messages an endpoint subscribes to.

use serde::{Deserialize, Serialize};

use crate::id::EventType;

/// The event types and channels an endpoint asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Subscription {
    /// Event types, or prefixes that end in `*`. Empty means all.
    pub event_types: Vec<String>,
    /// Channels. Empty means all messages, whatever their channels.
    pub channels: Vec<String>,
}

/// Why a message does not go to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mismatch {
    EventType,
    Channel,
    Disabled,
    /// It belongs to somebody the message is not for.
    Recipient,
}

impl Subscription {
    /// Whether a message of that type and with these channels is asked for, or why not.
    pub fn matches(&self, event_type: &EventType, channels: &[String]) -> Result<(), Mismatch> {
        let named = |pattern: &String| pattern_matches(pattern, event_type.as_str());
        if !self.event_types.is_empty() && !self.event_types.iter().any(named) {
            return Err(Mismatch::EventType);
        }
        if !self.channels.is_empty()
            && !self
                .channels
                .iter()
                .any(|channel| channels.contains(channel))
        {
            return Err(Mismatch::Channel);
        }
        Ok(())
    }
}

/// `threat.*` matches every name that begins with `threat.`; anything else matches itself.
pub fn pattern_matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(types: &[&str], channels: &[&str], event: &str, on: &[&str]) -> Result<(), Mismatch> {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let subscription = Subscription {
            event_types: owned(types),
            channels: owned(channels),
        };
        subscription.matches(&event.parse().expect("valid"), &owned(on))
    }

    #[test]
    fn empty_means_all() {
        assert_eq!(check(&[], &[], "threat.create", &[]), Ok(()));
        assert_eq!(check(&[], &[], "threat.create", &["a"]), Ok(()));
    }

    #[test]
    fn names_match_exactly_and_stars_by_prefix() {
        assert_eq!(check(&["threat.create"], &[], "threat.create", &[]), Ok(()));
        assert_eq!(check(&["threat.*"], &[], "threat.create", &[]), Ok(()));
        assert_eq!(
            check(&["threat"], &[], "threat.create", &[]),
            Err(Mismatch::EventType)
        );
        assert_eq!(
            check(&["ticket.*"], &[], "threat.create", &[]),
            Err(Mismatch::EventType)
        );
    }

    #[test]
    fn a_channel_filter_needs_a_common_channel() {
        assert_eq!(check(&[], &["a"], "x", &[]), Err(Mismatch::Channel));
        assert_eq!(check(&[], &["a"], "x", &["b"]), Err(Mismatch::Channel));
        assert_eq!(check(&[], &["a", "b"], "x", &["b"]), Ok(()));
    }
}
