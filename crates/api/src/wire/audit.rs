//! Lines of the audit log on the wire.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use watchfire_domain::audit::Actor;
use watchfire_domain::id::{ApplicationId, AuditId, KeyId};
use watchfire_domain::time::Timestamp;
use watchfire_store::AuditEntry;

/// One line of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuditOut {
    #[schema(value_type = String)]
    id: AuditId,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    actor: ActorOut,
    /// Where the request came from: the peer, or whom a trusted proxy names. Absent where nobody
    /// asked for it over the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "192.0.2.7")]
    address: Option<IpAddr>,
    /// The kind of the object and what was done to it.
    #[schema(value_type = String, example = "endpoint.updated")]
    action: &'static str,
    /// The same, for people.
    #[schema(value_type = String)]
    description: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    app_id: Option<ApplicationId>,
    /// The id or name of what was changed.
    object: String,
    /// What differed before; absent where there was nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// What differs now; absent where there is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
}

/// Who did it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(crate) enum ActorOut {
    /// The server by itself.
    Server {},
    /// Somebody at the command line of the machine.
    CommandLine {},
    /// An API key, with its name at that time.
    Key {
        #[schema(value_type = String)]
        id: KeyId,
        name: String,
    },
    /// A token, with the organization or application it names.
    Token { subject: String },
    /// Somebody who is signed in to the dashboard.
    Session { user: String },
    /// Somebody in the portal of an application.
    Portal { application: String },
}

impl From<&Actor> for ActorOut {
    fn from(actor: &Actor) -> Self {
        match actor.clone() {
            Actor::Server => Self::Server {},
            Actor::CommandLine => Self::CommandLine {},
            Actor::Key { id, name } => Self::Key { id, name },
            Actor::Token { subject } => Self::Token { subject },
            Actor::Session { user } => Self::Session { user },
            Actor::Portal { application } => Self::Portal { application },
        }
    }
}

impl From<&AuditEntry> for AuditOut {
    fn from(entry: &AuditEntry) -> Self {
        // What is stored was written by this server as JSON.
        let read = |text: &Option<String>| {
            let text = text.as_deref()?;
            serde_json::from_str(text).ok()
        };
        Self {
            id: entry.id,
            timestamp: entry.at,
            actor: ActorOut::from(&entry.author.actor),
            address: entry.author.address,
            action: entry.action.name(),
            description: entry.action.description(),
            app_id: entry.application,
            object: entry.object.clone(),
            before: read(&entry.before),
            after: read(&entry.after),
        }
    }
}
