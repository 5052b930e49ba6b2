//! Leases what is owed and due.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};
use watchfire_domain::limit;
use watchfire_domain::message::{Message, Urgency};
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AppKey, Claim, ClaimedBatch, ClaimedDelivery, DeliveryRef, EndpointDue, EndpointKey,
    FenceToken, Life, OwedReason, Seq, Series, ShardSet, StoreError, StoredMessage, Wanted,
};

use crate::fault::{Fault, FaultResult};
use crate::row::Columns;
use crate::writer::Tx;
use crate::{message, nodes, owed, shards};
use watchfire_store::encoding::Code;

/// Rows looked at for one endpoint and urgency, for each one wanted: blocked ones are parked on
/// the way, and a claim must end. What is left is claimed the next time.
const CANDIDATES_PER_WANTED: usize = 4;

pub(super) fn claim(tx: &Tx<'_>, claim: &Claim) -> FaultResult<ClaimedBatch> {
    let mut claiming = Claiming {
        tx,
        claim,
        node: nodes::key_of(tx.connection(), &claim.life)?,
        token: None,
        messages: HashMap::new(),
        payload_bytes: 0,
        deliveries: Vec::new(),
    };
    let mut held = Vec::with_capacity(claim.wanted.len());
    for wanted in &claim.wanted {
        if shards::holds(tx.connection(), claiming.node, wanted.endpoint)? {
            claiming.endpoint(*wanted)?;
            held.push(wanted);
        }
    }
    let deliveries = claiming.deliveries;
    let mut endpoints = BTreeMap::new();
    for wanted in held {
        if let Some(due) = due_of(tx.connection(), wanted.endpoint)? {
            endpoints.insert(wanted.endpoint, due);
        }
    }
    Ok(ClaimedBatch {
        deliveries,
        endpoints,
    })
}

struct Claiming<'t, 'c> {
    tx: &'t Tx<'c>,
    claim: &'t Claim,
    node: i64,
    /// Drawn when the first delivery is leased.
    token: Option<FenceToken>,
    /// One copy of a message, however many of its deliveries are claimed.
    messages: HashMap<Seq, (AppKey, Arc<Message>)>,
    payload_bytes: usize,
    deliveries: Vec<ClaimedDelivery>,
}

/// A delivery that is due.
struct Candidate {
    seq: Seq,
    record: Option<i64>,
    series: Series,
}

impl Claiming<'_, '_> {
    fn endpoint(&mut self, wanted: Wanted) -> FaultResult<()> {
        self.end_expired_leases(wanted.endpoint)?;
        let mut room = wanted.limit;
        for urgency in [Urgency::Urgent, Urgency::Ordinary] {
            let candidates = self.candidates(
                Wanted {
                    limit: room,
                    ..wanted
                },
                urgency,
            )?;
            for candidate in candidates {
                if room == 0 || self.payload_bytes >= limit::CLAIM_BYTES_MAX {
                    return Ok(());
                }
                if self.lease_or_park(wanted.endpoint, &candidate)? {
                    room -= 1;
                }
            }
        }
        Ok(())
    }

    fn end_expired_leases(&self, endpoint: EndpointKey) -> FaultResult<()> {
        let sql = "UPDATE owed SET lease_node = NULL, lease_until = NULL, lease_token = NULL, \
             again_at = NULL \
             WHERE endpoint = ?1 AND lease_until <= ?2 AND lease_token IS NOT NULL";
        let now = self.claim.now.unix_micros();
        self.tx.execute(sql, params![endpoint.0, now])?;
        Ok(())
    }

    fn candidates(&self, wanted: Wanted, urgency: Urgency) -> FaultResult<Vec<Candidate>> {
        let sql = "SELECT seq, record, trigger, attempts, stale, once FROM owed \
             WHERE endpoint = ?1 AND urgency = ?2 AND lease_token IS NULL AND due_at <= ?3 \
             AND due_at IS NOT NULL ORDER BY due_at, seq LIMIT ?4";
        let most = i64::try_from(wanted.limit.saturating_mul(CANDIDATES_PER_WANTED));
        let most = most.unwrap_or(i64::MAX);
        let due_by = self.claim.now.min(wanted.due_by).unix_micros();
        let mut statement = self.tx.prepare(sql)?;
        let mut rows = statement.query(params![wanted.endpoint.0, urgency.code(), due_by, most])?;
        let mut candidates = Vec::new();
        while let Some(row) = rows.next()? {
            candidates.push(read_candidate(row)?);
        }
        Ok(candidates)
    }

    fn lease_or_park(&mut self, endpoint: EndpointKey, candidate: &Candidate) -> FaultResult<bool> {
        if let Some(record) = candidate.record
            && owed::is_blocked(self.tx, endpoint, record, candidate.seq)?
        {
            owed::park(self.tx, endpoint, candidate.seq)?;
            return Ok(false);
        }
        self.lease(endpoint, candidate)?;
        Ok(true)
    }

    fn lease(&mut self, endpoint: EndpointKey, candidate: &Candidate) -> FaultResult<()> {
        let token = self.token()?;
        let sql = "UPDATE owed SET lease_node = ?3, lease_until = ?4, lease_token = ?5 \
             WHERE seq = ?1 AND endpoint = ?2";
        let until = self.claim.lease_until.unix_micros();
        self.tx.execute(
            sql,
            params![candidate.seq.0, endpoint.0, self.node, until, token.0],
        )?;
        let (app, message) = self.message(candidate.seq)?;
        self.deliveries.push(ClaimedDelivery {
            delivery: DeliveryRef {
                app,
                endpoint,
                seq: candidate.seq,
            },
            token,
            message,
            series: candidate.series,
            record: candidate.record,
        });
        Ok(())
    }

