//! Who changed what: the words of the audit log.

use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::KeyId;

/// On whose behalf something is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Actor {
    /// The server by itself: what outcomes, time and contracts make it do.
    #[default]
    Server,
    /// Somebody at the command line of the machine.
    CommandLine,
    /// An API key, with its name at that time.
    Key { id: KeyId, name: String },
    /// A signed token, with the organization or application it names.
    Token { subject: String },
    /// Somebody who is signed in to the dashboard.
    Session { user: String },
    /// Somebody who follows a link to the portal of one application.
    Portal { application: String },
}

/// Who did something, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    #[serde(flatten)]
    pub actor: Actor,
    /// Where the request came from: the peer, or whom a trusted proxy names. None of the server's own
    /// doing, nor of what older versions wrote down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

/// A text that names no action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an action of the audit log")]
pub struct UnknownAction;

/// Declares the actions with their names.
macro_rules! actions {
    ($($(#[doc = $doc:literal])+ $action:ident = $name:literal;)+) => {
        /// What was done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Action {
            $($(#[doc = $doc])+ $action,)+
        }

        impl Action {
            /// All actions.
            pub const ALL: &[Self] = &[$(Self::$action),+];

            /// The name in the API and in the store: the kind of the object, and what was done.
            pub fn name(self) -> &'static str {
                match self { $(Self::$action => $name),+ }
            }

            /// What it says, for people.
            pub fn description(self) -> &'static str {
                match self { $(Self::$action => concat!($($doc),+).trim_ascii()),+ }
            }
        }
    };
}

actions! {
    /// An application was created.
    ApplicationCreated = "application.created";
    /// An application was changed.
    ApplicationUpdated = "application.updated";
    /// An application was deleted.
    ApplicationDeleted = "application.deleted";
    /// An endpoint was created.
    EndpointCreated = "endpoint.created";
    /// An endpoint's settings were changed.
    EndpointUpdated = "endpoint.updated";
    /// An endpoint was deleted.
    EndpointDeleted = "endpoint.deleted";
    /// An endpoint was switched on by a person.
    EndpointActivated = "endpoint.activated";
    /// An endpoint was switched off by a person.
    EndpointDeactivated = "endpoint.deactivated";
    /// The first owed message of a record was skipped, so that the record goes on.
    RecordHeadSkipped = "record.head_skipped";
    /// The first owed message of a record was made due at once.
    RecordHeadRetried = "record.head_retried";
    /// An endpoint's custom headers were changed.
    EndpointHeadersChanged = "endpoint.headers_changed";
    /// An endpoint's signing secret was shown.
    EndpointSecretRead = "endpoint.secret_read";
    /// An endpoint's signing secret was replaced.
    EndpointSecretRotated = "endpoint.secret_rotated";
    /// An event type was created.
    EventTypeCreated = "event_type.created";
    /// An event type was changed.
    EventTypeUpdated = "event_type.updated";
    /// An event type was taken out of the catalog.
    EventTypeArchived = "event_type.archived";
    /// An event type was deleted.
    EventTypeDeleted = "event_type.deleted";
    /// An API key was made.
    KeyCreated = "key.created";
    /// An API key was revoked.
    KeyRevoked = "key.revoked";
    /// A signed token was ended by whoever had it.
    TokenSignedOut = "token.signed_out";
    /// Signed tokens of an application or of an organization were ended.
    TokensExpired = "token.expired_all";
    /// A background task was started.
    TaskCreated = "task.created";
    /// A background task was cancelled.
    TaskCancelled = "task.cancelled";
    /// A background task was told to wait.
    TaskPaused = "task.paused";
    /// A background task was told to go on.
    TaskResumed = "task.resumed";
    /// A pending delivery was cancelled.
    DeliveryCancelled = "delivery.cancelled";
    /// A message's payload was removed.
    PayloadRemoved = "message.payload_removed";
    /// What a receiver answered was removed.
    AnswerRemoved = "attempt.answer_removed";
    /// A link to an application's portal was made.
    PortalLinkCreated = "portal.link_created";
}

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(name: &str) -> Result<Self, UnknownAction> {
        let mut all = Self::ALL.iter().copied();
        all.find(|action| action.name() == name)
            .ok_or(UnknownAction)
    }
}

impl TryFrom<String> for Action {
    type Error = UnknownAction;

    fn try_from(name: String) -> Result<Self, UnknownAction> {
        name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_actions_belong_together() {
        for action in Action::ALL {
            assert_eq!(action.name().parse(), Ok(*action));
        }
        assert_eq!("endpoint.vanished".parse::<Action>(), Err(UnknownAction));
    }

    #[test]
    fn stored_actors_are_read_again() {
        let key = Actor::Key {
            id: KeyId::from_ksuid(crate::id::Ksuid::MIN),
            name: "CI".to_owned(),
        };
        let stored = serde_json::to_string(&key).expect("plain data");
        assert!(
            stored.starts_with(r#"{"type":"key","id":"key_"#),
            "{stored}"
        );
        assert_eq!(serde_json::from_str::<Actor>(&stored).ok(), Some(key));
        let server = serde_json::to_string(&Actor::Server).expect("plain data");
        assert_eq!(server, r#"{"type":"server"}"#);
    }
}
