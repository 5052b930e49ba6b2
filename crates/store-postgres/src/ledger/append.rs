//! Appends messages, one row each.
//!
//! # Order
//!
//! A restart reads the messages of a node above its checkpoint, so a node's places must rise in the
//! order of its commits. Each append locks the node's row before it draws places, and a place never
//! falls behind an earlier one of the node, even if the clock was put back over midnight.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use watchfire_domain::id::{MessageId, Uid};
use watchfire_domain::time::Timestamp;
use watchfire_store::encoding::Tally;
use watchfire_store::{AppKey, Appended, EndpointKey, Life, NewMessage, Remembered, Seq};

use super::owing::Owing;
use super::{Writer, write_tally};
use crate::doubt::{Trace, commit_for_certain};
use crate::fault::{Ending, Fault, FaultResult};
use crate::message::{self, bytes_of};
use crate::nodes;
use crate::open::Postgres;
use crate::parameter::params;
use crate::partition::Day;
use crate::row::{Columns, at_most};
use crate::session::{Mode, Tries, Tx, in_open_transaction};

/// The last place each node has drawn, as far as this process has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(Arc<Mutex<HashMap<i64, Seq>>>);

impl Places {
    fn last(&self, node: i64) -> Option<Seq> {
        self.0.lock().get(&node).copied()
    }

    fn note(&self, node: i64, seq: Seq) {
        let mut places = self.0.lock();
        let last = places.entry(node).or_insert(seq);
        *last = seq.max(*last);
    }
}

/// What a transaction that appends has come to before its commit.
struct Written {
    node: i64,
    answers: Vec<Appended>,
    /// The last place that was drawn, if any was.
    last: Option<Seq>,
}

/// Why a try to append ended without an answer.
enum Obstacle {
    /// These days have no partitions yet.
    Days(BTreeSet<Day>),
    Fault(Fault),
}

impl<F: Into<Fault>> From<F> for Obstacle {
    fn from(fault: F) -> Self {
        Self::Fault(fault.into())
    }
}

impl Ending for Obstacle {
    fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Days(_) => None,
            Self::Fault(fault) => Some(fault),
        }
    }
}

pub(super) async fn append(
    store: &Postgres,
    life: &Life,
    batch: &[NewMessage],
) -> FaultResult<Vec<Appended>> {
    let mut tries = Tries::default();
    loop {
        let fault = match try_append(store, life, batch).await {
            Ok(written) => {
                if let Some(last) = written.last {
                    store.places.note(written.node, last);
                }
                return Ok(written.answers);
            }
            Err(Obstacle::Days(days)) => {
                for day in days {
                    store.days.make(&store.ledger, day).await?;
                }
                Fault::Overtaken
            }
            Err(Obstacle::Fault(fault)) if fault.is_without_partition() => {
                // Retention on another node has dropped a day that this one still knew.
                store.days.forget();
                Fault::Overtaken
            }
            Err(Obstacle::Fault(fault)) => fault,
        };
        if !tries.again(&fault) {
            return Err(fault);
        }
    }
}

async fn try_append(
    store: &Postgres,
    life: &Life,
    batch: &[NewMessage],
) -> Result<Written, Obstacle> {
    let worked =
        in_open_transaction!(store.ledger, Mode::Write, tx => work(store, &tx, life, batch));
    let (tx, written): (Tx, Written) = worked.await?;
    let trace = written.last.map(|place| Trace::Message {
        node: written.node,
        place,
    });
    commit_for_certain(&store.ledger, tx, trace).await?;
    Ok(written)
}

