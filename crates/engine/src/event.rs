//! What has happened, for whoever watches: live views, logs, operational webhooks. Made only from
//! what was recorded.

use std::sync::Arc;

use watchfire_domain::attempt::Attempt;
use watchfire_domain::health::{Health, Notice};
use watchfire_domain::id::{ApplicationId, EndpointId};
use watchfire_domain::message::Message;
use watchfire_store::{AppKey, EndpointKey, Seq};

/// Something that is on disk.
#[derive(Clone, Debug)]
pub enum Event {
    /// A message was accepted for this many endpoints.
    Accepted {
        app: AppKey,
        seq: Seq,
        message: Arc<Message>,
        matched: usize,
    },
    /// An attempt was recorded.
    Attempted(Box<Attempted>),
    /// An endpoint's health changed in a way people want to know.
    Health {
        app: AppKey,
        endpoint: EndpointKey,
        endpoint_id: EndpointId,
        health: Health,
        notice: Notice,
    },
}

/// A recorded attempt and what it belongs to.
#[derive(Clone, Debug)]
pub struct Attempted {
    pub app: AppKey,
    pub application_id: ApplicationId,
    pub endpoint: EndpointKey,
    pub endpoint_id: EndpointId,
    pub seq: Seq,
    pub message: Arc<Message>,
    pub attempt: Attempt,
    /// The endpoint's health, where the attempt changed it.
    pub health: Option<Health>,
}
