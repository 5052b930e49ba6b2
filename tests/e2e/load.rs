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
use watchfire_domain::ambient::Entropy as _;
use watchfire_testkit::{Receiver, Reply, Request, Script, SeededEntropy};

use crate::harness::{Api, Application, tell};

/// Producers that post at the same time.
const PRODUCERS: usize = 8;
/// Records of each producer; a further stream of its events is about no record.
const RECORDS: usize = 2;
/// Rest of a producer that can't reach the server, or is told to wait.
const REST: Duration = Duration::from_millis(5);

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
    server: watch::Sender<Application>,
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Vec<(Stream, u64)>>,
}

impl Producers {
    pub(crate) fn start(application: &Application) -> Self {
        let (server, servers) = watch::channel(application.clone());
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for producer in 0..PRODUCERS {
            tasks.spawn(produce(producer, servers.clone(), Arc::clone(&stop)));
        }
        Self {
            server,
            stop,
            tasks,
        }
    }

    /// The server was started again: it is reached here from now on.
    pub(crate) fn follow(&self, api: &Api) {
        self.server
            .send_modify(|application| *application = application.at(api));
    }

    /// Lets each producer finish its last event. Returns how many of each stream were accepted:
    /// the places from 0 up to that.
    pub(crate) async fn finish(self) -> BTreeMap<Stream, u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks.join_all().await.into_iter().flatten().collect()
    }
}

async fn produce(
    producer: usize,
    servers: watch::Receiver<Application>,
    stop: Arc<AtomicBool>,
) -> Vec<(Stream, u64)> {
    let records = (0..RECORDS).map(Some).chain([None]);
    let streams = records.map(|record| Stream { producer, record });
    let mut counts: Vec<_> = streams.map(|stream| (stream, 0)).collect();
    loop {
        for (stream, count) in &mut counts {
            post_until_accepted(*stream, *count, &servers).await;
            *count += 1;
        }
        if stop.load(Ordering::Relaxed) {
            return counts;
        }
    }
}

/// Posts one event again and again, in a way that the server recognizes: half of the producers
/// name the event, half name the request. 409 says that an earlier try whose answer was lost has
/// been accepted; a repeated request is answered as it would have been then.
async fn post_until_accepted(stream: Stream, place: u64, servers: &watch::Receiver<Application>) {
    let name = format!("{}.{place}", stream.name());
    let mut event = event(stream, place);
    let key = if stream.producer.is_multiple_of(2) {
        event["eventId"] = name.into();
        None
    } else {
        Some(name)
    };
    loop {
        let application = servers.borrow().clone();
        let path = application.path("/msg?with_content=false");
        let answer = application
            .api
            .exchange(Method::POST, &path, Some(&event), key.as_deref())
            .await;
        match answer.map(|answer| answer.status) {
            Ok(202 | 409) => return,
            Ok(503) | Err(_) => tokio::time::sleep(REST).await,
            Ok(status) => panic!("a producer was answered {status}"),
        }
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