async fn work(
    store: &Postgres,
    tx: &Tx,
    life: &Life,
    batch: &[NewMessage],
) -> Result<Written, Obstacle> {
    let node = nodes::lock(tx, life).await?;
    let taken = Taken::read(tx, batch).await?;
    let (mut answers, accepted) = taken.judge(batch);
    let floor = floor(store, tx, node).await?;
    let drawn = draw(tx, floor, accepted.iter().map(|place| &batch[*place])).await?;
    let unknown: BTreeSet<Day> = drawn
        .iter()
        .map(|seq| Day::of_place(*seq))
        .filter(|day| !store.days.knows(*day))
        .collect();
    if !unknown.is_empty() {
        return Err(Obstacle::Days(unknown));
    }
    let new: Vec<(Seq, &NewMessage)> = drawn
        .iter()
        .zip(&accepted)
        .map(|(seq, place)| (*seq, &batch[*place]))
        .collect();
    let parked = insert(tx, node, &new).await?;
    for ((place, seq), parked) in accepted.into_iter().zip(&drawn).zip(parked) {
        answers[place] = Some(Appended::At { seq: *seq, parked });
    }
    Ok(Written {
        node,
        answers: answers.into_iter().flatten().collect(),
        last: drawn.last().copied(),
    })
}

/// No place of the node lies above it.
async fn floor(store: &Postgres, tx: &Tx, node: i64) -> FaultResult<Seq> {
    if let Some(last) = store.places.last(node) {
        return Ok(last);
    }
    let sql = "SELECT greatest(n.checkpoint, (SELECT max(seq) FROM message WHERE node = n.key)) \
         FROM node n WHERE n.key = $1";
    let row = tx.first(sql, params![node]).await?;
    row.map_or(Ok(Seq(0)), |row| {
        Columns::of(&row, "node").get("checkpoint").map(Seq)
    })
}

/// Draws a rising place for each message: its day, or that of the one before it.
async fn draw<'n>(
    tx: &Tx,
    floor: Seq,
    messages: impl ExactSizeIterator<Item = &'n NewMessage>,
) -> FaultResult<Vec<Seq>> {
    if messages.len() == 0 {
        return Ok(Vec::new());
    }
    let sql = "SELECT nextval('message_place') FROM generate_series(1, $1)";
    let rows = tx.query(sql, params![at_most(messages.len())]).await?;
    let mut day = Day::of_place(floor);
    let mut drawn = Vec::with_capacity(rows.len());
    for (row, new) in rows.iter().zip(messages) {
        let number: i64 = Columns::of(row, "message_place").get("value")?;
        day = day.max(Day::of(new.message.accepted_at));
        drawn.push(Seq(day.first_place() + number));
    }
    Ok(drawn)
}

/// What the messages of a batch can meet.
struct Taken {
    answers: HashMap<[u8; 32], Remembered>,
    event_ids: HashMap<(AppKey, String), MessageId>,
}

impl Taken {
    async fn read(tx: &Tx, batch: &[NewMessage]) -> FaultResult<Self> {
        Ok(Self {
            answers: read_answers(tx, batch).await?,
            event_ids: read_event_ids(tx, batch).await?,
        })
    }

    /// The answers of those that meet something, and the places of those that do not.
    fn judge(mut self, batch: &[NewMessage]) -> (Vec<Option<Appended>>, Vec<usize>) {
        let mut answers = Vec::with_capacity(batch.len());
        let mut accepted = Vec::new();
        for (place, new) in batch.iter().enumerate() {
            let met = self.meets(new);
            if met.is_none() {
                accepted.push(place);
                self.take(new);
            }
            answers.push(met);
        }
        (answers, accepted)
    }

    fn meets(&self, new: &NewMessage) -> Option<Appended> {
        let answered = new.remember.as_ref().and_then(|remember| {
            let before = self.answers.get(&remember.key)?;
            (before.expires_at > new.message.accepted_at).then(|| before.clone())
        });
        if let Some(answered) = answered {
            return Some(Appended::Repeated(answered));
        }
        let event_id = event_id_of(new)?;
        let holder = self.event_ids.get(&event_id)?;
        Some(Appended::EventIdTaken(*holder))
    }

