//! When which endpoint is to be looked at next: one instant each.

use std::collections::{BTreeSet, HashMap};

use watchfire_domain::time::Timestamp;
use watchfire_store::{AppKey, EndpointKey, ShardSet};

/// One instant for each endpoint that waits for something.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_endpoint: HashMap<EndpointKey, (AppKey, Timestamp)>,
    by_time: BTreeSet<(Timestamp, EndpointKey)>,
}

impl Timers {
    /// Looks at an endpoint then, and not at the instant set before.
    pub(crate) fn set(&mut self, endpoint: EndpointKey, app: AppKey, at: Timestamp) {
        self.clear(endpoint);
        self.by_endpoint.insert(endpoint, (app, at));
        self.by_time.insert((at, endpoint));
    }

    /// Looks at an endpoint then, unless it is to be looked at earlier.
    pub(crate) fn advance(&mut self, endpoint: EndpointKey, app: AppKey, at: Timestamp) {
        let earlier = self
            .by_endpoint
            .get(&endpoint)
            .is_none_or(|(_, set)| at < *set);
        if earlier {
            self.set(endpoint, app, at);
        }
    }

    pub(crate) fn clear(&mut self, endpoint: EndpointKey) {
        if let Some((_, at)) = self.by_endpoint.remove(&endpoint) {
            self.by_time.remove(&(at, endpoint));
        }
    }

    /// Drops what is known of the endpoints of these shards.
    pub(crate) fn forget(&mut self, shards: ShardSet) {
        self.by_endpoint
            .retain(|endpoint, _| !shards.has(*endpoint));
        self.by_time.retain(|(_, endpoint)| !shards.has(*endpoint));
    }

    pub(crate) fn is_due(&self, endpoint: EndpointKey, now: Timestamp) -> bool {
        self.by_endpoint
            .get(&endpoint)
            .is_some_and(|(_, at)| *at <= now)
    }

    /// Endpoints to look at now, the longest overdue first.
    pub(crate) fn due(&self, now: Timestamp) -> Vec<(EndpointKey, AppKey)> {
        let due = self.by_time.range(..=(now, EndpointKey(i64::MAX)));
        let due = due.filter_map(|(_, endpoint)| {
            self.by_endpoint
                .get(endpoint)
                .map(|(app, _)| (*endpoint, *app))
        });
        due.collect()
    }

    /// The first instant after `now`.
    pub(crate) fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let later = (now, EndpointKey(i64::MAX));
        self.by_time.range(later..).next().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_has_one_instant() {
        let at = Timestamp::from_unix_seconds;
        let (one, two, app) = (EndpointKey(1), EndpointKey(2), AppKey(1));
        let mut timers = Timers::default();
        timers.advance(one, app, at(10));
        timers.advance(one, app, at(20));
        timers.advance(two, app, at(5));
        assert_eq!(timers.due(at(4)), []);
        assert_eq!(
            timers.due(at(10)),
            [(two, app), (one, app)],
            "the earlier one stays"
        );
        assert_eq!(timers.next_after(at(5)), Some(at(10)));
        timers.set(one, app, at(30));
        assert_eq!(timers.due(at(10)), [(two, app)]);
        timers.clear(two);
        assert!(!timers.is_due(two, at(99)));
        assert_eq!(timers.next_after(at(5)), Some(at(30)));
    }
}
