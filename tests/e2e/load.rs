//! Load for the tests that take the server down in the middle of it: producers that never lose
//! count of what was accepted, and receivers that keep a ledger of what came.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use watchfire_domain::ambient::Entropy as _;
use watchfire_testkit::{Receiver, Reply, Request, Script, SeededEntropy};

use crate::harness::{Api, Application, tell};

/// Producers that post at the same time.
const PRODUCERS: usize = 8;
/// Records of each producer; a further stream of its events is about no record.
const RECORDS: usize = 2;
/// Rest of a producer that can't reach the server, or is told to wait.
const REST: Duration = Duration::from_millis(5);
/// After so long without an answer a producer gives up on a server, and asks the others for a while.
const GIVES_UP: Duration = Duration::from_secs(8);
const SPARED: usize = 200;

/// A stream of events that one producer posts one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stream {
    producer: usize,
    /// `None`: its events are about no record, so their order is not kept.
    record: Option<usize>,
}

impl Stream {
    pub(crate) fn is_ordered(self) -> bool {
        self.record.is_some()
    }

    fn name(self) -> String {
        match self.record {
            Some(record) => format!("{}-{record}", self.producer),
            None => format!("{}-none", self.producer),
        }
    }

    fn parse(name: &str) -> Self {
        let (producer, record) = name.split_once('-').expect("a name made here");
        Self {
            producer: producer.parse().expect("a number"),
            record: record.parse().ok(),
        }
    }
}

/// Ordered streams in all: so many keyed deliveries of an endpoint can be under way at once.
pub(crate) const ORDERED_STREAMS: usize = PRODUCERS * RECORDS;

/// Post events until they are told to stop, each until it is known to be accepted.
pub(crate) struct Producers {
    servers: watch::Sender<Vec<Application>>,
    service: Arc<Mutex<Service>>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Vec<(Stream, u64)>>,
}

/// How producers were served.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Service {
    /// Answered that they try again.
    pub(crate) refused: usize,
    /// Not answered at all, or too late.
    pub(crate) broken: usize,
    /// The longest that an event waited from its first try until it was accepted.
    pub(crate) longest: Duration,
}

impl Producers {
    pub(crate) fn start(application: &Application) -> Self {
        Self::start_at(vec![application.clone()])
    }

    /// Posts to these servers by turns.
    pub(crate) fn start_at(servers: Vec<Application>) -> Self {
        let (servers, asked) = watch::channel(servers);
        let stop = Arc::new(AtomicBool::new(false));
        let service = Arc::default();
        let mut tasks = JoinSet::new();
        for producer in 0..PRODUCERS {
            let clerk = Clerk {
                servers: asked.clone(),
                service: Arc::clone(&service),
                turn: producer,
                spared: None,
            };
            tasks.spawn(produce(producer, clerk, Arc::clone(&stop)));
        }
        Self {
            servers,
            service,
            stop,
            tasks,
        }
    }

    /// The server was started again: it is reached here from now on.
    pub(crate) fn follow(&self, api: &Api) {
        self.follow_at(0, api);
    }

    /// The same for one of several.
    pub(crate) fn follow_at(&self, server: usize, api: &Api) {
        self.servers
            .send_modify(|servers| servers[server] = servers[server].at(api));
    }

    /// How they were served since the last look.
    pub(crate) fn service(&self) -> Service {
        std::mem::take(&mut *self.service.lock())
    }

    /// Lets each producer finish its last event. Returns how many of each stream were accepted:
    /// the places from 0 up to that.
    pub(crate) async fn finish(self) -> BTreeMap<Stream, u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await.into_iter().flatten().collect()
    }
}

async fn produce(producer: usize, mut clerk: Clerk, stop: Arc<AtomicBool>) -> Vec<(Stream, u64)> {
    let records = (0..RECORDS).map(Some).chain([None]);
    let streams = records.map(|record| Stream { producer, record });
    let mut counts: Vec<_> = streams.map(|stream| (stream, 0)).collect();
    loop {
        for (stream, count) in &mut counts {
            clerk.post_until_accepted(*stream, *count).await;
            *count += 1;
        }
        if stop.load(Ordering::Relaxed) {
            return counts;
        }
    }
}

