//! Leases what is owed and due.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tokio_postgres::Row;
use watchfire_domain::limit;
use watchfire_domain::message::Message;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AppKey, Claim, ClaimedBatch, ClaimedDelivery, DeliveryRef, EndpointDue, EndpointKey,
    FenceToken, OwedReason, Seq, Series, StoreError, StoredMessage, Wanted,
};

use super::due;
use crate::doubt::{Trace, commit_for_certain};
use crate::fault::{Fault, FaultResult};
use crate::message::{self, Content};
use crate::nodes;
use crate::open::Postgres;
use crate::owed::lock_endpoints;
use crate::parameter::params;
use crate::row::{Columns, at_most, small_code};
use crate::session::{Mode, Tries, Tx, in_open_transaction};
use crate::shards;

/// Rows looked at for one endpoint and urgency, for each one wanted: blocked ones are parked on
/// the way, and a claim must end. What is left is claimed the next time.
const CANDIDATES_PER_WANTED: usize = 4;

pub(super) async fn claim(store: &Postgres, claim: &Claim) -> FaultResult<ClaimedBatch> {
    let mut tries = Tries::default();
    loop {
        match try_claim(store, claim).await {
            Err(fault) if tries.again(&fault) => {}
            ended => return ended,
        }
    }
}

async fn try_claim(store: &Postgres, claim: &Claim) -> FaultResult<ClaimedBatch> {
    let worked = in_open_transaction!(store.ledger, Mode::Write, tx => work(&tx, claim));
    let (tx, claimed): (Tx, ClaimedBatch) = worked.await?;
    let trace = claimed.deliveries.first().map(|first| Trace::Claim {
        endpoints: endpoints_of(&claimed.deliveries),
        token: first.token,
    });
    commit_for_certain(&store.ledger, tx, trace).await?;
    Ok(claimed)
}

fn endpoints_of(claimed: &[ClaimedDelivery]) -> BTreeSet<EndpointKey> {
    let endpoints = claimed.iter().map(|claimed| claimed.delivery.endpoint);
    endpoints.collect()
}

async fn work(tx: &Tx, claim: &Claim) -> FaultResult<ClaimedBatch> {
    let node = nodes::hold(tx, &claim.life).await?;
    let held = shards::held_by(tx, node).await?;
    let wanted = claim.wanted.iter().copied();
    let wanted: Vec<Wanted> = wanted.filter(|wanted| held.has(wanted.endpoint)).collect();
    let endpoints: BTreeSet<EndpointKey> = wanted.iter().map(|wanted| wanted.endpoint).collect();
    lock_endpoints(tx, &endpoints).await?;
    end_expired_leases(tx, &wanted, claim.now).await?;
    let candidates = candidates(tx, &wanted, claim.now).await?;
    let chosen = choose(&wanted, candidates);
    park(tx, &chosen.parked).await?;
    let deliveries = lease(tx, claim, node, chosen.leased).await?;
    let due = due::of(tx, &endpoints).await?;
    let endpoints: BTreeMap<EndpointKey, EndpointDue> =
        due.into_iter().map(|due| (due.endpoint, due)).collect();
    Ok(ClaimedBatch {
        deliveries,
        endpoints,
    })
}

async fn end_expired_leases(tx: &Tx, wanted: &[Wanted], now: Timestamp) -> FaultResult<()> {
    let endpoints: Vec<i64> = wanted.iter().map(|wanted| wanted.endpoint.0).collect();
    let sql = "UPDATE owed SET lease_node = NULL, lease_until = NULL, lease_token = NULL, \
         again_at = NULL \
         WHERE endpoint = ANY($1) AND lease_until <= $2 AND lease_token IS NOT NULL";
    tx.execute(sql, params![endpoints, now.unix_micros()])
        .await?;
    Ok(())
}

/// A delivery that is due.
struct Candidate {
    seq: Seq,
    endpoint: EndpointKey,
    record: Option<i64>,
    series: Series,
    /// An earlier one of its record is owed.
    blocked: bool,
    payload_bytes: usize,
}

