//! Messages: the events that were accepted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use watchfire_domain::audit::Action;
use watchfire_domain::id::{EventType, MessageId, Uid};
use watchfire_domain::limit;
use watchfire_domain::message::{Details, Message, RawBody, Recipients, Urgency};
use watchfire_domain::time::Timestamp;
use watchfire_store::{EndpointKey, EndpointRef, MessageFilter, MessageRef, Range, StoredMessage};

use super::audit::{Deed, Seen};
use super::check::{Faults, Label, deduplicated};
use super::once::done_once;
use super::{Error, Once, Repeatable, Result};
use crate::{Audience, Engine, NewEvent, Snapshot};

/// An event as somebody typed it.
#[derive(Clone, Debug)]
pub struct MessageInput {
    pub event_type: EventType,
    pub event_id: Option<Uid>,
    /// One JSON object.
    pub payload: Bytes,
    pub record_key: Option<String>,
    pub urgency: Option<Urgency>,
    pub channels: Vec<String>,
    pub tags: Vec<String>,
    /// The users it is for, and nobody else; none of them for endpoints that belong to nobody.
    /// The contract reads it from the payload if absent.
    pub recipients: Option<Vec<String>>,
    pub deliver_at: Option<Timestamp>,
    /// The default retention if absent.
    pub payload_retention: Option<Duration>,
    pub raw_body: Option<RawBody>,
    /// It only asks an endpoint whether it works.
    pub ping: bool,
}

impl MessageInput {
    pub fn new(event_type: EventType, payload: Bytes) -> Self {
        Self {
            event_type,
            event_id: None,
            payload,
            record_key: None,
            urgency: None,
            channels: Vec::new(),
            tags: Vec::new(),
            recipients: None,
            deliver_at: None,
            payload_retention: None,
            raw_body: None,
            ping: false,
        }
    }

    fn check(&mut self) -> Result<()> {
        let raw = self.raw_body.as_ref().map_or(0, |raw| raw.body.len());
        if self.payload.len().max(raw) > limit::PAYLOAD_BYTES_MAX {
            return Err(Error::TooLarge);
        }
        let mut faults = Faults::default();
        check_payload(&self.payload, &mut faults);
        if let Some(uid) = &self.event_id {
            let prefix = MessageId::PREFIX;
            if uid.as_str().starts_with(prefix) {
                faults.add(
                    "eventId",
                    watchfire_domain::id::InvalidName::ReservedPrefix(prefix),
                );
            }
        }
        if let Some(record) = &self.record_key {
            faults.chars("recordKey", record, 1, limit::RECORD_KEY_CHARS_MAX);
        }
        if !self.channels.is_empty() {
            self.channels = deduplicated(std::mem::take(&mut self.channels));
            faults.labels(
                Label::Channel,
                &self.channels,
                limit::CHANNELS_PER_MESSAGE_MAX,
            );
        }
        if !self.tags.is_empty() {
            self.tags = deduplicated(std::mem::take(&mut self.tags));
            faults.labels(Label::Tag, &self.tags, limit::CHANNELS_PER_MESSAGE_MAX);
        }
        if let Some(recipients) = self.recipients.take() {
            let recipients = deduplicated(recipients);
            check_recipients(&recipients, &mut faults);
            self.recipients = Some(recipients);
        }
        faults.finish()
    }

    fn into_event(self, id: MessageId, now: Timestamp, audience: Audience) -> NewEvent {
        NewEvent {
            id,
            accepted_at: now,
            event_type: self.event_type,
            event_id: self.event_id,
            payload: self.payload,
            record_key: self.record_key,
            urgency: self.urgency,
            details: Details {
                channels: self.channels,
                tags: self.tags,
                recipients: self.recipients.map(|users| Recipients {
                    shared: users.is_empty(),
                    users,
                }),
                raw_body: self.raw_body,
                deliver_at: self.deliver_at,
                payload_expires_at: self.payload_retention.map(|retention| now + retention),
                schema_faults: Vec::new(),
                ping: self.ping,
            },
            remember: None,
            audience,
        }
    }
}

fn check_recipients(recipients: &[String], faults: &mut Faults) {
    let max = limit::RECIPIENTS_PER_MESSAGE_MAX;
    if recipients.len() > max {
        faults.add("recipients", format_args!("may have at most {max} items"));
    }
    let max = limit::NAME_CHARS_MAX;
    for (index, user) in recipients.iter().enumerate() {
        if user.is_empty() || user.chars().count() > max {
            let reason = format_args!("must have 1 to {max} characters");
            faults.add_at("recipients", format!("[{index}]"), reason);
        }
    }
}

/// A payload stands one level deep in its request.
const DEPTH_MAX: usize = limit::JSON_DEPTH_MAX - 1;

fn check_payload(payload: &[u8], faults: &mut Faults) {
    if payload.first() != Some(&b'{') {
        faults.add("payload", "must be a JSON object");
    } else if is_nested_deeper(payload, DEPTH_MAX) {
        let max = DEPTH_MAX;
        faults.add("payload", format_args!("may be nested at most {max} deep"));
    }
}

