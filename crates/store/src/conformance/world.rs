//! The scene of every case: an application with endpoints, and short ways to act on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use watchfire_domain::ambient::Entropy;
use watchfire_domain::attempt::{AfterAttempt, Attempt, Response, Settlement, Timing, Trigger};
use watchfire_domain::endpoint::{Identity, Settings};
use watchfire_domain::id::{
    ApplicationId, AttemptId, EndpointId, Ksuid, MessageId, OrganizationId,
};
use watchfire_domain::limit;
use watchfire_domain::message::{Details, Message, Urgency};
use watchfire_domain::outcome::Outcome;
use watchfire_domain::time::Timestamp;

use crate::{
    AppKey, Appended, Application, ApplicationRef, ApplicationSettings, AttemptRecord, Beat,
    Change, Claim, ClaimedBatch, ClaimedDelivery, DeliveryRef, DeliveryStatus, Endpoint,
    EndpointKey, EndpointRef, FenceToken, Life, Load, NewMessage, NewOwed, NodeId, OwedReason,
    Recorded, Seq, Series, Standing, Store, Wanted, Write,
};

/// Leases of [`World::claim`] last this long.
pub const LEASE: Duration = Duration::from_mins(5);

/// So many seconds after the case has begun.
pub fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000) + Duration::from_secs(seconds)
}

/// Seeded chance: the same in every run.
#[derive(Debug)]
pub struct Chance(AtomicU64);

impl Chance {
    pub fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A number below `bound`.
    pub fn below(&self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a small bound").max(1);
        usize::try_from(self.next() % bound).expect("below a small bound")
    }

    /// The `SplitMix64` generator.
    fn next(&self) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut x = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

impl Entropy for Chance {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_be_bytes()[..chunk.len()]);
        }
    }
}

/// An application with endpoints on one node.
#[derive(Clone)]
pub struct World {
    pub store: Arc<dyn Store>,
    pub chance: Arc<Chance>,
    pub life: Life,
    pub org: OrganizationId,
    pub app: AppKey,
    pub app_id: ApplicationId,
    pub endpoints: Vec<EndpointKey>,
}

impl World {
    /// One node, one application and so many endpoints.
    pub async fn with_endpoints(store: Arc<dyn Store>, count: usize) -> Self {
        Self::seeded(store, count, 7).await
    }

    /// The same with other chance: a second world in one store needs other ids.
    pub async fn seeded(store: Arc<dyn Store>, count: usize, seed: u64) -> Self {
        let life = live(&store, "one", Duration::from_hours(1)).await;
        let taken = store.take_shards(&life, limit::SHARDS).await;
        taken.expect("take what is free");
        let chance = Arc::new(Chance::seeded(seed));
        let nowhere = Self {
            store,
            chance,
            life,
            org: name("org_one"),
            app: AppKey(0),
            app_id: ApplicationId::from_ksuid(Ksuid::MIN),
            endpoints: Vec::new(),
        };
        nowhere.another_application(count).await
    }

    /// The same node and store with another application.
    pub async fn another_application(&self, endpoints: usize) -> Self {
        let application = self.application(None);
        let app_id = application.id;
        let create = Change::CreateApplication {
            org: self.org.clone(),
            application,
        };
        self.store.apply(vec![create]).await.expect("create it");
        let stored = self
            .store
            .application(&self.org, &ApplicationRef::Id(app_id))
            .await;
        let app = stored.expect("read it").expect("it exists").key;
        let mut world = Self {
            app,
            app_id,
            endpoints: Vec::new(),
            ..self.clone()
        };
        for _ in 0..endpoints {
            let key = world.create_endpoint(None).await;
            world.endpoints.push(key);
        }
        world
    }

    pub fn application(&self, uid: Option<&str>) -> Application {
        Application {
            id: ApplicationId::new(at(0), &*self.chance),
            uid: uid.map(name),
            created_at: at(0),
            updated_at: at(0),
            settings: ApplicationSettings {
                name: "acme".to_owned(),
                ..ApplicationSettings::default()
            },
        }
    }

