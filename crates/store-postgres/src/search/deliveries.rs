//! Deliveries by what is known about them.
//!
//! Messages come a stretch at a time; what is to be known of a stretch and its deliveries is read
//! at once.

use std::collections::{BTreeSet, HashMap};

use watchfire_domain::attempt::Attempt;
use watchfire_domain::limit;
use watchfire_domain::message::Message;
use watchfire_store::{
    AppKey, DeliveryFilter, DeliveryPage, DeliveryPlace, DeliveryView, EndpointKey,
    FoundDeliveries, FoundDelivery, Seq, StoredMessage, status_after,
};

use super::walk::{Candidate, Walk};
use crate::attempt::{self, COLUMNS_WITHOUT_RESPONSE};
use crate::configuration::belongs;
use crate::fault::FaultResult;
use crate::history::owed_of;
use crate::message::{self, Content, at_places, numbers};
use crate::parameter::params;
use crate::row::Columns;
use crate::session::Tx;

/// Messages of a stretch: few if payloads are read, or if each may have many deliveries.
const STRETCH: usize = 64;
const STRETCH_WITH_PAYLOADS: usize = 16;

pub(super) async fn find(
    tx: &Tx,
    app: AppKey,
    filter: &DeliveryFilter,
    page: DeliveryPage,
) -> FaultResult<FoundDeliveries> {
    if let Some(endpoint) = filter.endpoint
        && !belongs(tx, app, endpoint).await?
    {
        return Ok(FoundDeliveries::default());
    }
    let mut walk = Walk::of(tx, app, filter, page.from).await?;
    let mut search = Searching {
        filter,
        page,
        bytes: 0,
        result: FoundDeliveries::default(),
    };
    let stretch = match filter.text {
        Some(_) => STRETCH_WITH_PAYLOADS,
        None => STRETCH,
    };
    loop {
        let candidates = walk.next(tx, stretch).await?;
        if candidates.is_empty() {
            return Ok(search.result);
        }
        let known = Known::read(tx, app, filter, &candidates).await?;
        for candidate in &candidates {
            if let Some(place) = search.look(candidate, &known) {
                search.result.next = Some(place);
                return Ok(search.result);
            }
        }
    }
}

/// What a stretch of messages and their deliveries are known to be.
struct Known {
    /// Those that meet the filter.
    messages: HashMap<Seq, StoredMessage>,
    /// Payload bytes that were read of each.
    bytes: HashMap<Seq, usize>,
    owed: HashMap<(Seq, EndpointKey), DeliveryView>,
    last: HashMap<(Seq, EndpointKey), Attempt>,
}

impl Known {
    async fn read(
        tx: &Tx,
        app: AppKey,
        filter: &DeliveryFilter,
        candidates: &[Candidate],
    ) -> FaultResult<Self> {
        let seqs: Vec<Seq> = candidates.iter().map(|candidate| candidate.seq).collect();
        let mut messages = at_places(tx, &seqs, Content::LeftOut).await?;
        messages.retain(|_, stored| stored.app == app && wants(filter, &stored.message));
        let mut bytes = HashMap::new();
        if filter.text.is_some() {
            bytes = keep_with_text(tx, filter, &mut messages).await?;
        }
        let kept: Vec<Seq> = messages.keys().copied().collect();
        Ok(Self {
            owed: owed_of(tx, &kept).await?,
            last: last_attempts(tx, &kept, filter.endpoint).await?,
            messages,
            bytes,
        })
    }

    /// Ascending. Where no index has said which, those it matched and those it was sent to later.
    fn endpoints_of(
        &self,
        filter: &DeliveryFilter,
        candidate: &Candidate,
        stored: &StoredMessage,
    ) -> Vec<EndpointKey> {
        if let Some(endpoint) = filter.endpoint {
            return vec![endpoint];
        }
        if let Some(endpoints) = &candidate.endpoints {
            return endpoints.clone();
        }
        let later = self.owed.keys().chain(self.last.keys());
        let later = later.filter(|(seq, _)| *seq == stored.seq);
        let mut endpoints: BTreeSet<EndpointKey> = later.map(|(_, endpoint)| *endpoint).collect();
        endpoints.extend(&stored.matched);
        endpoints.into_iter().collect()
    }
}