/// Whether valid JSON is nested more than `max` levels deep.
fn is_nested_deeper(json: &[u8], max: usize) -> bool {
    let opens = |byte: &u8| matches!(byte, b'{' | b'[');
    // Almost every payload has too few brackets to be deep, and counting is fast.
    if json.iter().filter(|byte| opens(byte)).count() <= max {
        return false;
    }
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > max {
            return true;
        }
    }
    false
}

/// Accepts an event for an application: on disk when it returns.
///
/// A repetition of a request that was accepted answers the message of the first.
///
/// # Errors
///
/// [`Error::Exists`] if another message has its event id, [`Error::Repeated`] if another request
/// used the same idempotency key.
pub async fn create(
    engine: &Engine,
    app: &Arc<Snapshot>,
    input: MessageInput,
    once: Option<Once>,
) -> Result<Arc<Message>> {
    accept(engine, app, input, Audience::Subscribers, once).await
}

async fn accept(
    engine: &Engine,
    app: &Arc<Snapshot>,
    mut input: MessageInput,
    audience: Audience,
    once: Option<Once>,
) -> Result<Arc<Message>> {
    input.check()?;
    let now = engine.clock().now();
    let id = MessageId::new(now, engine.entropy());
    let mut event = input.into_event(id, now, audience);
    event.remember = once.map(|once| once.remember(now, id.ksuid().as_bytes().to_vec()));
    match engine.accept(app, event).await.map_err(Error::from) {
        Ok(accepted) => Ok(accepted.message),
        Err(error) => first_answer(engine, app, error, once).await,
    }
}

/// The message of the first request, if this one repeats it.
async fn first_answer(
    engine: &Engine,
    app: &Snapshot,
    error: Error,
    once: Option<Once>,
) -> Result<Arc<Message>> {
    let Some(once) = once else { return Err(error) };
    let remembered = match error {
        Error::Repeated(remembered) => remembered,
        // A repetition has the event id of the first as well.
        Error::Exists(super::Existing::EventId) => {
            let now = engine.clock().now();
            engine
                .store()
                .remembered(once.key, now)
                .await?
                .ok_or(error)?
        }
        error => return Err(error),
    };
    let id = <[u8; watchfire_domain::id::BYTES]>::try_from(remembered.answer.as_slice());
    match id {
        Ok(id) if remembered.request == once.request => {
            let id = MessageId::from_ksuid(watchfire_domain::id::Ksuid::from_bytes(id));
            Ok(find(engine, app, &MessageRef::Id(id)).await?.message)
        }
        _ => Err(Error::Repeated(remembered)),
    }
}

/// Whether any endpoint would be sent a message of this event type in these channels now.
pub fn is_wanted(app: &Snapshot, event_type: &EventType, channels: &[String]) -> bool {
    let details = Details {
        channels: channels.to_vec(),
        ..Details::default()
    };
    let mut endpoints = app.endpoints.iter();
    endpoints.any(|endpoint| {
        let settings = &endpoint.stored.endpoint.settings;
        settings.wants(event_type, &details).is_ok()
    })
}

/// What is sent to an endpoint to try it.
#[derive(Clone, Debug)]
pub struct Example {
    pub event_type: EventType,
    /// Which of the examples in the event type's schema, where that has them.
    pub index: usize,
    /// Sent instead of an example.
    pub payload: Option<Bytes>,
}

/// Sends an example of an event type to one endpoint, whatever it subscribes to.
pub async fn send_example(
    engine: &Engine,
    app: &Arc<Snapshot>,
    reference: &EndpointRef,
    example: Example,
    once: Option<Once>,
) -> Result<Arc<Message>> {
    let stored = engine.store().endpoint(app.stored.key, reference).await?;
    let endpoint = stored.ok_or(Error::NotFound)?.key;
    let input = match example.payload {
        Some(payload) => MessageInput::new(example.event_type, payload),
        None => example_of(engine, app, example.event_type, example.index).await?,
    };
    accept(engine, app, input, Audience::Only(endpoint), once).await
}

/// Asks one endpoint whether it works, in the words of its contract.
pub(super) async fn ping(
    engine: &Engine,
    app: &Arc<Snapshot>,
    endpoint: EndpointKey,
    once: Option<Once>,
) -> Result<Arc<Message>> {
    let event_type = PING.parse().expect("a valid name");
    let mut input = example_of(engine, app, event_type, 0).await?;
    let asked = app.endpoint(endpoint);
    let named = asked.map(|asked| app.contract.ping_payload(&asked.stored.endpoint.settings));
    if let Some(payload) = named.flatten() {
        input.payload = payload;
    }
    input.ping = true;
    accept(engine, app, input, Audience::Only(endpoint), once).await
}

/// The event type with which anyone may try an endpoint.
const PING: &str = "svix.ping";

