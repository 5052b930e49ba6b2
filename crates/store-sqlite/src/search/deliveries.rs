//! Deliveries by what is known about them.

use rusqlite::{Connection, params};
use watchfire_domain::limit;
use watchfire_domain::message::Message;
use watchfire_store::{
    AppKey, DeliveryFilter, DeliveryPage, DeliveryPlace, DeliveryView, EndpointKey,
    FoundDeliveries, FoundDelivery, Seq, StoredMessage, status_after,
};

use super::walk::{Candidate, Walk};
use crate::configuration::belongs;
use crate::fault::FaultResult;
use crate::history::{last_attempt, owed_to};
use crate::message::{self, COLUMNS_WITHOUT_PAYLOAD};

pub(super) fn find(
    connection: &Connection,
    app: AppKey,
    filter: &DeliveryFilter,
    page: DeliveryPage,
) -> FaultResult<FoundDeliveries> {
    if let Some(endpoint) = filter.endpoint
        && !belongs(connection, app, endpoint)?
    {
        return Ok(FoundDeliveries::default());
    }
    let mut walk = Walk::of(connection, app, filter, page.from)?;
    let mut search = Searching {
        connection,
        app,
        filter,
        page,
        bytes: 0,
        result: FoundDeliveries::default(),
    };
    while let Some(candidate) = walk.next()? {
        if let Looked::Enough(place) = search.look(&candidate)? {
            search.result.next = Some(place);
            break;
        }
    }
    Ok(search.result)
}

/// What came of looking at a message.
enum Looked {
    GoOn,
    /// The page is full, or its bound is reached: this is where to go on.
    Enough(DeliveryPlace),
}

struct Searching<'s> {
    connection: &'s Connection,
    app: AppKey,
    filter: &'s DeliveryFilter,
    page: DeliveryPage,
    /// Payload bytes that were read.
    bytes: usize,
    result: FoundDeliveries,
}

impl Searching<'_> {
    fn look(&mut self, candidate: &Candidate) -> FaultResult<Looked> {
        let place = |done| DeliveryPlace {
            message: candidate.id,
            done,
        };
        let skip = match self.page.from {
            Some(from) if from.message == candidate.id => from.done,
            Some(_) | None => 0,
        };
        if self.result.found.len() >= self.page.limit
            || self.result.looked >= limit::SEARCH_DELIVERIES_MAX
            || self.bytes >= limit::SEARCH_BYTES_MAX
        {
            return Ok(Looked::Enough(place(skip)));
        }
        self.result.looked += 1;
        let Some(stored) = self.wanted_message(candidate.seq)? else {
            return Ok(Looked::GoOn);
        };
        let endpoints = self.endpoints_of(candidate, &stored)?;
        for (done, endpoint) in endpoints.into_iter().enumerate().skip(skip) {
            if self.result.found.len() >= self.page.limit {
                return Ok(Looked::Enough(place(done)));
            }
            self.result.looked += 1;
            if let Some(found) = self.wanted_delivery(&stored, endpoint)? {
                self.result.found.push(found);
            }
        }
        Ok(Looked::GoOn)
    }

    fn wanted_message(&mut self, seq: Seq) -> FaultResult<Option<StoredMessage>> {
        let sql = format!("SELECT {COLUMNS_WITHOUT_PAYLOAD} FROM message m WHERE m.seq = ?1");
        let stored = message::first(self.connection, &sql, params![seq.0])?;
        let Some(stored) = stored.filter(|stored| stored.app == self.app) else {
            return Ok(None);
        };
        let wanted = self.wants(&stored.message) && self.wants_payload(seq)?;
        Ok(wanted.then_some(stored))
    }

    fn wants(&self, message: &Message) -> bool {
        let filter = self.filter;
        let at = message.accepted_at;
        filter.wants_type(&message.event_type)
            && (filter.record_key.is_none() || filter.record_key == message.record_key)
            && filter.since.is_none_or(|since| at >= since)
            && filter.until.is_none_or(|until| at < until)
    }

    fn wants_payload(&mut self, seq: Seq) -> FaultResult<bool> {
        if self.filter.text.is_none() {
            return Ok(true);
        }
        let sql = "SELECT payload FROM message WHERE seq = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([seq.0])?;
        let Some(row) = rows.next()? else {
            return Ok(false);
        };
        let payload = row.get_ref(0)?;
        let payload = payload.as_blob_or_null().unwrap_or_default();
        let payload = payload.unwrap_or_default();
        self.bytes += payload.len();
        Ok(self.filter.wants_payload(payload))
    }

    /// Ascending. Where no index has said which, those it matched and those it was sent to later.
    fn endpoints_of(
        &self,
        candidate: &Candidate,
        stored: &StoredMessage,
    ) -> FaultResult<Vec<EndpointKey>> {
        if let Some(endpoint) = self.filter.endpoint {
            return Ok(vec![endpoint]);
        }
        if let Some(endpoints) = &candidate.endpoints {
            return Ok(endpoints.clone());
        }
        let mut endpoints = stored.matched.clone();
        for sql in [
            "SELECT endpoint FROM attempt WHERE seq = ?1",
            "SELECT endpoint FROM owed WHERE seq = ?1",
        ] {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query([stored.seq.0])?;
            while let Some(row) = rows.next()? {
                endpoints.push(EndpointKey(row.get(0)?));
            }
        }
        endpoints.sort_unstable();
        endpoints.dedup();
        Ok(endpoints)
    }

    fn wanted_delivery(
        &self,
        stored: &StoredMessage,
        endpoint: EndpointKey,
    ) -> FaultResult<Option<FoundDelivery>> {
        let place = (stored.message.id, stored.seq);
        let last_attempt = last_attempt::of_delivery(self.connection, endpoint, place)?;
        let owed = owed_to(self.connection, endpoint, stored.seq)?;
        let matched = stored.matched.binary_search(&endpoint).is_ok();
        if !matched && last_attempt.is_none() && owed.is_none() {
            return Ok(None);
        }
        let view = owed.unwrap_or_else(|| DeliveryView {
            endpoint,
            status: status_after(last_attempt.as_ref()),
            owed: None,
        });
        let wanted = self.filter.wants_standing(&view, last_attempt.as_ref());
        Ok(wanted.then(|| FoundDelivery {
            stored: stored.clone(),
            view,
            last_attempt,
        }))
    }
}
