//! Rows of `attempt`.

use std::collections::HashSet;

use bytes::Bytes;
use watchfire_domain::attempt::{AfterAttempt, Attempt, Response};
use watchfire_domain::id::{AttemptId, Ksuid, MessageId};
use watchfire_domain::limit;
use watchfire_domain::outcome::Outcome;
use watchfire_store::encoding::{NextCells, OutcomeCells, decode_timing, encode_timing, sent_of};
use watchfire_store::{AttemptRecord, Seq};

use crate::fault::FaultResult;
use crate::message::bytes_of;
use crate::parameter::params;
use crate::row::{Columns, small, small_code};
use crate::session::Tx;

/// Attempts to store, column by column.
#[derive(Default)]
pub(crate) struct NewRows<'n> {
    seqs: Vec<i64>,
    ids: Vec<Vec<u8>>,
    endpoints: Vec<i64>,
    messages: Vec<Vec<u8>>,
    attempted: Vec<i64>,
    numbers: Vec<i64>,
    triggers: Vec<i16>,
    outcomes: Vec<i16>,
    statuses: Vec<Option<i32>>,
    details: Vec<Option<i16>>,
    retry_afters: Vec<Option<i64>>,
    settlements: Vec<Option<i16>>,
    next_due: Vec<Option<i64>>,
    urls: Vec<&'n str>,
    addresses: Vec<Option<String>>,
    timings: Vec<Vec<u8>>,
    response_headers: Vec<Option<String>>,
    response_truncated: Vec<Option<bool>>,
    response_bodies: Vec<Option<&'n [u8]>>,
    recipes: Vec<Option<i64>>,
    signatures: Vec<Option<&'n str>>,
    response_bytes: usize,
}

impl<'n> NewRows<'n> {
    pub(crate) fn push(
        &mut self,
        record: &'n AttemptRecord,
        message: MessageId,
    ) -> FaultResult<()> {
        let attempt = &record.attempt;
        let outcome = OutcomeCells::from(&attempt.outcome);
        let next = NextCells::from(attempt.next);
        let response = attempt.response.as_ref();
        self.seqs.push(record.delivery.seq.0);
        self.ids.push(bytes_of(attempt.id.ksuid()));
        self.endpoints.push(record.delivery.endpoint.0);
        self.messages.push(bytes_of(message.ksuid()));
        self.attempted.push(attempt.attempted_at.unix_micros());
        self.numbers.push(i64::from(attempt.number));
        self.triggers.push(small_code(attempt.trigger));
        self.outcomes.push(small(outcome.outcome));
        self.statuses.push(outcome.status.map(i32::from));
        self.details.push(outcome.detail.map(small));
        self.retry_afters.push(outcome.retry_after_ns);
        self.settlements.push(next.settlement.map(small));
        self.next_due.push(next.next_due_at);
        self.urls.push(&attempt.url);
        self.addresses
            .push(attempt.address.map(|address| address.to_string()));
        self.timings.push(encode_timing(&attempt.timing));
        self.response_headers
            .push(response.map(headers_text).transpose()?);
        self.response_truncated
            .push(response.map(|response| response.truncated));
        self.response_bodies
            .push(response.map(|response| &*response.body));
        let sent = attempt.sent.as_ref();
        self.recipes.push(sent.map(|sent| sent.recipe.0));
        self.signatures
            .push(sent.map(|sent| sent.signature.as_str()));
        self.response_bytes += response.map_or(0, |response| response.body.len());
        Ok(())
    }

    /// Whether a statement holds no more.
    pub(crate) fn is_full(&self) -> bool {
        self.response_bytes >= limit::DATABASE_STATEMENT_BYTES_MAX
    }