    fn take(&mut self, new: &NewMessage) {
        if let Some(remember) = &new.remember {
            self.answers.insert(remember.key, remember.clone());
        }
        if let Some(event_id) = event_id_of(new) {
            self.event_ids.insert(event_id, new.message.id);
        }
    }
}

fn event_id_of(new: &NewMessage) -> Option<(AppKey, String)> {
    let event_id = new.message.event_id.as_ref()?;
    Some((new.app, event_id.as_str().to_owned()))
}

async fn read_answers(tx: &Tx, batch: &[NewMessage]) -> FaultResult<HashMap<[u8; 32], Remembered>> {
    let keys = batch.iter().filter_map(|new| new.remember.as_ref());
    let keys: Vec<Vec<u8>> = keys.map(|remember| remember.key.to_vec()).collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "SELECT key, request, answer, expires_at FROM idempotency WHERE key = ANY($1)";
    let rows = tx.query(sql, params![keys]).await?;
    let answers = rows.iter().map(|row| {
        let remembered = read_remembered(row)?;
        Ok((remembered.key, remembered))
    });
    answers.collect()
}

/// The first place of the days that are kept: what lies below it went with its partition.
const FIRST_KEPT: &str = "(SELECT coalesce(min(day), 0) << 44 FROM day)";

async fn read_event_ids(
    tx: &Tx,
    batch: &[NewMessage],
) -> FaultResult<HashMap<(AppKey, String), MessageId>> {
    let (apps, names): (Vec<i64>, Vec<&str>) = batch
        .iter()
        .filter_map(|new| Some((new.app.0, new.message.event_id.as_ref()?.as_str())))
        .unzip();
    if apps.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!(
        "SELECT e.app, e.event_id, e.message FROM unnest($1, $2) AS want (app, event_id) \
         JOIN event_id e ON e.app = want.app AND e.event_id = want.event_id \
         WHERE e.seq >= {FIRST_KEPT}"
    );
    let rows = tx.query(&sql, params![apps, names]).await?;
    let holders = rows.iter().map(|row| {
        let mut columns = Columns::of(row, "event_id");
        let app = AppKey(columns.get("app")?);
        let name: String = columns.get("event_id")?;
        let holder = MessageId::from_ksuid(columns.ksuid("message")?);
        Ok(((app, name), holder))
    });
    holders.collect()
}

/// Event ids and remembered answers come first: whoever waits for another node's holds little yet.
///
/// Returns for each message which of the life's own deliveries were parked.
async fn insert(
    tx: &Tx,
    node: i64,
    new: &[(Seq, &NewMessage)],
) -> FaultResult<Vec<Vec<EndpointKey>>> {
    insert_answers(tx, new).await?;
    insert_event_ids(tx, new).await?;
    let mut tally = Tally::default();
    let mut owing = Owing::open(tx, new).await?;
    let mut parked = Vec::with_capacity(new.len());
    for (seq, message) in new {
        tally.accepted(message.app, &message.message);
        parked.push(owing.owe(*seq, message, &mut tally));
    }
    insert_messages(tx, node, new).await?;
    owing.close(tx, node).await?;
    write_tally(tx, (node, Writer::Append), tally).await?;
    Ok(parked)
}

async fn insert_messages(tx: &Tx, node: i64, new: &[(Seq, &NewMessage)]) -> FaultResult<()> {
    let mut rows = message::NewRows::default();
    for (seq, message) in new {
        rows.push(*seq, message)?;
        if rows.is_full() {
            std::mem::take(&mut rows).insert(tx, node).await?;
        }
    }
    rows.insert(tx, node).await
}