/// An example of an event type: the contract's, the ping's, or the one in its schema.
async fn example_of(
    engine: &Engine,
    app: &Snapshot,
    event_type: EventType,
    index: usize,
) -> Result<MessageInput> {
    let contract = &app.contract;
    let pings = event_type.as_str() == PING;
    let ping = contract.manifest().ping.as_ref().filter(|_| pings);
    let name = ping.map_or(event_type.as_str(), |ping| ping.event_type.as_str());
    if let Some(listed) = contract.event_type(name) {
        let payload = Bytes::from(listed.sample.clone());
        let event_type = name.parse().unwrap_or(event_type);
        return Ok(MessageInput::new(event_type, payload));
    }
    if pings {
        let payload = Bytes::from_static(br#"{"success":true}"#);
        return Ok(MessageInput::new(event_type, payload));
    }
    let stored = engine
        .store()
        .event_type(&app.stored.org, &event_type)
        .await?;
    let schemas = stored.and_then(|record| record.settings.schemas);
    let examples = schemas.as_ref().and_then(examples_in);
    let example = examples.map(|examples| examples.get(index));
    let Some(example) = example.flatten().filter(|example| example.is_object()) else {
        let mut faults = Faults::default();
        if example.is_some() && index > 0 {
            faults.add("exampleIndex", "the event type has no such example");
        } else {
            faults.add("eventType", "no event type of this name has an example");
        }
        return Err(faults.into_error());
    };
    Ok(MessageInput::new(event_type, example.to_string().into()))
}

/// An example payload of an event type.
///
/// # Errors
///
/// [`Error::Invalid`] if there is none.
pub async fn sample(engine: &Engine, app: &Snapshot, event_type: &EventType) -> Result<Bytes> {
    Ok(example_of(engine, app, event_type.clone(), 0)
        .await?
        .payload)
}

/// The examples of the newest schema.
fn examples_in(schemas: &serde_json::Value) -> Option<&serde_json::Value> {
    let by_version = |(version, _): &(&String, _)| version.parse::<u32>().unwrap_or(0);
    let (_, newest) = schemas.as_object()?.iter().max_by_key(by_version)?;
    newest.get("examples")
}

pub async fn find(
    engine: &Engine,
    app: &Snapshot,
    reference: &MessageRef,
) -> Result<StoredMessage> {
    let found = engine.store().message(app.stored.key, reference).await?;
    found.ok_or(Error::NotFound)
}

pub async fn list(
    engine: &Engine,
    app: &Snapshot,
    filter: &MessageFilter,
    range: Range<MessageId>,
) -> Result<Vec<StoredMessage>> {
    Ok(engine
        .store()
        .messages(app.stored.key, filter, range)
        .await?)
}

/// Removes a message's payload; its attempts stay.
pub async fn expunge(engine: &Engine, app: &Snapshot, reference: &MessageRef) -> Result<()> {
    let message = find(engine, app, reference).await?;
    let deed = Deed::within(app, Action::PayloadRemoved, &message.message.id);
    let noted = deed.noted(engine, Seen::NOTHING, Seen::NOTHING);
    engine.apply(vec![noted]).await?;
    let store = engine.store();
    Ok(store
        .expunge_payloads(app.stored.key, vec![message.seq])
        .await?)
}

/// Removes the payloads of some messages. Says of each name whether it named a message.
pub async fn expunge_all(
    engine: &Engine,
    app: &Snapshot,
    references: Vec<(String, Option<MessageRef>)>,
    repeatable: Option<Repeatable<'_, BTreeMap<String, bool>>>,
) -> Result<BTreeMap<String, bool>> {
    done_once(engine, repeatable, async {
        let mut found = BTreeMap::new();
        let (mut seqs, mut notes) = (Vec::new(), Vec::new());
        for (name, reference) in references {
            let message = match &reference {
                Some(reference) => engine.store().message(app.stored.key, reference).await?,
                None => None,
            };
            if let Some(message) = &message {
                let deed = Deed::within(app, Action::PayloadRemoved, &message.message.id);
                notes.push(deed.noted(engine, Seen::NOTHING, Seen::NOTHING));
                seqs.push(message.seq);
            }
            found.insert(name, message.is_some());
        }
        engine.apply(notes).await?;
        engine
            .store()
            .expunge_payloads(app.stored.key, seqs)
            .await?;
        Ok(found)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!(
            "{{\"a\":{}{}}}",
            "[".repeat(depth - 1),
            "]".repeat(depth - 1)
        )
    }

    #[test]
    fn depth_has_a_limit() {
        let max = limit::JSON_DEPTH_MAX;
        assert!(!is_nested_deeper(nested(max).as_bytes(), max));
        assert!(is_nested_deeper(nested(max + 1).as_bytes(), max));
    }

    #[test]
    fn brackets_in_texts_are_not_depth() {
        let text = format!(r#"{{"a":"\"{}","b":[]}}"#, "[".repeat(500));
        assert!(!is_nested_deeper(text.as_bytes(), 2));
        let wide = format!("[{}[]]", "[],".repeat(500));
        assert!(!is_nested_deeper(wide.as_bytes(), 2));
    }
}
