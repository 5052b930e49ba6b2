//! Rows of `attempt`.

use bytes::Bytes;
use rusqlite::{Row, params};
use watchfire_domain::attempt::{AfterAttempt, Attempt, Response, Settlement};
use watchfire_domain::id::{AttemptId, EndpointId, MessageId};
use watchfire_domain::outcome::Outcome;
use watchfire_domain::time::Timestamp;
use watchfire_store::{AttemptRecord, EndpointKey, Seq, StoredAttempt};

use std::time::Duration;

use crate::blob::{decode_timing, encode_timing};
use crate::code::Code;
use crate::fault::{Fault, FaultResult};
use crate::row::Columns;
use crate::writer::Tx;

/// Repeating it changes nothing. `VALUES`, because SQLite keeps a journal for the statement that
/// could be undone in the middle, as `INSERT … SELECT` could.
const INSERT: &str = "INSERT INTO attempt (seq, id, endpoint, message, attempted_at, number, \
     trigger, outcome, status, detail, retry_after_ns, settlement, next_due_at, url, address, \
     timing, response_headers, response_truncated, response_body) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19) \
     ON CONFLICT (seq, id) DO NOTHING";

/// What an insert found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inserted {
    Stored,
    /// The caller repeats itself.
    Repeated,
}

/// Stores an attempt for a delivery of `message`.
pub(crate) fn insert(
    tx: &Tx<'_>,
    record: &AttemptRecord,
    message: MessageId,
) -> FaultResult<Inserted> {
    let attempt = &record.attempt;
    let outcome = OutcomeCells::of(&attempt.outcome);
    let next = NextCells::of(attempt.next);
    let response = attempt.response.as_ref();
    let changed = tx.execute(
        INSERT,
        params![
            record.delivery.seq.0,
            attempt.id.ksuid().as_bytes(),
            record.delivery.endpoint.0,
            message.ksuid().as_bytes(),
            attempt.attempted_at.unix_micros(),
            attempt.number,
            attempt.trigger.code(),
            outcome.outcome,
            outcome.status,
            outcome.detail,
            outcome.retry_after_ns,
            next.settlement,
            next.next_due_at,
            attempt.url,
            attempt.address.map(|address| address.to_string()),
            encode_timing(&attempt.timing),
            response.map(headers_text).transpose()?,
            response.map(|response| response.truncated),
            response.map(|response| &*response.body),
        ],
    )?;
    Ok(match changed {
        0 => Inserted::Repeated,
        _ => Inserted::Stored,
    })
}

fn headers_text(response: &Response) -> FaultResult<String> {
    serde_json::to_string(&response.headers)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()).into())
}

/// An outcome, as its columns hold it.
#[derive(Debug, Default, PartialEq, Eq)]
struct OutcomeCells {
    outcome: i64,
    status: Option<u16>,
    detail: Option<i64>,
    retry_after_ns: Option<i64>,
}

/// The ordinary case has its own number, so that indexes of all others can leave it out.
const ACCEPTED_2XX: i64 = 0;
const ACCEPTED_OTHER: i64 = 1;
const REFUSED: i64 = 2;
const TIMED_OUT: i64 = 3;
const UNREACHABLE: i64 = 4;
const BLOCKED: i64 = 5;
const OVERSIZE: i64 = 6;
const MALFORMED: i64 = 7;
const SKIPPED: i64 = 8;

/// Whether the number in the `outcome` column means that the receiver accepted.
pub(crate) fn is_accepted(outcome: i64) -> bool {
    matches!(outcome, ACCEPTED_2XX | ACCEPTED_OTHER)
}

impl OutcomeCells {
    fn of(outcome: &Outcome) -> Self {
        let plain = |outcome| Self {
            outcome,
            ..Self::default()
        };
        let detailed = |outcome, detail| Self {
            detail: Some(detail),
            ..plain(outcome)
        };
        match *outcome {
            Outcome::Accepted { status } => Self {
                status: Some(status),
                ..plain(match status {
                    200..300 => ACCEPTED_2XX,
                    _ => ACCEPTED_OTHER,
                })
            },
            Outcome::Refused {
                status,
                retry_after,
            } => Self {
                status: Some(status),
                retry_after_ns: retry_after
                    .map(|wait| i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX)),
                ..plain(REFUSED)
            },
            Outcome::TimedOut { phase } => detailed(TIMED_OUT, phase.code()),
            Outcome::Unreachable { cause } => detailed(UNREACHABLE, cause.code()),
            Outcome::Blocked { verdict } => detailed(BLOCKED, verdict.code()),
            Outcome::Oversize => plain(OVERSIZE),
            Outcome::Malformed => plain(MALFORMED),
            Outcome::Skipped { reason } => detailed(SKIPPED, reason.code()),
        }
    }
}

/// What became of the delivery, as its columns hold it.
struct NextCells {
    settlement: Option<i64>,
    next_due_at: Option<i64>,
}

impl NextCells {
    fn of(next: AfterAttempt) -> Self {
        match next {
            AfterAttempt::Retry { due_at } => Self {
                settlement: None,
                next_due_at: Some(due_at.unix_micros()),
            },
            AfterAttempt::Settled { settlement } => Self {
                settlement: Some(settlement.code()),
                next_due_at: None,
            },
        }
    }
}

/// The columns of a [`StoredAttempt`], for an `attempt` that goes by the name `a`, its message `m`
/// and its endpoint `e`.
pub(crate) const COLUMNS: &str = "a.seq, a.message, m.event_type, a.endpoint, e.id, a.id, \
     a.attempted_at, a.number, a.trigger, a.url, a.address, a.outcome, a.status, a.detail, \
     a.retry_after_ns, a.settlement, a.next_due_at, a.timing, a.response_headers, \
     a.response_truncated, a.response_body";
