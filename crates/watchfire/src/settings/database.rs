//! A database of its own server, and this node among those that share it.

use std::time::Duration;

use watchfire_domain::limit;
use watchfire_domain::retry;
use watchfire_engine::Rhythm;
use watchfire_store::NodeId;
use watchfire_store_postgres::{Address, AddressError};

use super::{Layers, SettingsError, parse_duration};

/// A database of its own server.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    pub(crate) address: Address,
    pub(crate) connections: usize,
    pub(crate) rhythm: Rhythm,
}

pub(super) fn resolve(layers: &Layers) -> Result<Option<Database>, SettingsError> {
    let connections = layers.parse("database_connections", parse_connections)?;
    let rhythm = rhythm(layers)?;
    let address = layers.optional("database_url", |text| {
        // The text may hold a password: only what is wrong with it is said.
        text.parse().map_err(|error: AddressError| {
            let cause = std::error::Error::source(&error);
            cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
        })
    })?;
    Ok(address.map(|address| Database {
        address,
        connections,
        rhythm,
    }))
}

fn rhythm(layers: &Layers) -> Result<Rhythm, SettingsError> {
    let beat = layers.parse("node_beat", parse_beat)?;
    let lease = layers.parse("node_lease", parse_duration)?;
    let count = u32::try_from(limit::NODE_LEASE_BEATS_MIN).expect("a few beats");
    let shortest = beat.saturating_mul(count);
    if (shortest..=limit::NODE_LEASE_MAX).contains(&lease) {
        return Ok(Rhythm { beat, lease });
    }
    // A test reads the defaults, so one of the two was set.
    let set = layers.origin("node_lease").or(layers.origin("node_beat"));
    Err(SettingsError::Value {
        from: set.expect("the defaults fit each other"),
        problem: format!(
            "a lease of {} is not between {} beats of {} and {}",
            retry::format_duration(lease),
            limit::NODE_LEASE_BEATS_MIN,
            retry::format_duration(beat),
            retry::format_duration(limit::NODE_LEASE_MAX),
        ),
    })
}

fn parse_beat(text: &str) -> Result<Duration, String> {
    let beat = parse_duration(text)?;
    if beat < limit::NODE_BEAT_MIN {
        let least = retry::format_duration(limit::NODE_BEAT_MIN);
        return Err(format!("{text:?} is less than {least}"));
    }
    Ok(beat)
}

pub(super) fn parse_node(text: &str) -> Result<NodeId, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.len() > limit::NAME_CHARS_MAX || !text.chars().all(plain) {
        return Err(format!(
            "{text:?} is not a name of letters, digits, `-`, `_` and `.`"
        ));
    }
    Ok(NodeId(text.to_owned()))
}

/// Fewer can't be divided in two; more than so many help nobody.
const CONNECTIONS: std::ops::RangeInclusive<usize> = 2..=100;

fn parse_connections(text: &str) -> Result<usize, String> {
    let number = text.parse().ok();
    number
        .filter(|number| CONNECTIONS.contains(number))
        .ok_or_else(|| format!("{text:?} is not a number from 2 to 100"))
}