async fn insert_event_ids(tx: &Tx, new: &[(Seq, &NewMessage)]) -> FaultResult<()> {
    let mut apps = Vec::new();
    let mut names = Vec::new();
    let mut seqs = Vec::new();
    let mut messages = Vec::new();
    for (seq, new) in new {
        if let Some(event_id) = new.message.event_id.as_ref().map(Uid::as_str) {
            apps.push(new.app.0);
            names.push(event_id);
            seqs.push(seq.0);
            messages.push(bytes_of(new.message.id.ksuid()));
        }
    }
    if apps.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "INSERT INTO event_id AS e (app, event_id, seq, message) \
         SELECT * FROM unnest($1, $2, $3, $4) AS new (app, event_id, seq, message) \
         ORDER BY app, event_id \
         ON CONFLICT (app, event_id) DO UPDATE SET seq = excluded.seq, \
         message = excluded.message WHERE e.seq < {FIRST_KEPT}"
    );
    let changed = tx
        .execute(&sql, params![apps, names, seqs, messages])
        .await?;
    unless_overtaken(changed, apps.len())
}

async fn insert_answers(tx: &Tx, new: &[(Seq, &NewMessage)]) -> FaultResult<()> {
    let Some(now) = new.iter().map(|(_, new)| new.message.accepted_at).max() else {
        return Ok(());
    };
    // By key: a later message of the batch may have taken the place of an expired answer.
    let answers: BTreeMap<[u8; 32], &Remembered> = new
        .iter()
        .filter_map(|(_, new)| new.remember.as_ref())
        .map(|remember| (remember.key, remember))
        .collect();
    store_answers(tx, answers.values().copied(), now).await
}

/// Stores answers; expired ones with the same keys give way.
async fn store_answers(
    tx: &Tx,
    answers: impl Iterator<Item = &Remembered>,
    now: Timestamp,
) -> FaultResult<()> {
    let mut keys = Vec::new();
    let mut requests = Vec::new();
    let mut bodies: Vec<&[u8]> = Vec::new();
    let mut expiries = Vec::new();
    for remember in answers {
        keys.push(remember.key.to_vec());
        requests.push(remember.request.to_vec());
        bodies.push(&remember.answer);
        expiries.push(remember.expires_at.unix_micros());
    }
    if keys.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO idempotency AS i (key, request, answer, expires_at) \
         SELECT * FROM unnest($1, $2, $3, $4) AS new (key, request, answer, expires_at) \
         ORDER BY key ON CONFLICT (key) DO UPDATE SET request = excluded.request, \
         answer = excluded.answer, expires_at = excluded.expires_at WHERE i.expires_at <= $5";
    let parameters = params![keys, requests, bodies, expiries, now.unix_micros()];
    let changed = tx.execute(sql, parameters).await?;
    unless_overtaken(changed, keys.len())
}

/// Another node has stored one of them since we looked.
fn unless_overtaken(changed: usize, wanted: usize) -> FaultResult<()> {
    if changed < wanted {
        return Err(Fault::Overtaken);
    }
    Ok(())
}

/// What was answered to a request with this key, unless it has expired.
pub(crate) async fn remembered(
    tx: &Tx,
    key: &[u8; 32],
    now: Timestamp,
) -> FaultResult<Option<Remembered>> {
    let sql = "SELECT key, request, answer, expires_at FROM idempotency \
         WHERE key = $1 AND expires_at > $2";
    let parameters = params![key.as_slice(), now.unix_micros()];
    let row = tx.first(sql, parameters).await?;
    row.as_ref().map(read_remembered).transpose()
}

/// Stores an answer; an expired one with the same key gives way.
pub(crate) async fn remember(tx: &Tx, new: &Remembered, now: Timestamp) -> FaultResult<()> {
    store_answers(tx, std::iter::once(new), now).await
}

fn read_remembered(row: &tokio_postgres::Row) -> FaultResult<Remembered> {
    let mut columns = Columns::of(row, "idempotency");
    Ok(Remembered {
        key: columns.bytes("key")?,
        request: columns.bytes("request")?,
        answer: columns.get("answer")?,
        expires_at: columns.timestamp("expires_at")?,
    })
}