fn wants(filter: &DeliveryFilter, message: &Message) -> bool {
    let at = message.accepted_at;
    filter.wants_type(&message.event_type)
        && (filter.record_key.is_none() || filter.record_key == message.record_key)
        && filter.since.is_none_or(|since| at >= since)
        && filter.until.is_none_or(|until| at < until)
}

/// Keeps the messages whose payloads hold the text; how many bytes were read for each.
async fn keep_with_text(
    tx: &Tx,
    filter: &DeliveryFilter,
    messages: &mut HashMap<Seq, StoredMessage>,
) -> FaultResult<HashMap<Seq, usize>> {
    let mut with_payload: Vec<StoredMessage> = messages.values().cloned().collect();
    message::fill(tx, &mut with_payload, Content::Kept).await?;
    let mut bytes = HashMap::new();
    for stored in with_payload {
        let payload = stored.message.payload.as_deref().unwrap_or_default();
        bytes.insert(stored.seq, payload.len());
        if !filter.wants_payload(payload) {
            messages.remove(&stored.seq);
        }
    }
    Ok(bytes)
}

/// The last attempt of each delivery of some messages, to one endpoint if it is said.
async fn last_attempts(
    tx: &Tx,
    seqs: &[Seq],
    endpoint: Option<EndpointKey>,
) -> FaultResult<HashMap<(Seq, EndpointKey), Attempt>> {
    let sql = format!(
        "SELECT DISTINCT ON (seq, endpoint) seq, endpoint, {COLUMNS_WITHOUT_RESPONSE} \
         FROM attempt WHERE seq = ANY($1) AND ($2 IS NULL OR endpoint = $2) \
         ORDER BY seq, endpoint, id DESC"
    );
    let only = endpoint.map(|endpoint| endpoint.0);
    let rows = tx.query(&sql, params![numbers(seqs), only]).await?;
    let last = rows.iter().map(|row| {
        let mut columns = Columns::of(row, "attempt");
        let seq = Seq(columns.get("seq")?);
        let endpoint = EndpointKey(columns.get("endpoint")?);
        Ok(((seq, endpoint), attempt::read(&mut columns)?))
    });
    last.collect()
}

struct Searching<'s> {
    filter: &'s DeliveryFilter,
    page: DeliveryPage,
    /// Payload bytes that were looked at.
    bytes: usize,
    result: FoundDeliveries,
}

impl Searching<'_> {
    /// Where to go on, if the page is full or its bound is reached.
    fn look(&mut self, candidate: &Candidate, known: &Known) -> Option<DeliveryPlace> {
        let place = |done| {
            Some(DeliveryPlace {
                message: candidate.id,
                done,
            })
        };
        let skip = match self.page.from {
            Some(from) if from.message == candidate.id => from.done,
            Some(_) | None => 0,
        };
        if self.result.found.len() >= self.page.limit
            || self.result.looked >= limit::SEARCH_DELIVERIES_MAX
            || self.bytes >= limit::SEARCH_BYTES_MAX
        {
            return place(skip);
        }
        self.result.looked += 1;
        self.bytes += known.bytes.get(&candidate.seq).copied().unwrap_or(0);
        let stored = known.messages.get(&candidate.seq)?;
        let endpoints = known.endpoints_of(self.filter, candidate, stored);
        for (done, endpoint) in endpoints.into_iter().enumerate().skip(skip) {
            if self.result.found.len() >= self.page.limit {
                return place(done);
            }
            self.result.looked += 1;
            let found = self.wanted_delivery(stored, endpoint, known);
            self.result.found.extend(found);
        }
        None
    }

    fn wanted_delivery(
        &self,
        stored: &StoredMessage,
        endpoint: EndpointKey,
        known: &Known,
    ) -> Option<FoundDelivery> {
        let last_attempt = known.last.get(&(stored.seq, endpoint)).cloned();
        let owed = known.owed.get(&(stored.seq, endpoint)).copied();
        let matched = stored.matched.binary_search(&endpoint).is_ok();
        if !matched && last_attempt.is_none() && owed.is_none() {
            return None;
        }
        let view = owed.unwrap_or_else(|| DeliveryView {
            endpoint,
            status: status_after(last_attempt.as_ref()),
            owed: None,
        });
        let wanted = self.filter.wants_standing(&view, last_attempt.as_ref());
        wanted.then(|| FoundDelivery {
            stored: stored.clone(),
            view,
            last_attempt,
        })
    }
}
