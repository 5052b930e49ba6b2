//! `[organizations.<id>]`: what holds for one organization instead of everybody's.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use watchfire_domain::id::OrganizationId;
use watchfire_domain::limit;
use watchfire_store::Retention;

use super::{SettingsError, parse_duration};

const PAYLOADS: &str = "payload_retention";
const MESSAGES: &str = "message_retention";

/// The times of organizations that have their own; what one leaves out is everybody's.
pub(super) fn retentions(
    path: &Path,
    table: &toml::Table,
    default: Retention,
) -> Result<BTreeMap<OrganizationId, Retention>, SettingsError> {
    let wrong = |problem: String| SettingsError::File {
        path: path.to_owned(),
        problem: format!("organizations.{problem}"),
    };
    if table.len() > limit::OWN_RETENTIONS_MAX {
        let most = limit::OWN_RETENTIONS_MAX;
        return Err(wrong(format!(" more than {most} have times of their own")));
    }
    let mut own = BTreeMap::new();
    for (name, settings) in table {
        let org: OrganizationId = name
            .parse()
            .map_err(|error| wrong(format!("{name}: {error}")))?;
        let settings = settings
            .as_table()
            .ok_or_else(|| wrong(format!("{name}: expected a table")))?;
        let retention = retention(settings, default);
        own.insert(
            org,
            retention.map_err(|problem| wrong(format!("{name}{problem}")))?,
        );
    }
    Ok(own)
}

fn retention(settings: &toml::Table, default: Retention) -> Result<Retention, String> {
    let mut retention = default;
    for (key, value) in settings {
        let place = match key.as_str() {
            PAYLOADS => &mut retention.payloads,
            MESSAGES => &mut retention.messages,
            _ => {
                return Err(format!(
                    ": unknown key {key:?}; known are {MESSAGES}, {PAYLOADS}"
                ));
            }
        };
        let text = value.as_str();
        let text = text.ok_or_else(|| format!(".{key}: expected a duration such as \"30d\""))?;
        *place = positive(text).map_err(|problem| format!(".{key}: {problem}"))?;
    }
    Ok(retention)
}

/// Nothing is removed before it could be sent.
fn positive(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text)?;
    if duration.is_zero() {
        return Err("must be more than nothing".to_owned());
    }
    Ok(duration)
}
