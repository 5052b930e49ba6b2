//! What a change made stale, as a row of the log of changes.

use watchfire_domain::id::KeyId;

use super::Inconsistent;
use crate::{AppKey, Changed, EndpointKey};

const APPLICATION: i64 = 0;
const APPLICATION_DELETED: i64 = 1;
const ENDPOINT: i64 = 2;
const API_KEY: i64 = 3;
const TOKENS: i64 = 4;

/// The columns of [`Changed`]; the table says which of them go with which kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangedCells {
    pub kind: i64,
    pub app: Option<i64>,
    pub endpoint: Option<i64>,
    pub api_key: Option<KeyId>,
}

impl From<Changed> for ChangedCells {
    fn from(changed: Changed) -> Self {
        let of = |kind| Self {
            kind,
            ..Self::default()
        };
        match changed {
            Changed::Application(app) => Self {
                app: Some(app.0),
                ..of(APPLICATION)
            },
            Changed::ApplicationDeleted(app) => Self {
                app: Some(app.0),
                ..of(APPLICATION_DELETED)
            },
            Changed::Endpoint { app, endpoint } => Self {
                app: Some(app.0),
                endpoint: Some(endpoint.0),
                ..of(ENDPOINT)
            },
            Changed::ApiKey(id) => Self {
                api_key: Some(id),
                ..of(API_KEY)
            },
            Changed::Tokens => of(TOKENS),
        }
    }
}

impl TryFrom<ChangedCells> for Changed {
    type Error = Inconsistent;

    fn try_from(cells: ChangedCells) -> Result<Self, Inconsistent> {
        let ChangedCells {
            kind,
            app,
            endpoint,
            api_key,
        } = cells;
        let (app, endpoint) = (app.map(AppKey), endpoint.map(EndpointKey));
        let changed = match kind {
            APPLICATION => app.map(Self::Application),
            APPLICATION_DELETED => app.map(Self::ApplicationDeleted),
            ENDPOINT => app
                .zip(endpoint)
                .map(|(app, endpoint)| Self::Endpoint { app, endpoint }),
            API_KEY => api_key.map(Self::ApiKey),
            TOKENS => Some(Self::Tokens),
            _ => None,
        };
        changed.ok_or(Inconsistent::Changed(kind))
    }
}

#[cfg(test)]
mod tests {
    use watchfire_domain::id::Ksuid;

    use super::*;

    #[test]
    fn changes_round_trip() {
        let (app, endpoint) = (AppKey(7), EndpointKey(8));
        for changed in [
            Changed::Application(app),
            Changed::ApplicationDeleted(app),
            Changed::Endpoint { app, endpoint },
            Changed::ApiKey(KeyId::from_ksuid(Ksuid::from_bytes([9; 20]))),
            Changed::Tokens,
        ] {
            assert_eq!(Changed::try_from(ChangedCells::from(changed)), Ok(changed));
        }
    }

    #[test]
    fn a_kind_without_its_columns_is_named() {
        for kind in [
            APPLICATION,
            APPLICATION_DELETED,
            ENDPOINT,
            API_KEY,
            TOKENS + 1,
        ] {
            let cells = ChangedCells {
                kind,
                ..ChangedCells::default()
            };
            assert_eq!(Changed::try_from(cells), Err(Inconsistent::Changed(kind)));
        }
    }
}