/// The next ones of each endpoint, in the order in which they are to be sent.
async fn candidates(tx: &Tx, wanted: &[Wanted], now: Timestamp) -> FaultResult<Vec<Candidate>> {
    let endpoints: Vec<i64> = wanted.iter().map(|wanted| wanted.endpoint.0).collect();
    let most: Vec<i64> = wanted
        .iter()
        .map(|wanted| at_most(wanted.limit.saturating_mul(CANDIDATES_PER_WANTED)))
        .collect();
    let due_by: Vec<i64> = wanted
        .iter()
        .map(|wanted| wanted.due_by.min(now).unix_micros())
        .collect();
    let sql = "SELECT o.seq, o.endpoint, o.record, o.trigger, o.attempts, o.stale, \
         o.once, o.record IS NOT NULL AND EXISTS (SELECT 1 FROM owed b \
         WHERE b.endpoint = o.endpoint AND b.record = o.record AND b.seq < o.seq) \
         FROM unnest($1, $2, $3) WITH ORDINALITY AS want (endpoint, most, due_by, place) \
         CROSS JOIN unnest(ARRAY[1, 0]::smallint[]) AS u (urgency) \
         CROSS JOIN LATERAL (SELECT * FROM owed WHERE endpoint = want.endpoint \
         AND urgency = u.urgency AND lease_token IS NULL AND due_at <= want.due_by \
         AND due_at IS NOT NULL ORDER BY due_at, seq LIMIT want.most) o \
         ORDER BY want.place, u.urgency DESC, o.due_at, o.seq";
    let parameters = params![endpoints, most, due_by];
    let rows = tx.query(sql, parameters).await?;
    let candidates: FaultResult<Vec<_>> = rows.iter().map(read_candidate).collect();
    let mut candidates = candidates?;
    measure(tx, &mut candidates).await?;
    Ok(candidates)
}

fn read_candidate(row: &Row) -> FaultResult<Candidate> {
    let mut columns = Columns::of(row, "owed");
    Ok(Candidate {
        seq: Seq(columns.get("seq")?),
        endpoint: EndpointKey(columns.get("endpoint")?),
        record: columns.get("record")?,
        series: Series {
            trigger: columns.code("trigger")?,
            attempts: columns.number("attempts")?,
            stale: columns.get("stale")?,
            once: columns.get("once")?,
        },
        blocked: columns.get("blocked")?,
        payload_bytes: 0,
    })
}

/// Learns the sizes of the payloads without reading them.
async fn measure(tx: &Tx, candidates: &mut [Candidate]) -> FaultResult<()> {
    let seqs: HashSet<Seq> = candidates.iter().map(|candidate| candidate.seq).collect();
    let seqs: Vec<i64> = seqs.into_iter().map(|seq| seq.0).collect();
    if seqs.is_empty() {
        return Ok(());
    }
    let sql = "SELECT seq, octet_length(payload) FROM message \
         WHERE seq = ANY($1) AND payload IS NOT NULL";
    let rows = tx.query(sql, params![seqs]).await?;
    let mut sizes = HashMap::new();
    for row in &rows {
        let mut columns = Columns::of(row, "message");
        let seq = Seq(columns.get("seq")?);
        let size: i32 = columns.get("payload")?;
        sizes.insert(seq, usize::try_from(size).unwrap_or(0));
    }
    for candidate in candidates {
        candidate.payload_bytes = sizes.get(&candidate.seq).copied().unwrap_or(0);
    }
    Ok(())
}

/// What is done with the candidates.
#[derive(Default)]
struct Chosen {
    leased: Vec<Candidate>,
    parked: Vec<Candidate>,
}

