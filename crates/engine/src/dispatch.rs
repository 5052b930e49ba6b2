//! Which delivery is sent next. Synchronous, without I/O or a clock: the shell around it holds the
//! lock, spawns the attempts and writes down what is said here.
//!
//! # Problem
//!
//! Thousands of endpoints share a bounded number of attempts in flight and a bounded memory. One
//! that hangs must not delay another, one that is fast must not be held back, deliveries about
//! one record must keep their order, and what does not fit must go back to the store.
//!
//! # Idea
//!
//! A lane per endpoint, with a window of attempts that grows while the endpoint answers fast and
//! shrinks when it does not. Lanes that could send stand in a ring and take turns. A record whose
//! delivery is in flight or failing keeps the later ones about it aside.
//!
//! # What leaves
//!
//! [`Dispatcher::push`] may refuse a job: then the caller spills it to `owed`. Everything else
//! comes out of [`Dispatcher::next`] exactly once.

mod fresh;
mod job;
mod lane;
mod moves;
mod rate;
mod window;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use watchfire_domain::id::MessageId;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AppKey, DeliveryRef, EndpointKey, OwedReason, Seq, Shard, ShardSet, Standing,
};

pub(crate) use self::fresh::FreshMarks;
pub(crate) use self::job::{Job, due_at};
use self::lane::Lane;
pub(crate) use self::moves::Moving;
use self::rate::Rate;
pub(crate) use self::window::Pace;

/// What became of a pushed job.
#[derive(Debug)]
pub(crate) enum Pushed {
    Queued,
    /// It does not fit, or must not overtake: write it to `owed`.
    Spill(Job, OwedReason),
}

/// Bounds of the dispatcher; see [`limit`] for the defaults and reasons.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub in_flight: usize,
    pub per_endpoint: usize,
    pub fresh_per_endpoint: usize,
    pub fresh_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            in_flight: limit::ATTEMPTS_IN_FLIGHT_MAX,
            per_endpoint: limit::CONCURRENCY_PER_ENDPOINT_MAX,
            fresh_per_endpoint: limit::FRESH_PER_ENDPOINT_MAX,
            fresh_bytes: limit::FRESH_BYTES_MAX,
        }
    }
}

/// All lanes and the ring of those that could send.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    bounds: Bounds,
    lanes: HashMap<EndpointKey, Lane>,
    ring: VecDeque<EndpointKey>,
    /// Rates of applications that have one.
    rates: HashMap<AppKey, Rate>,
    /// Lanes that wait for their rate, by when they may go on.
    throttled: BTreeSet<(Timestamp, EndpointKey)>,
    in_flight: usize,
    /// Lanes with at least one attempt in flight.
    busy: usize,
    /// Payload bytes of queued jobs; a payload counts once for each delivery of it.
    queued_bytes: usize,
}