    /// Stores them and returns those that were not there before. Repeating it changes nothing.
    pub(crate) async fn insert(self, tx: &Tx) -> FaultResult<HashSet<(Seq, AttemptId)>> {
        if self.seqs.is_empty() {
            return Ok(HashSet::new());
        }
        let sql = "INSERT INTO attempt (seq, id, endpoint, message, attempted_at, number, \
             trigger, outcome, status, detail, retry_after_ns, settlement, next_due_at, url, \
             address, timing, response_headers, response_truncated, response_body, recipe, \
             signature) \
             SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
             $15, $16, $17, $18, $19, $20, $21) \
             ON CONFLICT (seq, id) DO NOTHING RETURNING seq, id";
        let parameters = params![
            self.seqs,
            self.ids,
            self.endpoints,
            self.messages,
            self.attempted,
            self.numbers,
            self.triggers,
            self.outcomes,
            self.statuses,
            self.details,
            self.retry_afters,
            self.settlements,
            self.next_due,
            self.urls,
            self.addresses,
            self.timings,
            self.response_headers,
            self.response_truncated,
            self.response_bodies,
            self.recipes,
            self.signatures,
        ];
        let rows = tx.query(sql, parameters).await?;
        let stored = |row| {
            let mut columns = Columns::of(row, "attempt");
            let seq = Seq(columns.get("seq")?);
            Ok((seq, AttemptId::from_ksuid(columns.ksuid("id")?)))
        };
        rows.iter().map(stored).collect()
    }
}

fn headers_text(response: &Response) -> FaultResult<String> {
    Ok(serde_json::to_string(&response.headers)?)
}

/// The columns of an [`Attempt`], behind those that place it.
pub(crate) const COLUMNS: &str = "id, attempted_at, number, trigger, url, address, outcome, \
     status, detail, retry_after_ns, settlement, next_due_at, timing, response_headers, \
     response_truncated, response_body, recipe, signature";
/// The same without what was sent and what the receiver answered, which is then not read.
pub(crate) const COLUMNS_WITHOUT_RESPONSE: &str = "id, attempted_at, number, trigger, url, \
     address, outcome, status, detail, retry_after_ns, settlement, next_due_at, timing, \
     NULL::text, NULL::boolean, NULL::bytea, NULL::bigint, NULL::text";

/// Reads [`COLUMNS`].
pub(crate) fn read(columns: &mut Columns<'_>) -> FaultResult<Attempt> {
    Ok(Attempt {
        id: AttemptId::from_ksuid(columns.ksuid("id")?),
        attempted_at: columns.timestamp("attempted_at")?,
        number: columns.number("number")?,
        trigger: columns.code("trigger")?,
        url: columns.get("url")?,
        address: read_address(columns)?,
        outcome: read_outcome(columns)?,
        next: read_next(columns)?,
        timing: columns.decoded("timing", decode_timing)?,
        response: read_response(columns)?,
        sent: sent_of(columns.get("recipe")?, columns.get("signature")?),
    })
}

fn read_address(columns: &mut Columns<'_>) -> FaultResult<Option<std::net::SocketAddr>> {
    let text: Option<&str> = columns.get("address")?;
    let address = text.map(str::parse).transpose();
    address.map_err(|error| columns.unreadable("address", error))
}

fn read_outcome(columns: &mut Columns<'_>) -> FaultResult<Outcome> {
    let cells = OutcomeCells {
        outcome: columns.small("outcome")?,
        status: columns.status_if("status")?,
        detail: columns.small_if("detail")?,
        retry_after_ns: columns.get("retry_after_ns")?,
    };
    Outcome::try_from(cells).map_err(|error| columns.unreadable("outcome", error))
}

fn read_next(columns: &mut Columns<'_>) -> FaultResult<AfterAttempt> {
    let cells = NextCells {
        settlement: columns.small_if("settlement")?,
        next_due_at: columns.get("next_due_at")?,
    };
    AfterAttempt::try_from(cells).map_err(|error| columns.unreadable("settlement", error))
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

/// Which of some attempts are stored.
pub(crate) async fn stored(
    tx: &Tx,
    attempts: &[(Seq, AttemptId)],
) -> FaultResult<HashSet<(Seq, AttemptId)>> {
    if attempts.is_empty() {
        return Ok(HashSet::new());
    }
    let seqs: Vec<i64> = attempts.iter().map(|(seq, _)| seq.0).collect();
    let ids: Vec<Vec<u8>> = attempts
        .iter()
        .map(|(_, id)| bytes_of(id.ksuid()))
        .collect();
    let sql = "SELECT seq, id FROM attempt WHERE seq = ANY($1) AND id = ANY($2)";
    let rows = tx.query(sql, params![seqs, ids]).await?;
    let found = |row| {
        let mut columns = Columns::of(row, "attempt");
        let seq = Seq(columns.get("seq")?);
        let id: Ksuid = columns.ksuid("id")?;
        Ok((seq, AttemptId::from_ksuid(id)))
    };
    rows.iter().map(found).collect()
}