/// Posts for one producer, to each server in its turn.
struct Clerk {
    servers: watch::Receiver<Vec<Application>>,
    service: Arc<Mutex<Service>>,
    turn: usize,
    /// A server that did not answer, and the turn until which it is not asked.
    spared: Option<(usize, usize)>,
}

impl Clerk {
    /// Posts one event again and again, in a way that the server recognizes: half of the producers
    /// name the event, half name the request. 409 says that an earlier try whose answer was lost
    /// has been accepted; a repeated request is answered as it would have been then.
    async fn post_until_accepted(&mut self, stream: Stream, place: u64) {
        let name = format!("{}.{place}", stream.name());
        let mut event = event(stream, place);
        let key = if stream.producer.is_multiple_of(2) {
            event["eventId"] = name.into();
            None
        } else {
            Some(name)
        };
        let begun = Instant::now();
        loop {
            let status = self.post(&event, key.as_deref()).await;
            if self.note(status, begun) {
                return;
            }
            tokio::time::sleep(REST).await;
        }
    }

    /// Notes how it was served. Returns whether the event is accepted.
    fn note(&self, status: Option<u16>, begun: Instant) -> bool {
        let mut service = self.service.lock();
        match status {
            Some(202 | 409) => {
                service.longest = service.longest.max(begun.elapsed());
                return true;
            }
            Some(503) => service.refused += 1,
            None => service.broken += 1,
            Some(status) => panic!("a producer was answered {status}"),
        }
        false
    }

    /// The status of the answer, if one came in time.
    async fn post(&mut self, event: &Value, key: Option<&str>) -> Option<u16> {
        let (server, application) = {
            let servers = self.servers.borrow();
            self.turn += 1;
            let is_spared = |(server, until)| {
                server == self.turn % servers.len() && self.turn < until && servers.len() > 1
            };
            self.turn += usize::from(self.spared.is_some_and(is_spared));
            let server = self.turn % servers.len();
            (server, servers[server].clone())
        };
        let path = application.path("/msg?with_content=false");
        let posting = application
            .api
            .exchange(Method::POST, &path, Some(event), key);
        let Ok(answer) = tokio::time::timeout(GIVES_UP, posting).await else {
            self.spared = Some((server, self.turn + SPARED));
            return None;
        };
        Some(answer.ok()?.status)
    }
}

fn event(stream: Stream, place: u64) -> Value {
    let name = stream.name();
    let mut event = json!({
        "eventType": "threat.changed",
        "payload": { "stream": name, "place": place },
    });
    if stream.is_ordered() {
        event["recordKey"] = name.into();
    }
    event
}

/// A request that came to a receiver, in the order they came.
#[derive(Clone, Debug)]
pub(crate) struct Receipt {
    pub(crate) stream: Stream,
    pub(crate) place: u64,
    /// The message's id: the same on every attempt at every endpoint.
    pub(crate) message: String,
    /// Which life of the server sent it: rises whenever it is started again.
    pub(crate) life: u32,
    pub(crate) accepted: bool,
    pub(crate) came_at: Instant,
}

/// What came to one endpoint.
#[derive(Default)]
struct Ledger {
    life: u32,
    receipts: Vec<Receipt>,
}

/// An endpoint that keeps a ledger, and fails now and then if it is flaky.
pub(crate) struct Endpoint {
    receiver: Receiver,
    ledger: Arc<Mutex<Ledger>>,
    count: watch::Receiver<usize>,
}

impl Endpoint {
    /// Listens. `failures_percent` of the requests are answered 503; every answer takes a few
    /// milliseconds.
    pub(crate) async fn start(seed: u64, failures_percent: f64) -> Self {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let (counter, count) = watch::channel(0);
        let script = keeping(Arc::clone(&ledger), counter, seed, failures_percent);
        Self {
            receiver: Receiver::start(script).await,
            ledger,
            count,
        }
    }

    pub(crate) fn url(&self) -> String {
        self.receiver.url("/")
    }

    /// Waits until so many requests came in all.
    pub(crate) async fn received(&self, count: usize) {
        let mut counts = self.count.clone();
        let reached = counts.wait_for(|received| *received >= count);
        reached.await.expect("the receiver listens");
    }

    pub(crate) fn count(&self) -> usize {
        *self.count.borrow()
    }

    pub(crate) fn receipts(&self) -> Vec<Receipt> {
        self.ledger.lock().receipts.clone()
    }

