//! What is posted, and what was there before.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use watchfire_domain::attempt::{AfterAttempt, Attempt, Settlement, Timing, Trigger};
use watchfire_domain::id::{AttemptId, MessageId};
use watchfire_domain::message::{Details, Message, Urgency};
use watchfire_domain::outcome::Outcome;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AppKey, Appended, AttemptRecord, Beat, DeliveryRef, EndpointKey, Life, Load, NewMessage,
    NodeId, Seq, Series, Standing, Write,
};

use super::Harness;
use crate::{AcceptError, Accepted, Audience, NewEvent};

impl Harness {
    pub(crate) async fn post(&self, app: AppKey, event_type: &str, record: Option<&str>) -> Seq {
        self.accept(app, event_type, record, Details::default())
            .await
    }

    pub(crate) async fn post_at(&self, app: AppKey, at: Timestamp) -> Seq {
        let details = Details {
            deliver_at: Some(at),
            ..Details::default()
        };
        self.accept(app, "threat.created", None, details).await
    }

    async fn accept(
        &self,
        app: AppKey,
        event_type: &str,
        record: Option<&str>,
        details: Details,
    ) -> Seq {
        let accepted = self.try_to_accept(app, (event_type, record), details).await;
        accepted.expect("accepted").seq
    }

    pub(crate) async fn try_to_accept(
        &self,
        app: AppKey,
        (event_type, record): (&str, Option<&str>),
        details: Details,
    ) -> Result<Accepted, AcceptError> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let payload = match record {
            Some(record) => format!(r#"{{"n":{number},"record":"{record}"}}"#),
            None => format!(r#"{{"n":{number}}}"#),
        };
        let event = NewEvent {
            id: MessageId::new(self.now(), &self.samples.entropy),
            accepted_at: self.now(),
            event_type: event_type.parse().expect("valid"),
            event_id: None,
            payload: Bytes::from(payload),
            record_key: record.map(str::to_owned),
            urgency: None,
            details,
            remember: None,
            audience: Audience::Subscribers,
        };
        let snapshot = self.snapshot(app).await;
        self.engine.accept(&snapshot, event).await
    }

    /// A node that was there before.
    async fn earlier_life(&self) -> Life {
        let node = NodeId("before".to_owned());
        let beat = Beat {
            now: self.now(),
            lease: Duration::from_hours(1),
            version: String::new(),
            load: Load::default(),
        };
        self.store.join(&node, beat).await.expect("joined").life
    }

    /// Stores so many messages as if they had been accepted long ago, without sending them.
    pub(crate) async fn store_old(
        &self,
        app: AppKey,
        to: &[EndpointKey],
        count: usize,
    ) -> Vec<Seq> {
        let message = |()| {
            let number = self.numbers.fetch_add(1, Ordering::Relaxed);
            NewMessage {
                app,
                message: Arc::new(Message {
                    id: MessageId::new(self.now(), &self.samples.entropy),
                    accepted_at: self.now(),
                    event_type: "threat.created".parse().expect("valid"),
                    event_id: None,
                    record_key: None,
                    urgency: Urgency::Ordinary,
                    payload: Some(Bytes::from(format!(r#"{{"n":{number}}}"#))),
                    details: Details::default(),
                }),
                matched: to.to_vec(),
                remember: None,
                elsewhere: Vec::new(),
                in_turn: Vec::new(),
            }
        };
        let batch = std::iter::repeat_n((), count).map(message).collect();
        let life = self.earlier_life().await;
        let appended = self.store.append(&life, batch).await.expect("stored");
        self.store.leave(&life).await.expect("left");
        let seq = |appended| match appended {
            Appended::At { seq, .. } => seq,
            Appended::EventIdTaken(_) | Appended::Repeated(_) => panic!("it is new"),
        };
        appended.into_iter().map(seq).collect()
    }

    /// Stores so many messages whose delivery to an endpoint was exhausted.
    pub(crate) async fn store_failed(
        &self,
        app: AppKey,
        endpoint: EndpointKey,
        count: usize,
    ) -> Vec<Seq> {
        let seqs = self.store_old(app, &[endpoint], count).await;
        let attempt = Attempt {
            id: AttemptId::new(self.now(), &self.samples.entropy),
            attempted_at: self.now(),
            number: 1,
            trigger: Trigger::Scheduled,
            url: "https://example.com/".to_owned(),
            address: None,
            outcome: Outcome::Oversize,
            sent: None,
            response: None,
            timing: Timing::default(),
            next: AfterAttempt::Settled {
                settlement: Settlement::Exhausted,
            },
        };
        let write = |seq: &Seq| {
            Write::Attempt(Arc::new(AttemptRecord {
                delivery: DeliveryRef {
                    app,
                    endpoint,
                    seq: *seq,
                },
                standing: Standing::Fresh,
                attempt: attempt.clone(),
                series: Series::START,
                urgency: Urgency::Ordinary,
                record: None,
                health: None,
                notices: Vec::new(),
                lag: None,
            }))
        };
        let writes = seqs.iter().map(write).collect();
        let life = self.earlier_life().await;
        let recorded = self.store.record(&life, self.now(), writes).await;
        recorded.expect("recorded");
        self.store.leave(&life).await.expect("left");
        // Attempts of one millisecond are in no order of time, and what follows is to be later.
        tokio::time::sleep(Duration::from_secs(1)).await;
        seqs
    }
}