    fn token(&mut self) -> FaultResult<FenceToken> {
        if let Some(token) = self.token {
            return Ok(token);
        }
        let token = FenceToken(nodes::count_up(self.tx, "fence_token")?);
        self.token = Some(token);
        Ok(token)
    }

    fn message(&mut self, seq: Seq) -> FaultResult<(AppKey, Arc<Message>)> {
        if let Some((app, message)) = self.messages.get(&seq) {
            return Ok((*app, message.clone()));
        }
        let found = message::at(self.tx.connection(), seq)?;
        let StoredMessage { app, message, .. } = found.ok_or_else(|| without_message(seq))?;
        self.payload_bytes += message.payload.as_ref().map_or(0, bytes::Bytes::len);
        self.messages.insert(seq, (app, message.clone()));
        Ok((app, message))
    }
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

fn read_candidate(row: &Row<'_>) -> FaultResult<Candidate> {
    let mut columns = Columns::of(row, "owed");
    Ok(Candidate {
        seq: Seq(columns.get("seq")?),
        record: columns.get("record")?,
        series: Series {
            trigger: columns.code("trigger")?,
            attempts: columns.get("attempts")?,
            stale: columns.get("stale")?,
            once: columns.get("once")?,
        },
    })
}

/// What an endpoint owes; `None` if there is no such endpoint.
fn due_of(connection: &Connection, endpoint: EndpointKey) -> FaultResult<Option<EndpointDue>> {
    let sql = "SELECT e.app, \
         (SELECT due_at FROM owed WHERE endpoint = e.key AND urgency = 1 \
          AND lease_token IS NULL AND due_at IS NOT NULL ORDER BY due_at LIMIT 1), \
         (SELECT due_at FROM owed WHERE endpoint = e.key AND urgency = 0 \
          AND lease_token IS NULL AND due_at IS NOT NULL ORDER BY due_at LIMIT 1), \
         (SELECT lease_until FROM owed WHERE endpoint = e.key \
          AND lease_token IS NOT NULL ORDER BY lease_until LIMIT 1), \
         EXISTS (SELECT 1 FROM owed WHERE endpoint = e.key) \
         FROM endpoint e WHERE e.key = ?1";
    let due = connection
        .prepare_cached(sql)?
        .query_row([endpoint.0], |row| {
            let moments: [Option<i64>; 3] = [row.get(1)?, row.get(2)?, row.get(3)?];
            let earliest = moments.into_iter().flatten().min();
            Ok(EndpointDue {
                endpoint,
                app: AppKey(row.get(0)?),
                due_at: earliest.map(Timestamp::from_unix_micros),
                owes: row.get(4)?,
            })
        })
        .optional()?;
    Ok(due)
}

/// Steps from endpoint to endpoint on the index, over all deliveries in between.
pub(super) fn endpoints_owing(
    connection: &Connection,
    shards: ShardSet,
    after: Option<EndpointKey>,
    limit: usize,
) -> FaultResult<Vec<EndpointDue>> {
    let sql = "SELECT endpoint FROM owed WHERE endpoint > ?1 ORDER BY endpoint LIMIT 1";
    let mut next = connection.prepare_cached(sql)?;
    let mut last = after.map_or(i64::MIN, |key| key.0);
    let mut owing = Vec::new();
    while owing.len() < limit {
        let found: Option<i64> = next.query_row([last], |row| row.get(0)).optional()?;
        let Some(found) = found else { break };
        last = found;
        if shards.has(EndpointKey(found)) {
            owing.extend(due_of(connection, EndpointKey(found))?);
        }
    }
    Ok(owing)
}

/// Makes deliveries due that wait for a time, at most [`limit::COMMIT_ROWS_MAX`] of them, and
/// returns how many there were. Without a `seq`, messages that are not to be delivered before a
/// time keep it.
pub(super) fn hasten(
    tx: &Tx<'_>,
    life: &Life,
    (app, endpoint): (AppKey, EndpointKey),
    (seq, now): (Option<Seq>, Timestamp),
) -> FaultResult<usize> {
    let node = nodes::key_of(tx.connection(), life)?;
    let hastened = advance(tx, endpoint, (seq, now.unix_micros()))?;
    if hastened > 0 {
        shards::tell_holder_of(tx, node, (app, endpoint))?;
    }
    Ok(hastened)
}

fn advance(
    tx: &Tx<'_>,
    endpoint: EndpointKey,
    (seq, now): (Option<Seq>, i64),
) -> FaultResult<usize> {
    let Some(seq) = seq else {
        let sql = "UPDATE owed SET due_at = ?2 WHERE (seq, endpoint) IN \
             (SELECT seq, endpoint FROM owed WHERE endpoint = ?1 AND urgency IN (0, 1) \
              AND lease_token IS NULL AND due_at > ?2 AND due_at IS NOT NULL AND reason <> ?3 \
              LIMIT ?4)";
        let most = i64::try_from(limit::COMMIT_ROWS_MAX).unwrap_or(i64::MAX);
        let scheduled = OwedReason::Scheduled.code();
        return tx.execute(sql, params![endpoint.0, now, scheduled, most]);
    };
    let sql = "UPDATE owed SET due_at = ?3 WHERE seq = ?1 AND endpoint = ?2 \
         AND lease_token IS NULL AND due_at > ?3";
    tx.execute(sql, params![seq.0, endpoint.0, now])
}