    /// How many different events of each stream were accepted.
    fn accepted(&self) -> BTreeMap<Stream, u64> {
        let mut places = BTreeMap::<Stream, std::collections::BTreeSet<u64>>::new();
        for receipt in self
            .ledger
            .lock()
            .receipts
            .iter()
            .filter(|one| one.accepted)
        {
            places
                .entry(receipt.stream)
                .or_default()
                .insert(receipt.place);
        }
        let count = |places: std::collections::BTreeSet<u64>| {
            u64::try_from(places.len()).expect("few enough")
        };
        places
            .into_iter()
            .map(|(stream, places)| (stream, count(places)))
            .collect()
    }

    /// Whether every event of these streams arrived and was accepted.
    pub(crate) fn has_all(&self, wanted: &BTreeMap<Stream, u64>) -> bool {
        self.accepted() == *wanted
    }

    /// Streams of which not just as much was accepted as is wanted: that, and how much was.
    pub(crate) fn amiss(&self, wanted: &BTreeMap<Stream, u64>) -> Vec<(Stream, u64, u64)> {
        let accepted = self.accepted();
        let streams = accepted.keys().chain(wanted.keys());
        let streams: std::collections::BTreeSet<_> = streams.collect();
        let of = |counts: &BTreeMap<Stream, u64>, stream| counts.get(stream).copied().unwrap_or(0);
        let counts = streams
            .into_iter()
            .map(|stream| (*stream, of(wanted, stream), of(&accepted, stream)));
        counts.filter(|(_, wanted, got)| wanted != got).collect()
    }

    /// The server is dead: what it had sent is taken in, and what comes later is another life's.
    pub(crate) async fn end_life(&self) {
        // Requests queue up behind one another: once this one is answered, those of the dead
        // process have been read.
        let barrier = Api::new(self.receiver.address(), "");
        barrier.get("/barrier").await.expect(204);
        self.ledger.lock().life += 1;
    }
}

fn keeping(
    ledger: Arc<Mutex<Ledger>>,
    counter: watch::Sender<usize>,
    seed: u64,
    failures_percent: f64,
) -> Script {
    let chance = SeededEntropy::new(seed);
    Script::choose(move |request: &Request| {
        if request.method == "GET" {
            return Reply::status(204);
        }
        let accepted = chance.unit() * 100.0 >= failures_percent;
        let mut ledger = ledger.lock();
        let receipt = receipt(request, ledger.life, accepted);
        ledger.receipts.push(receipt);
        counter.send_modify(|count| *count += 1);
        let delay = Duration::from_secs_f64(chance.unit() * 0.005);
        Reply::status(if accepted { 204 } else { 503 }).after(delay)
    })
}

fn receipt(request: &Request, life: u32, accepted: bool) -> Receipt {
    let payload: Value = serde_json::from_slice(&request.body).expect("what was posted");
    Receipt {
        stream: Stream::parse(payload["stream"].as_str().expect("a text")),
        place: payload["place"].as_u64().expect("a number"),
        message: request.header("webhook-id").unwrap_or_default().to_owned(),
        life,
        accepted,
        came_at: Instant::now(),
    }
}

/// The seed of this run: `WATCHFIRE_TEST_SEED`, or a new one. It is printed, so that a failure
/// says how to repeat it.
pub(crate) fn seed() -> u64 {
    let given = std::env::var("WATCHFIRE_TEST_SEED").ok();
    let seed = given.map_or_else(
        || RandomState::new().build_hasher().finish(),
        |text| text.parse().expect("WATCHFIRE_TEST_SEED is a number"),
    );
    tell(&format!("WATCHFIRE_TEST_SEED={seed}"));
    seed
}

/// Draws a whole number from `from..to`.
pub(crate) fn draw(chance: &SeededEntropy, from: usize, to: usize) -> usize {
    let mut bytes = [0; 8];
    chance.fill(&mut bytes);
    let drawn = u64::from_le_bytes(bytes) % u64::try_from(to - from).expect("a small range");
    from + usize::try_from(drawn).expect("smaller than the range")
}

/// Settings under which an endpoint that fails now and then is retried at once and never left
/// alone: these tests are not about health.
pub(crate) const PERSISTENT: &str = r#"
[contracts.standard.health]
suspend_after = "never"
disable_after = "never"
warn_after = []
"#;
