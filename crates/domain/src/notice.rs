//! What people are told about: operational webhooks, lines of the inbox, e-mail.

use serde::{Deserialize, Serialize};

/// Declares the kinds with the names of their operational webhooks.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $name:ident = $event_type:literal, $stands:ident $(, $topic:ident)?;)+) => {
        /// What a notice is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum NoticeKind {
            $($(#[doc = $doc])+ #[serde(rename = $event_type)] $name,)+
        }

        impl NoticeKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The event type of its operational webhook.
            pub fn event_type(self) -> &'static str {
                match self { $(Self::$name => $event_type),+ }
            }

            /// What it says, for people.
            pub fn description(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim_ascii()),+ }
            }

            /// Whether it stands in the inbox: what people did themselves does not.
            pub fn stands_in_inbox(self) -> bool {
                match self { $(Self::$name => kinds!(@ $stands)),+ }
            }

            /// The topic under which a contract says who is told of it by e-mail; `None` where a
            /// mail would say no more than the next one.
            pub fn topic(self) -> Option<Topic> {
                match self { $(Self::$name => kinds!(@ topic $($topic)?)),+ }
            }
        }
    };
    (@ inbox) => { true };
    (@ webhook) => { false };
    (@ topic) => { None };
    (@ topic $topic:ident) => { Some(Topic::$topic) };
}

/// What contracts tell apart when they say whom to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// A delivery was given up.
    Exhausted,
    /// An endpoint changes its state, or is about to.
    Health,
}

kinds! {
    /// An endpoint was created.
    EndpointCreated = "endpoint.created", webhook;
    /// An endpoint's settings were changed.
    EndpointUpdated = "endpoint.updated", webhook;
    /// An endpoint was deleted.
    EndpointDeleted = "endpoint.deleted", webhook;
    /// An endpoint is not sent to until somebody activates it.
    EndpointDisabled = "endpoint.disabled", inbox, Health;
    /// An endpoint failed and is left alone for a while.
    EndpointSuspended = "endpoint.suspended", inbox, Health;
    /// An endpoint has failed for long and will be disabled if that goes on.
    EndpointFailing = "endpoint.failing", inbox, Health;
    /// An endpoint works again.
    EndpointRecovered = "endpoint.recovered", inbox, Health;
    /// A message was refused at least four times and is tried again.
    AttemptFailing = "message.attempt.failing", inbox;
    /// A message was given up.
    AttemptExhausted = "message.attempt.exhausted", inbox, Exhausted;
    /// A message was delivered after at least four failures.
    AttemptRecovered = "message.attempt.recovered", inbox;
}

impl std::fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.event_type())
    }
}