    pub fn endpoint(&self, uid: Option<&str>) -> Endpoint {
        Endpoint {
            identity: Identity {
                id: EndpointId::new(at(0), &*self.chance),
                uid: uid.map(name),
                created_at: at(0),
                updated_at: at(0),
            },
            settings: serde_json::from_str::<Settings>(r#"{"url":"https://example.com/hook"}"#)
                .expect("settings"),
            sealed: vec![1, 2, 3],
        }
    }

    pub async fn create_endpoint(&self, uid: Option<&str>) -> EndpointKey {
        let endpoint = self.endpoint(uid);
        let id = endpoint.identity.id;
        let create = Change::CreateEndpoint {
            application: self.app_id,
            endpoint,
        };
        self.store.apply(vec![create]).await.expect("create it");
        let stored = self.store.endpoint(self.app, &EndpointRef::Id(id)).await;
        stored.expect("read it").expect("it exists").key
    }

    /// A message to all endpoints.
    pub fn message(&self) -> NewMessage {
        NewMessage {
            app: self.app,
            message: Arc::new(Message {
                id: MessageId::new(at(0), &*self.chance),
                accepted_at: at(0),
                event_type: name("threat.created"),
                event_id: None,
                record_key: None,
                urgency: Urgency::Ordinary,
                payload: Some(Bytes::from_static(b"{\"threat\":1}")),
                details: Details::default(),
            }),
            matched: self.endpoints.clone(),
            remember: None,
            elsewhere: Vec::new(),
            in_turn: Vec::new(),
        }
    }

    /// A message to all endpoints, changed before it is shared.
    pub fn message_with(&self, change: impl FnOnce(&mut Message)) -> NewMessage {
        let mut new = self.message();
        change(Arc::get_mut(&mut new.message).expect("not shared yet"));
        new
    }

    pub async fn append(&self, batch: Vec<NewMessage>) -> Vec<Appended> {
        self.store.append(&self.life, batch).await.expect("append")
    }

    /// Appends a message that must not meet a conflict.
    pub async fn accept(&self, new: NewMessage) -> Seq {
        match self.append(vec![new]).await[..] {
            [Appended::At { seq, .. }] => seq,
            ref other => panic!("expected a place, got {other:?}"),
        }
    }

    /// So many messages to all endpoints.
    pub async fn accept_many(&self, count: usize) -> Vec<Seq> {
        let batch = (0..count).map(|_| self.message()).collect();
        let places = self.append(batch).await;
        places.into_iter().map(place).collect()
    }

    pub fn delivery(&self, endpoint: EndpointKey, seq: Seq) -> DeliveryRef {
        DeliveryRef {
            app: self.app,
            endpoint,
            seq,
        }
    }

    pub fn attempt(&self, outcome: Outcome, next: AfterAttempt) -> Attempt {
        Attempt {
            id: AttemptId::new(at(0), &*self.chance),
            attempted_at: at(0),
            number: 1,
            trigger: Trigger::Scheduled,
            url: "https://example.com/hook".to_owned(),
            address: Some(([203, 0, 113, 7], 443).into()),
            outcome,
            sent: None,
            response: outcome.status().map(|_| Response {
                headers: vec![("content-length".to_owned(), "0".to_owned())],
                body: Bytes::new(),
                truncated: false,
            }),
            timing: Timing {
                total: Duration::from_micros(1_234),
                ..Timing::default()
            },
            next,
        }
    }

    /// A fresh delivery's attempt.
    pub fn fresh(&self, endpoint: EndpointKey, seq: Seq, attempt: Attempt) -> AttemptRecord {
        AttemptRecord {
            delivery: self.delivery(endpoint, seq),
            standing: Standing::Fresh,
            attempt,
            series: Series {
                attempts: 1,
                ..Series::START
            },
            urgency: Urgency::Ordinary,
            record: None,
            health: None,
            notices: Vec::new(),
            lag: None,
        }
    }

    pub async fn record(&self, now: Timestamp, batch: Vec<Write>) -> Vec<Recorded> {
        self.store
            .record(&self.life, now, batch)
            .await
            .expect("record")
    }

    pub async fn record_attempt(&self, now: Timestamp, record: AttemptRecord) -> Recorded {
        self.record(now, vec![Write::Attempt(Arc::new(record))])
            .await[0]
    }

    /// Settles a fresh delivery as delivered.
    pub async fn deliver(&self, endpoint: EndpointKey, seq: Seq) {
        let record = self.fresh(endpoint, seq, self.delivered());
        assert_eq!(self.record_attempt(at(0), record).await, Recorded::Done);
    }

    /// Settles a fresh delivery of a record as delivered.
    pub async fn deliver_keyed(&self, endpoint: EndpointKey, seq: Seq, key: i64) {
        let record = AttemptRecord {
            record: Some(key),
            ..self.fresh(endpoint, seq, self.delivered())
        };
        assert_eq!(self.record_attempt(at(0), record).await, Recorded::Done);
    }

    pub fn delivered(&self) -> Attempt {
        self.attempt(
            Outcome::Accepted { status: 204 },
            settled(Settlement::Delivered),
        )
    }

    pub fn refused(&self, due_at: Timestamp) -> Attempt {
        self.attempt(refusal(), AfterAttempt::Retry { due_at })
    }

    pub fn exhausted(&self) -> Attempt {
        self.attempt(refusal(), settled(Settlement::Exhausted))
    }

    pub fn owed(&self, endpoint: EndpointKey, seq: Seq, due_at: Option<Timestamp>) -> NewOwed {
        NewOwed {
            delivery: self.delivery(endpoint, seq),
            due_at,
            reason: OwedReason::Spilled,
            series: Series::START,
            urgency: Urgency::Ordinary,
            record: None,
        }
    }

    pub async fn spill(&self, now: Timestamp, owed: NewOwed) -> Recorded {
        self.record(now, vec![Write::Spill(owed)]).await[0]
    }

    pub async fn claim(&self, endpoint: EndpointKey, limit: usize, now: Timestamp) -> ClaimedBatch {
        let claim = Claim {
            life: self.life.clone(),
            now,
            lease_until: now + LEASE,
            wanted: vec![Wanted::any(endpoint, limit)],
        };
        self.store.claim(claim).await.expect("claim")
    }

    /// Claims what must be exactly one delivery.
    pub async fn claim_one(&self, endpoint: EndpointKey, now: Timestamp) -> ClaimedDelivery {
        let mut claimed = self.claim(endpoint, 10, now).await.deliveries;
        assert_eq!(claimed.len(), 1, "one delivery is due");
        claimed.remove(0)
    }

    /// The attempt of a claimed delivery.
    pub fn leased(&self, claimed: &ClaimedDelivery, attempt: Attempt) -> AttemptRecord {
        AttemptRecord {
            delivery: claimed.delivery,
            standing: Standing::Leased(claimed.token),
            attempt,
            series: Series {
                attempts: claimed.series.attempts + 1,
                ..claimed.series
            },
            urgency: claimed.message.urgency,
            record: claimed.record,
            health: None,
            notices: Vec::new(),
            lag: None,
        }
    }

    pub async fn give_back(
        &self,
        claimed: &ClaimedDelivery,
        token: FenceToken,
        due_at: Option<Timestamp>,
    ) -> Recorded {
        let give_back = Write::Return {
            delivery: claimed.delivery,
            token,
            due_at,
        };
        self.record(at(0), vec![give_back]).await[0]
    }

    /// Where the delivery stands.
    pub async fn status(&self, endpoint: EndpointKey, seq: Seq) -> DeliveryStatus {
        let views = self
            .store
            .deliveries_of(self.app, seq)
            .await
            .expect("read it");
        let view = views.iter().find(|view| view.endpoint == endpoint);
        view.expect("it is a delivery of the message").status
    }

    /// The endpoints a restart would take up again, by message.
    pub async fn unfinished(&self) -> Vec<(Seq, Vec<EndpointKey>)> {
        let read = self.store.unfinished(&self.life, Seq(0), 10_000).await;
        let (unfinished, next) = read.expect("read it");
        assert_eq!(next, None, "it fits into one page");
        unfinished
            .into_iter()
            .map(|message| (message.stored.seq, message.endpoints))
            .collect()
    }
}

/// Joins a node whose lease ends after so long.
pub async fn live(store: &Arc<dyn Store>, node: &str, lease: Duration) -> Life {
    let joined = store.join(&NodeId(node.to_owned()), beat(lease)).await;
    joined.expect("join").life
}

pub fn beat(lease: Duration) -> Beat {
    Beat {
        now: at(0),
        lease,
        version: "1.2.3".to_owned(),
        load: Load::default(),
    }
}

pub fn settled(settlement: Settlement) -> AfterAttempt {
    AfterAttempt::Settled { settlement }
}

fn refusal() -> Outcome {
    Outcome::Refused {
        status: 503,
        retry_after: None,
    }
}

pub fn place(appended: Appended) -> Seq {
    match appended {
        Appended::At { seq, .. } => seq,
        other @ (Appended::EventIdTaken(_) | Appended::Repeated(_)) => {
            panic!("expected a place, got {other:?}")
        }
    }
}

/// A name that is known to be valid.
pub fn name<T>(text: &str) -> T
where
    T: std::str::FromStr<Err: std::fmt::Debug>,
{
    text.parse().expect("a valid name")
}