impl Dispatcher {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            lanes: HashMap::new(),
            ring: VecDeque::new(),
            rates: HashMap::new(),
            throttled: BTreeSet::new(),
            in_flight: 0,
            busy: 0,
            queued_bytes: 0,
        }
    }

    /// Takes a job in, or says why it must be spilled.
    pub(crate) fn push(&mut self, job: Job, terms: Terms) -> Pushed {
        let bytes = job.payload_bytes();
        let endpoint = job.delivery.endpoint;
        let bounds = self.bounds;
        self.set_rate(job.delivery.app, terms.application_interval);
        let memory_is_full = self.queued_bytes + bytes > bounds.fresh_bytes;
        let lane = self.lane(endpoint, job.delivery.app);
        lane.adopt(terms);
        if terms.gate == LaneGate::Closed && !job.is_ping() {
            return Pushed::Spill(job, OwedReason::Held);
        }
        if job.is_fresh() {
            if let Some(reason) = lane.refuses(&job, bounds.fresh_per_endpoint) {
                return Pushed::Spill(job, reason);
            }
            if memory_is_full {
                return Pushed::Spill(job, OwedReason::Spilled);
            }
        }
        lane.push(job);
        self.queued_bytes += bytes;
        self.enlist(endpoint);
        Pushed::Queued
    }

    /// The next job to send, if there is one and room for it. The caller must end it with
    /// [`Dispatcher::answered`] and then [`Dispatcher::settled`] or [`Dispatcher::deferred`].
    pub(crate) fn next(&mut self, now: Timestamp) -> Option<Job> {
        self.release_throttled(now);
        while self.in_flight < self.bounds.in_flight {
            let endpoint = self.ring.pop_front()?;
            let share = self.fair_share();
            let Some(lane) = self.lanes.get_mut(&endpoint) else {
                continue;
            };
            lane.enlisted = false;
            let rate = self.rates.get_mut(&lane.app());
            let blocked = rate.as_ref().and_then(|rate| rate.blocked_until(now));
            if let Some(at) = lane.throttled_until(now).max(blocked) {
                self.throttled.insert((at, endpoint));
                continue;
            }
            let Some(job) = lane.take(share, now) else {
                continue;
            };
            if let Some(rate) = rate {
                rate.take(now);
            }
            self.in_flight += 1;
            self.busy += usize::from(lane.running() == 1);
            self.queued_bytes = self.queued_bytes.saturating_sub(job.payload_bytes());
            self.enlist(endpoint);
            return Some(job);
        }
        None
    }

    /// The request of a job has ended: its place in the endpoint's window is free again.
    pub(crate) fn answered(&mut self, endpoint: EndpointKey, pace: Pace) {
        let Some(lane) = self.lanes.get_mut(&endpoint) else {
            return;
        };
        lane.answered(pace, self.bounds.per_endpoint);
        self.busy -= usize::from(lane.running() == 0);
        self.enlist(endpoint);
    }

    /// The outcome of a job is on disk and final: its record may go on.
    pub(crate) fn settled(
        &mut self,
        delivery: DeliveryRef,
        standing: Standing,
        record: Option<i64>,
    ) {
        self.in_flight -= 1;
        if let Some(lane) = self.lanes.get_mut(&delivery.endpoint) {
            lane.settled(standing, record);
        }
        self.enlist(delivery.endpoint);
    }

    /// The outcome of a job is on disk and it is owed (again).
    pub(crate) fn deferred(&mut self, delivery: DeliveryRef, standing: Standing) {
        self.in_flight -= 1;
        if let Some(lane) = self.lanes.get_mut(&delivery.endpoint) {
            lane.deferred(standing);
        }
        self.enlist(delivery.endpoint);
    }

    /// A delivery of this record is about to become owed: the later ones that wait for it in
    /// memory must become owed with it.
    pub(crate) fn take_followers(&mut self, endpoint: EndpointKey, record: i64) -> Vec<Job> {
        let lane = self.lanes.get_mut(&endpoint);
        let jobs = lane
            .map(|lane| lane.take_followers(record))
            .unwrap_or_default();
        self.forget_bytes(&jobs);
        jobs
    }

    /// Jobs that have waited in memory so long that they hold back the checkpoint.
    pub(crate) fn take_fresh_below(&mut self, seq: Seq) -> Vec<Job> {
        let jobs: Vec<_> = self
            .lanes
            .values_mut()
            .flat_map(|lane| lane.take_fresh_below(seq))
            .collect();
        self.forget_bytes(&jobs);
        jobs
    }

    /// Everything queued for an endpoint that must not be sent to now.
    pub(crate) fn take_queued(&mut self, endpoint: EndpointKey) -> Vec<Job> {
        let lane = self.lanes.get_mut(&endpoint);
        let jobs = lane.map(Lane::take_gated).unwrap_or_default();
        self.forget_bytes(&jobs);
        jobs
    }

    /// Whether such a message is queued for an endpoint.
    pub(crate) fn queues_any_of(
        &self,
        endpoint: EndpointKey,
        wanted: impl Fn(MessageId) -> bool,
    ) -> bool {
        let lane = self.lanes.get(&endpoint);
        lane.is_some_and(|lane| lane.queues_any(|job| wanted(job.message.id)))
    }

    /// Whether a delivery of this record is queued or in flight.
    pub(crate) fn holds_record(&self, endpoint: EndpointKey, record: i64) -> bool {
        let lane = self.lanes.get(&endpoint);
        lane.is_some_and(|lane| lane.holds_record(record))
    }

    /// Everything queued for anybody.
    pub(crate) fn take_all_queued(&mut self) -> Vec<Job> {
        let jobs: Vec<_> = self.lanes.values_mut().flat_map(Lane::take_all).collect();
        self.forget_bytes(&jobs);
        jobs
    }

    /// Everything of these shards that is not in flight.
    pub(crate) fn take_shards(&mut self, shards: ShardSet) -> Vec<Job> {
        let lanes = self.lanes.iter_mut();
        let lanes = lanes.filter(|(endpoint, _)| shards.has(**endpoint));
        let jobs: Vec<_> = lanes.flat_map(|(_, lane)| lane.take_everything()).collect();
        self.forget_bytes(&jobs);
        jobs
    }

    /// Shards with something in memory or on its way to disk.
    pub(crate) fn busy_shards(&self) -> ShardSet {
        let lanes = self.lanes.iter().filter(|(_, lane)| lane.is_busy());
        lanes.map(|(endpoint, _)| Shard::of(*endpoint)).collect()
    }

    /// Forgets the lanes of shards that are not busy.
    pub(crate) fn forget(&mut self, shards: ShardSet) {
        self.lanes.retain(|endpoint, _| !shards.has(*endpoint));
    }

    /// Something of this endpoint will be, or is, in `owed`: keyed fresh jobs must queue up there.
    pub(crate) fn owes(&mut self, endpoint: EndpointKey, app: AppKey) {
        self.lane(endpoint, app).note_owed();
    }

    /// A write that puts something of this endpoint into `owed` has been decided.
    pub(crate) fn begin_move(&mut self, endpoint: EndpointKey, app: AppKey, moving: Moving) {
        let lane = self.lane(endpoint, app);
        lane.note_owed();
        lane.moves.begin(moving);
    }

    /// It has ended.
    pub(crate) fn end_move(&mut self, endpoint: EndpointKey, moving: Moving) {
        if let Some(lane) = self.lanes.get_mut(&endpoint) {
            lane.moves.end(moving);
        }
    }

    /// The store is asked what this endpoint owes. Returns how often something became owed by now,
    /// for [`Dispatcher::owes_nothing`].
    pub(crate) fn asked(&mut self, endpoint: EndpointKey) -> u64 {
        self.lanes.get_mut(&endpoint).map_or(0, |lane| {
            lane.moves.asked();
            lane.owed_marks
        })
    }

    /// Whether the store, when it answered, may not have known of an earlier delivery of the record
    /// of this one.
    pub(crate) fn is_preceded(&self, claimed: &Job) -> bool {
        let lane = self.lanes.get(&claimed.delivery.endpoint);
        let (Some(lane), Some(record)) = (lane, claimed.record) else {
            return false;
        };
        lane.moves.precede(record, claimed.delivery.seq)
    }

    pub(crate) fn may_owe(&self, endpoint: EndpointKey) -> bool {
        self.lanes.get(&endpoint).is_some_and(|lane| lane.owes)
    }

    /// Whether the store should be asked what this endpoint owes, now that a job is settled: a
    /// later delivery of its record may have got its turn, or this was the last claimed one.
    pub(crate) fn wants_claim(&self, job: &Job) -> bool {
        let Some(lane) = self.lanes.get(&job.delivery.endpoint) else {
            return false;
        };
        lane.owes && (job.record.is_some() || (!job.is_fresh() && lane.leased() == 0))
    }

    /// The application of an endpoint that has a lane.
    pub(crate) fn app_of(&self, endpoint: EndpointKey) -> Option<AppKey> {
        self.lanes.get(&endpoint).map(Lane::app)
    }

    /// Like [`Dispatcher::owes`], of what was known to be owed.
    pub(crate) fn still_owes(&mut self, endpoint: EndpointKey, app: AppKey) {
        self.lane(endpoint, app).owes = true;
    }

    /// The store said that nothing is owed by this endpoint any more. It was asked when the marks
    /// stood there: what became owed since, it may not have known of.
    pub(crate) fn owes_nothing(&mut self, endpoint: EndpointKey, marks: u64) {
        if let Some(lane) = self.lanes.get_mut(&endpoint)
            && lane.owed_marks == marks
        {
            lane.owes_nothing();
        }
    }

    /// Opens or closes an endpoint's gate; a closed lane sends nothing.
    pub(crate) fn set_gate(&mut self, endpoint: EndpointKey, app: AppKey, gate: LaneGate) {
        self.lane(endpoint, app).gate = gate;
        self.enlist(endpoint);
    }

    /// How many more owed deliveries this endpoint can take into memory.
    pub(crate) fn room(&self, endpoint: EndpointKey) -> usize {
        if self.queued_bytes >= self.bounds.fresh_bytes {
            return 0;
        }
        match self.lanes.get(&endpoint) {
            Some(lane) => lane.room(),
            None => limit::CLAIM_PER_ENDPOINT_MAX,
        }
    }

    /// How many owed pings this endpoint can take into memory while it takes nothing else.
    pub(crate) fn room_for_pings(&self, endpoint: EndpointKey) -> usize {
        let lane = self.lanes.get(&endpoint);
        let lane = lane.filter(|_| self.queued_bytes < self.bounds.fresh_bytes);
        lane.map_or(0, Lane::room_for_pings)
    }

    /// When a throttled lane may go on.
    pub(crate) fn next_wake_at(&self) -> Option<Timestamp> {
        self.throttled.first().map(|(at, _)| *at)
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(crate) fn lanes(&self) -> usize {
        self.lanes.len()
    }

    pub(crate) fn queued(&self) -> usize {
        self.lanes.values().map(Lane::queued).sum()
    }

    /// Forgets lanes that have nothing to remember, or nothing that is this node's.
    pub(crate) fn sweep(&mut self, own: ShardSet) {
        let stays = |endpoint, lane: &Lane| own.has(endpoint) && !lane.is_idle();
        self.lanes
            .retain(|endpoint, lane| stays(*endpoint, lane) || lane.is_busy());
        self.rates.retain(|_, rate| rate.is_limited());
    }

    /// Applications that have a rate.
    pub(crate) fn rated(&self) -> Vec<AppKey> {
        let rated = self.rates.iter().filter(|(_, rate)| rate.is_limited());
        rated.map(|(app, _)| *app).collect()
    }

    pub(crate) fn set_rate(&mut self, app: AppKey, interval: Option<Duration>) {
        if interval.is_some() || self.rates.contains_key(&app) {
            self.rates
                .entry(app)
                .or_insert(Rate::UNLIMITED)
                .set(interval);
        }
    }

    fn lane(&mut self, endpoint: EndpointKey, app: AppKey) -> &mut Lane {
        self.lanes.entry(endpoint).or_insert_with(|| Lane::new(app))
    }

    /// Attempts each lane may have in flight when all together near their bound: half of the
    /// bound is first come, first served; the other half is divided evenly.
    fn fair_share(&self) -> usize {
        if self.in_flight * 2 < self.bounds.in_flight {
            return usize::MAX;
        }
        (self.bounds.in_flight / 2 / self.busy.max(1)).max(1)
    }

    fn release_throttled(&mut self, now: Timestamp) {
        while let Some(&(at, endpoint)) = self.throttled.first()
            && at <= now
        {
            self.throttled.pop_first();
            self.enlist(endpoint);
        }
    }

    /// Puts a lane that could send into the ring, once.
    fn enlist(&mut self, endpoint: EndpointKey) {
        if let Some(lane) = self.lanes.get_mut(&endpoint)
            && !lane.enlisted
            && lane.could_send()
        {
            lane.enlisted = true;
            self.ring.push_back(endpoint);
        }
    }

    fn forget_bytes(&mut self, jobs: &[Job]) {
        let bytes: usize = jobs.iter().map(Job::payload_bytes).sum();
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
    }
}

/// What an endpoint's settings and health allow its lane.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Terms {
    /// The least time between two requests.
    pub(crate) interval: Option<Duration>,
    /// The least time between two requests to any endpoint of the application.
    pub(crate) application_interval: Option<Duration>,
    pub(crate) gate: LaneGate,
}

/// Whether a lane may send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LaneGate {
    #[default]
    Open,
    /// One attempt at a time, to see whether the endpoint is back.
    Probe,
    Closed,
}

#[cfg(test)]
mod tests;