/// The same without what the receiver answered, whose pages are then not read.
pub(crate) const COLUMNS_WITHOUT_RESPONSE: &str = "a.seq, a.message, m.event_type, a.endpoint, \
     e.id, a.id, a.attempted_at, a.number, a.trigger, a.url, a.address, a.outcome, a.status, \
     a.detail, a.retry_after_ns, a.settlement, a.next_due_at, a.timing, NULL, NULL, NULL";

/// Reads [`COLUMNS`].
pub(crate) fn read(row: &Row<'_>) -> FaultResult<StoredAttempt> {
    let mut columns = Columns::of(row, "attempt");
    Ok(StoredAttempt {
        seq: Seq(columns.get("seq")?),
        message_id: MessageId::from_ksuid(columns.ksuid("message")?),
        event_type: columns.parsed("event_type")?,
        endpoint: EndpointKey(columns.get("endpoint")?),
        endpoint_id: EndpointId::from_ksuid(columns.ksuid("endpoint_id")?),
        attempt: read_attempt(&mut columns)?,
    })
}

fn read_attempt(columns: &mut Columns<'_>) -> FaultResult<Attempt> {
    Ok(Attempt {
        id: AttemptId::from_ksuid(columns.ksuid("id")?),
        attempted_at: columns.timestamp("attempted_at")?,
        number: columns.get("number")?,
        trigger: columns.code("trigger")?,
        url: columns.get("url")?,
        address: read_address(columns)?,
        outcome: read_outcome(columns)?,
        next: read_next(columns)?,
        timing: columns.decoded("timing", decode_timing)?,
        response: read_response(columns)?,
    })
}

fn read_address(columns: &mut Columns<'_>) -> FaultResult<Option<std::net::SocketAddr>> {
    let text: Option<String> = columns.get("address")?;
    let address = text.map(|text| text.parse()).transpose();
    address.map_err(|error| columns.unreadable("address", error))
}

/// Columns that contradict each other or that this version does not know.
#[derive(Debug, thiserror::Error)]
#[error("outcome {outcome} with status {status:?} and detail {detail:?} means nothing")]
struct UnknownOutcome {
    outcome: i64,
    status: Option<u16>,
    detail: Option<i64>,
}

fn read_outcome(columns: &mut Columns<'_>) -> FaultResult<Outcome> {
    let cells = OutcomeCells {
        outcome: columns.get("outcome")?,
        status: columns.get("status")?,
        detail: columns.get("detail")?,
        retry_after_ns: columns.get("retry_after_ns")?,
    };
    outcome_of(&cells).ok_or_else(|| unknown_outcome(columns, &cells))
}

fn unknown_outcome(columns: &Columns<'_>, cells: &OutcomeCells) -> Fault {
    let unknown = UnknownOutcome {
        outcome: cells.outcome,
        status: cells.status,
        detail: cells.detail,
    };
    columns.unreadable("outcome", unknown)
}

fn outcome_of(cells: &OutcomeCells) -> Option<Outcome> {
    let nanoseconds = |ns: i64| Duration::from_nanos(ns.unsigned_abs());
    Some(match cells.outcome {
        ACCEPTED_2XX | ACCEPTED_OTHER => Outcome::Accepted {
            status: cells.status?,
        },
        REFUSED => Outcome::Refused {
            status: cells.status?,
            retry_after: cells.retry_after_ns.map(nanoseconds),
        },
        TIMED_OUT => Outcome::TimedOut {
            phase: Code::from_code(cells.detail?)?,
        },
        UNREACHABLE => Outcome::Unreachable {
            cause: Code::from_code(cells.detail?)?,
        },
        BLOCKED => Outcome::Blocked {
            verdict: Code::from_code(cells.detail?)?,
        },
        OVERSIZE => Outcome::Oversize,
        MALFORMED => Outcome::Malformed,
        SKIPPED => Outcome::Skipped {
            reason: Code::from_code(cells.detail?)?,
        },
        _ => return None,
    })
}

/// An attempt that says neither what comes next nor that it was the last.
#[derive(Debug, thiserror::Error)]
#[error("there is no settlement and no next attempt")]
struct NeitherSettledNorDue;

fn read_next(columns: &mut Columns<'_>) -> FaultResult<AfterAttempt> {
    let settlement: Option<Settlement> = columns.code_if("settlement")?;
    let due_at = columns.timestamp_if("next_due_at")?;
    match (settlement, due_at) {
        (Some(settlement), _) => Ok(AfterAttempt::Settled { settlement }),
        (None, Some(due_at)) => Ok(AfterAttempt::Retry { due_at }),
        (None, None) => Err(columns.unreadable("settlement", NeitherSettledNorDue)),
    }
}

fn read_response(columns: &mut Columns<'_>) -> FaultResult<Option<Response>> {
    let headers = columns.json_if("response_headers")?;
    let truncated: Option<bool> = columns.get("response_truncated")?;
    let body: Option<Vec<u8>> = columns.get("response_body")?;
    Ok(headers.map(|headers| Response {
        headers,
        body: Bytes::from(body.unwrap_or_default()),
        truncated: truncated.unwrap_or(false),
    }))
}

/// The hour an attempt counts for, since 1970.
pub(crate) fn hour_of(at: Timestamp) -> i64 {
    at.unix_seconds().div_euclid(3_600)
}