/// Takes as many of each endpoint as it wants, up to a number of payload bytes in all.
fn choose(wanted: &[Wanted], candidates: Vec<Candidate>) -> Chosen {
    let mut room: HashMap<EndpointKey, usize> = wanted
        .iter()
        .map(|wanted| (wanted.endpoint, wanted.limit))
        .collect();
    let mut chosen = Chosen::default();
    let mut messages = HashSet::new();
    let mut payload_bytes = 0;
    for candidate in candidates {
        let room = room.entry(candidate.endpoint).or_default();
        if *room == 0 || payload_bytes >= limit::CLAIM_BYTES_MAX {
            continue;
        }
        if candidate.blocked {
            chosen.parked.push(candidate);
            continue;
        }
        *room -= 1;
        // One copy of a message, however many of its deliveries are claimed.
        if messages.insert(candidate.seq) {
            payload_bytes += candidate.payload_bytes;
        }
        chosen.leased.push(candidate);
    }
    chosen
}

fn places(candidates: &[Candidate]) -> (Vec<i64>, Vec<i64>) {
    candidates
        .iter()
        .map(|candidate| (candidate.seq.0, candidate.endpoint.0))
        .unzip()
}

/// Takes the due times away: earlier deliveries of the records come first.
async fn park(tx: &Tx, parked: &[Candidate]) -> FaultResult<()> {
    if parked.is_empty() {
        return Ok(());
    }
    let (seqs, endpoints) = places(parked);
    let sql = "UPDATE owed o SET due_at = NULL, reason = $3 \
         FROM unnest($1, $2) AS p (seq, endpoint) \
         WHERE o.seq = p.seq AND o.endpoint = p.endpoint";
    let turn = small_code(OwedReason::Turn);
    tx.execute(sql, params![seqs, endpoints, turn]).await?;
    Ok(())
}

async fn lease(
    tx: &Tx,
    claim: &Claim,
    node: i64,
    leased: Vec<Candidate>,
) -> FaultResult<Vec<ClaimedDelivery>> {
    if leased.is_empty() {
        return Ok(Vec::new());
    }
    let (seqs, endpoints) = places(&leased);
    let sql = "WITH drawn AS MATERIALIZED (SELECT nextval('owed_token') AS token) \
         UPDATE owed o SET lease_node = $3, lease_until = $4, lease_token = drawn.token \
         FROM drawn, unnest($1, $2) AS p (seq, endpoint) \
         WHERE o.seq = p.seq AND o.endpoint = p.endpoint RETURNING o.lease_token";
    let until = claim.lease_until.unix_micros();
    let row = tx.first(sql, params![seqs, endpoints, node, until]).await?;
    let row = row.ok_or(Fault::Overtaken)?;
    let token = FenceToken(Columns::of(&row, "owed").get("lease_token")?);
    let places: BTreeSet<Seq> = leased.iter().map(|candidate| candidate.seq).collect();
    let places: Vec<Seq> = places.into_iter().collect();
    let stored = message::at_places(tx, &places, Content::Kept).await?;
    let messages: HashMap<Seq, (AppKey, Arc<Message>)> = stored
        .into_iter()
        .map(|(seq, StoredMessage { app, message, .. })| (seq, (app, message)))
        .collect();
    let claimed = |candidate: Candidate| {
        let found = messages.get(&candidate.seq);
        let (app, message) = found.ok_or_else(|| without_message(candidate.seq))?;
        Ok(ClaimedDelivery {
            delivery: DeliveryRef {
                app: *app,
                endpoint: candidate.endpoint,
                seq: candidate.seq,
            },
            token,
            message: Arc::clone(message),
            series: candidate.series,
            record: candidate.record,
        })
    };
    leased.into_iter().map(claimed).collect()
}

/// Retention keeps a message while it is owed.
#[derive(Debug, thiserror::Error)]
#[error("the message is missing")]
struct MessageMissing;

fn without_message(seq: Seq) -> Fault {
    Fault::Store(StoreError::Inconsistent {
        table: "owed",
        column: "seq",
        row: seq.0.to_string(),
        source: Box::new(MessageMissing),
    })
}
