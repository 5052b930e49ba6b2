//! Which messages a search looks at: those on the index that leaves out most.
//!
//! Newest first. What an application's endpoints have on indexes of their own is merged: the next
//! message is the newest of those that come next on each, and with it comes which of the endpoints
//! it is about.

use std::collections::BinaryHeap;
use std::time::Duration;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};
use watchfire_domain::id::{Ksuid, MessageId};
use watchfire_domain::limit;
use watchfire_store::{AppKey, DeliveryFilter, DeliveryPlace, DeliveryStatus, EndpointKey, Seq};

use crate::fault::FaultResult;

/// Ids tell the time in steps of 1/256 s: a message may be older than its id's step ends.
const ID_STEP: Duration = Duration::from_millis(4);

/// A message to look at.
pub(super) struct Candidate {
    pub(super) id: MessageId,
    pub(super) seq: Seq,
    /// The endpoints it is about; all it matched or went to if absent.
    pub(super) endpoints: Option<Vec<EndpointKey>>,
}

/// The part of the ids that is walked: below `end`, and not below `begin`.
#[derive(Clone, Copy)]
struct Stretch {
    begin: Ksuid,
    end: Ksuid,
}

impl Stretch {
    /// From the filter's time, and below the place, whose own message is looked at again.
    fn of(filter: &DeliveryFilter, from: Option<DeliveryPlace>) -> Self {
        let begin = filter.since.map_or(Ksuid::MIN, Ksuid::first_at);
        let until = filter
            .until
            .map_or(Ksuid::MAX, |until| Ksuid::first_at(until + ID_STEP));
        let place = from.map_or(Ksuid::MAX, |place| place.message.ksuid().next());
        Self {
            begin,
            end: until.min(place),
        }
    }
}

/// The next message on an endpoint's index, newest first.
pub(crate) const NOTED: &str = "SELECT message, seq FROM attempt \
     INDEXED BY noted_attempt_of_endpoint_by_message \
     WHERE endpoint = ?1 AND message < ?2 AND message >= ?3 AND outcome > 0 \
     ORDER BY message DESC LIMIT 1";
pub(crate) const ATTEMPTED: &str = "SELECT message, seq FROM attempt \
     INDEXED BY attempt_of_endpoint_by_message \
     WHERE endpoint = ?1 AND message < ?2 AND message >= ?3 ORDER BY message DESC LIMIT 1";
pub(crate) const OWED: &str = "SELECT message, seq FROM owed INDEXED BY owed_of_endpoint \
     WHERE endpoint = ?1 AND message < ?2 AND message >= ?3 ORDER BY message DESC LIMIT 1";
const OF_APPLICATION: &str = "SELECT id, seq FROM message INDEXED BY message_id \
     WHERE app = ?1 AND id < ?2 AND id >= ?3 ORDER BY id DESC LIMIT 1";
const OF_RECORD: &str = "SELECT id, seq FROM message INDEXED BY message_of_record \
     WHERE app = ?1 AND record_key = ?2 AND seq < ?3 ORDER BY seq DESC LIMIT 1";

/// A walk over messages.
pub(super) enum Walk<'c> {
    Application(Straight<'c>),
    Record(OfRecord<'c>),
    Merged(Merged<'c>),
}

/// Which indexes a filter asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Indexes {
    /// Only the application's own.
    Messages,
    Noted,
    Owed,
    /// Attempts and what is owed.
    Both,
}

impl Indexes {
    fn of(filter: &DeliveryFilter) -> Self {
        let noted = filter.status_class.is_some_and(|class| class != 2);
        match filter.status {
            Some(DeliveryStatus::Pending) => Self::Owed,
            Some(DeliveryStatus::Failed | DeliveryStatus::Cancelled) => Self::Noted,
            None if noted => Self::Noted,
            Some(DeliveryStatus::Delivered) | None if filter.endpoint.is_some() => Self::Both,
            Some(DeliveryStatus::Sending | DeliveryStatus::Delivered) | None => Self::Messages,
        }
    }

    fn sources(self) -> &'static [&'static str] {
        match self {
            Self::Messages => &[],
            Self::Noted => &[NOTED],
            Self::Owed => &[OWED],
            Self::Both => &[ATTEMPTED, OWED],
        }
    }
}

impl<'c> Walk<'c> {
    pub(super) fn of(
        connection: &'c Connection,
        app: AppKey,
        filter: &DeliveryFilter,
        from: Option<DeliveryPlace>,
    ) -> FaultResult<Self> {
        let stretch = Stretch::of(filter, from);
        if let Some(record_key) = &filter.record_key {
            let from = from.map(|place| place.message);
            return Ok(Self::Record(OfRecord {
                statement: connection.prepare_cached(OF_RECORD)?,
                app,
                record_key: record_key.clone(),
                below: behind(connection, app, from)?,
                begin: stretch.begin,
            }));
        }
        let sources = Indexes::of(filter).sources();
        if let Some(endpoints) = walked_endpoints(connection, app, filter)?
            && !sources.is_empty()
        {
            let merged = Merged::of(connection, (sources, &endpoints), stretch)?;
            return Ok(Self::Merged(merged));
        }
        Ok(Self::Application(Straight {
            statement: connection.prepare_cached(OF_APPLICATION)?,
            app,
            stretch,
        }))
    }

    pub(super) fn next(&mut self) -> FaultResult<Option<Candidate>> {
        match self {
            Self::Application(straight) => straight.next(),
            Self::Record(of_record) => of_record.next(),
            Self::Merged(merged) => merged.next(),
        }
    }
}

