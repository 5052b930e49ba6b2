//! Messages and endpoints with nothing unusual about them.

use std::collections::BTreeMap;

use bytes::Bytes;
use watchfire_domain::ambient::Clock as _;
use watchfire_domain::endpoint::{Identity, Secrets, Settings};
use watchfire_domain::filter::Subscription;
use watchfire_domain::id::{ApplicationId, EndpointId, EventType, MessageId};
use watchfire_domain::message::{Details, Message, Urgency};
use watchfire_domain::secret::SigningKey;

use crate::{FakeClock, SeededEntropy};

/// Makes samples at the time of its clock, with ids and keys from its seed.
///
/// All fields of what it makes are public: a test changes the one it is about.
#[derive(Debug)]
pub struct Samples {
    pub clock: FakeClock,
    pub entropy: SeededEntropy,
}

impl Samples {
    pub fn new(seed: u64) -> Self {
        Self {
            clock: FakeClock::new(),
            entropy: SeededEntropy::new(seed),
        }
    }

    pub fn application_id(&self) -> ApplicationId {
        ApplicationId::new(self.clock.now(), &self.entropy)
    }

    /// An ordinary message about no record, with a small JSON object as its payload.
    pub fn message(&self, event_type: &str) -> Message {
        let payload = format!(r#"{{"type":"{event_type}","severity":"high"}}"#);
        Message {
            id: MessageId::new(self.clock.now(), &self.entropy),
            accepted_at: self.clock.now(),
            event_type: event_type_named(event_type),
            event_id: None,
            record_key: None,
            urgency: Urgency::Ordinary,
            payload: Some(Bytes::from(payload)),
            details: Details::default(),
        }
    }

    /// A message that waits for earlier ones about the same record.
    pub fn message_about(&self, record_key: &str, event_type: &str) -> Message {
        Message {
            record_key: Some(record_key.to_owned()),
            ..self.message(event_type)
        }
    }

    /// Settings of an endpoint that takes every message of its application.
    pub fn settings(&self, url: &str) -> Settings {
        Settings {
            url: url.to_owned(),
            description: String::new(),
            disabled: false,
            subscription: Subscription::default(),
            throttle_rate: None,
            metadata: BTreeMap::new(),
            version: 1,
            method: None,
            timeout_ms: None,
            ordered: None,
            owner: None,
        }
    }

    /// A fresh symmetric key, and nothing else.
    pub fn secrets(&self) -> Secrets {
        Secrets::with_key(SigningKey::generate(&self.entropy))
    }

    /// An endpoint made just now, without a uid.
    pub fn identity(&self) -> Identity {
        Identity {
            id: EndpointId::new(self.clock.now(), &self.entropy),
            uid: None,
            created_at: self.clock.now(),
            updated_at: self.clock.now(),
        }
    }
}

fn event_type_named(name: &str) -> EventType {
    name.parse()
        .unwrap_or_else(|fault| panic!("{name:?} is no event type: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_seed_are_the_same_and_their_ids_differ() {
        let (one, other) = (Samples::new(7), Samples::new(7));
        let first = one.message("threat.created");
        assert_eq!(first, other.message("threat.created"));
        assert_ne!(first.id, one.message("threat.created").id);
    }

    #[test]
    fn a_sample_endpoint_wants_every_message() {
        let samples = Samples::new(7);
        let settings = samples.settings("https://receiver.example/hook");
        let message = samples.message_about("threat-1", "threat.created");
        assert_eq!(
            settings.wants(&message.event_type, &message.details),
            Ok(())
        );
        assert_eq!(message.record_key.as_deref(), Some("threat-1"));
    }
}