/// The endpoints to merge: the one that is asked for, or all the application has or had, unless
/// those are so many that its messages are the shorter way.
fn walked_endpoints(
    connection: &Connection,
    app: AppKey,
    filter: &DeliveryFilter,
) -> FaultResult<Option<Vec<EndpointKey>>> {
    if let Some(endpoint) = filter.endpoint {
        return Ok(Some(vec![endpoint]));
    }
    let most = 2 * limit::ENDPOINTS_PER_APPLICATION_MAX;
    let sql = "SELECT key FROM endpoint WHERE app = ?1 LIMIT ?2";
    let at_most = i64::try_from(most + 1).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(sql)?;
    let keys: rusqlite::Result<Vec<i64>> = statement
        .query_map(params![app.0, at_most], |row| row.get(0))?
        .collect();
    let keys: Vec<_> = keys?.into_iter().map(EndpointKey).collect();
    Ok((keys.len() <= most).then_some(keys))
}

/// Messages of a record stand in the order of their places: this is the one behind a message. With
/// a message, those before it have been removed as well.
fn behind(connection: &Connection, app: AppKey, from: Option<MessageId>) -> FaultResult<i64> {
    let Some(from) = from else {
        return Ok(i64::MAX);
    };
    let sql = "SELECT seq + 1 FROM message INDEXED BY message_id WHERE app = ?1 AND id = ?2";
    let behind = connection
        .prepare_cached(sql)?
        .query_row(params![app.0, from.ksuid().as_bytes()], |row| row.get(0))
        .optional()?;
    Ok(behind.unwrap_or(0))
}

/// All messages of an application.
pub(super) struct Straight<'c> {
    statement: CachedStatement<'c>,
    app: AppKey,
    stretch: Stretch,
}

impl Straight<'_> {
    fn next(&mut self) -> FaultResult<Option<Candidate>> {
        let Stretch { begin, end } = self.stretch;
        let found = step(&mut self.statement, self.app.0, (end, begin))?;
        let Some((id, seq)) = found else {
            return Ok(None);
        };
        self.stretch.end = id;
        Ok(Some(Candidate {
            id: MessageId::from_ksuid(id),
            seq,
            endpoints: None,
        }))
    }
}

/// All messages of a record.
pub(super) struct OfRecord<'c> {
    statement: CachedStatement<'c>,
    app: AppKey,
    record_key: String,
    below: i64,
    begin: Ksuid,
}

impl OfRecord<'_> {
    fn next(&mut self) -> FaultResult<Option<Candidate>> {
        let place = params![self.app.0, self.record_key, self.below];
        let found: Option<([u8; 20], i64)> = self
            .statement
            .query_row(place, |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((id, seq)) = found else {
            return Ok(None);
        };
        self.below = seq;
        let id = Ksuid::from_bytes(id);
        if id < self.begin {
            return Ok(None);
        }
        Ok(Some(Candidate {
            id: MessageId::from_ksuid(id),
            seq: Seq(seq),
            endpoints: None,
        }))
    }
}

/// What several endpoints have on indexes of their own.
pub(super) struct Merged<'c> {
    statements: Vec<CachedStatement<'c>>,
    begin: Ksuid,
    /// What comes next on each: the message, and the index and endpoint it stands on.
    heads: BinaryHeap<(Ksuid, Seq, usize, EndpointKey)>,
}

impl<'c> Merged<'c> {
    fn of(
        connection: &'c Connection,
        (sources, endpoints): (&[&str], &[EndpointKey]),
        stretch: Stretch,
    ) -> FaultResult<Self> {
        let statements: rusqlite::Result<Vec<_>> = sources
            .iter()
            .map(|sql| connection.prepare_cached(sql))
            .collect();
        let mut merged = Self {
            statements: statements?,
            begin: stretch.begin,
            heads: BinaryHeap::new(),
        };
        for source in 0..sources.len() {
            for endpoint in endpoints {
                merged.look(source, *endpoint, stretch.end)?;
            }
        }
        Ok(merged)
    }

    fn look(&mut self, source: usize, endpoint: EndpointKey, below: Ksuid) -> FaultResult<()> {
        let statement = &mut self.statements[source];
        if let Some((id, seq)) = step(statement, endpoint.0, (below, self.begin))? {
            self.heads.push((id, seq, source, endpoint));
        }
        Ok(())
    }

    fn next(&mut self) -> FaultResult<Option<Candidate>> {
        let Some(&(id, seq, ..)) = self.heads.peek() else {
            return Ok(None);
        };
        let mut endpoints = Vec::new();
        while let Some(&(next, _, source, endpoint)) = self.heads.peek()
            && next == id
        {
            self.heads.pop();
            endpoints.push(endpoint);
            self.look(source, endpoint, id)?;
        }
        endpoints.sort_unstable();
        endpoints.dedup();
        Ok(Some(Candidate {
            id: MessageId::from_ksuid(id),
            seq,
            endpoints: Some(endpoints),
        }))
    }
}

/// The next message on an index, for an owner and between two ids.
fn step(
    statement: &mut CachedStatement<'_>,
    owner: i64,
    (below, begin): (Ksuid, Ksuid),
) -> FaultResult<Option<(Ksuid, Seq)>> {
    let place = params![owner, below.as_bytes(), begin.as_bytes()];
    let found = statement
        .query_row(place, |row| {
            Ok((Ksuid::from_bytes(row.get(0)?), Seq(row.get(1)?)))
        })
        .optional()?;
    Ok(found)
}
