//! One endpoint's queue.

use std::collections::{HashMap, VecDeque};

use watchfire_domain::limit;
use watchfire_domain::message::Urgency;
use watchfire_domain::time::Timestamp;
use watchfire_store::{AppKey, OwedReason, Seq, Standing};

use super::moves::Moves;
use super::rate::Rate;
use super::window::{Pace, Window};
use super::{Job, LaneGate, Terms};

/// One endpoint's queue, window and order.
#[derive(Debug)]
pub(super) struct Lane {
    app: AppKey,
    /// They pass a closed gate.
    pings: VecDeque<Job>,
    urgent: VecDeque<Job>,
    ordinary: VecDeque<Job>,
    /// Records with a delivery queued or in flight, and the later ones that wait for it.
    records: HashMap<i64, VecDeque<Job>>,
    waiting: usize,
    running: usize,
    /// In flight, or answered and not yet on disk.
    unrecorded: usize,
    window: Window,
    /// Claimed deliveries in memory, queued or in flight.
    leased: usize,
    rate: Rate,
    pub(super) gate: LaneGate,
    /// `owed` may hold something of this endpoint.
    pub(super) owes: bool,
    /// Counts what made it so.
    pub(super) owed_marks: u64,
    pub(super) moves: Moves,
    pub(super) enlisted: bool,
}

impl Lane {
    pub(super) fn new(app: AppKey) -> Self {
        Self {
            app,
            pings: VecDeque::new(),
            urgent: VecDeque::new(),
            ordinary: VecDeque::new(),
            records: HashMap::new(),
            waiting: 0,
            running: 0,
            unrecorded: 0,
            window: Window::default(),
            leased: 0,
            rate: Rate::UNLIMITED,
            gate: LaneGate::Open,
            owes: false,
            owed_marks: 0,
            moves: Moves::default(),
            enlisted: false,
        }
    }

    /// Why a fresh job can't be taken in, if so.
    pub(super) fn refuses(&self, job: &Job, fresh_max: usize) -> Option<OwedReason> {
        debug_assert_eq!(
            self.app, job.delivery.app,
            "an endpoint has one application"
        );
        if self.gate != LaneGate::Open && !job.is_ping() {
            return Some(OwedReason::Held);
        }
        if job.record.is_some() && self.owes {
            return Some(OwedReason::Turn);
        }
        (self.queued() >= fresh_max).then_some(OwedReason::Spilled)
    }

    pub(super) fn push(&mut self, job: Job) {
        self.leased += usize::from(!job.is_fresh());
        if let Some(record) = job.record {
            if let Some(followers) = self.records.get_mut(&record) {
                followers.push_back(job);
                self.waiting += 1;
                return;
            }
            self.records.insert(record, VecDeque::new());
        }
        self.queue(job);
    }

    fn queue(&mut self, job: Job) {
        if job.is_ping() {
            return self.pings.push_back(job);
        }
        match job.message.urgency {
            Urgency::Urgent => self.urgent.push_back(job),
            Urgency::Ordinary => self.ordinary.push_back(job),
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.pings.len() + self.urgent.len() + self.ordinary.len() + self.waiting
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }

    pub(super) fn leased(&self) -> usize {
        self.leased
    }

    pub(super) fn app(&self) -> AppKey {
        self.app
    }

    pub(super) fn could_send(&self) -> bool {
        let places = match self.gate {
            LaneGate::Open => self.window.places(),
            LaneGate::Probe => 1,
            LaneGate::Closed => 0,
        };
        let gated = self.running < places && !(self.urgent.is_empty() && self.ordinary.is_empty());
        gated || (self.running < places.max(1) && !self.pings.is_empty())
    }

    pub(super) fn throttled_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.rate.blocked_until(now)
    }

    pub(super) fn adopt(&mut self, terms: Terms) {
        self.rate.set(terms.interval);
        self.gate = terms.gate;
    }

    /// The next job, if this lane has fewer than `share` in flight.
    pub(super) fn take(&mut self, share: usize, now: Timestamp) -> Option<Job> {
        if self.running >= share || !self.could_send() {
            return None;
        }
        let job = self
            .pings
            .pop_front()
            .or_else(|| self.urgent.pop_front())
            .or_else(|| self.ordinary.pop_front())?;
        self.running += 1;
        self.unrecorded += 1;
        self.rate.take(now);
        Some(job)
    }

    pub(super) fn answered(&mut self, pace: Pace, most: usize) {
        self.running -= 1;
        self.window.adjust(pace, most);
    }

    pub(super) fn settled(&mut self, standing: Standing, record: Option<i64>) {
        self.unrecorded -= 1;
        self.unlease(standing);
        let Some(record) = record else {
            return;
        };
        let next = self.records.get_mut(&record).map(VecDeque::pop_front);
        match next {
            Some(Some(job)) => {
                self.waiting -= 1;
                self.queue(job);
            }
            Some(None) => {
                self.records.remove(&record);
            }
            None => {}
        }
    }

    pub(super) fn deferred(&mut self, standing: Standing) {
        self.unrecorded -= 1;
        self.unlease(standing);
    }

    fn unlease(&mut self, standing: Standing) {
        self.leased -= usize::from(standing != Standing::Fresh);
    }

    /// Ends the order of a record in memory; from here on the store keeps it.
    pub(super) fn take_followers(&mut self, record: i64) -> Vec<Job> {
        let jobs: Vec<_> = self.records.remove(&record).unwrap_or_default().into();
        self.waiting -= jobs.len();
        self.drop_leases(&jobs);
        jobs
    }

    pub(super) fn take_fresh_below(&mut self, seq: Seq) -> Vec<Job> {
        let old = |job: &Job| job.is_fresh() && job.delivery.seq < seq;
        let mut taken = Vec::new();
        for queue in [&mut self.pings, &mut self.urgent, &mut self.ordinary] {
            if queue.iter().any(old) {
                let (out, stay): (VecDeque<_>, _) = queue.drain(..).partition(old);
                *queue = stay;
                taken.extend(out);
            }
        }
        let records: Vec<_> = taken.iter().filter_map(|job| job.record).collect();
        for record in records {
            taken.extend(self.take_followers(record));
        }
        taken
    }

    pub(super) fn holds_record(&self, record: i64) -> bool {
        self.records.contains_key(&record)
    }

    pub(super) fn queues_any(&self, wanted: impl Fn(&Job) -> bool) -> bool {
        let followers = self.records.values().flatten();
        let queued = self.urgent.iter().chain(&self.ordinary);
        queued.chain(followers).any(wanted)
    }

    /// Everything that is not in flight, with what waits behind it.
    pub(super) fn take_all(&mut self) -> Vec<Job> {
        let pings: Vec<_> = self.pings.drain(..).collect();
        self.drop_leases(&pings);
        [pings, self.take_gated()].concat()
    }

    /// Everything that is not in flight, and also what waits behind that which is.
    pub(super) fn take_everything(&mut self) -> Vec<Job> {
        let mut jobs = self.take_all();
        let behind: Vec<_> = self.records.values_mut().flat_map(std::mem::take).collect();
        self.waiting -= behind.len();
        self.drop_leases(&behind);
        jobs.extend(behind);
        jobs
    }

    /// Whether something of it is in flight or on its way to disk.
    pub(super) fn is_busy(&self) -> bool {
        self.unrecorded > 0 || self.moves.are_under_way() || self.queued() > 0
    }

    /// Like [`Lane::take_all`], but for pings.
    pub(super) fn take_gated(&mut self) -> Vec<Job> {
        let mut jobs: Vec<_> = self
            .urgent
            .drain(..)
            .chain(self.ordinary.drain(..))
            .collect();
        self.drop_leases(&jobs);
        let heads: Vec<_> = jobs.iter().filter_map(|job| job.record).collect();
        for record in heads {
            jobs.extend(self.take_followers(record));
        }
        jobs
    }

    fn drop_leases(&mut self, jobs: &[Job]) {
        self.leased -= jobs.iter().filter(|job| !job.is_fresh()).count();
    }

    pub(super) fn note_owed(&mut self) {
        self.owes = true;
        self.owed_marks += 1;
    }

    pub(super) fn owes_nothing(&mut self) {
        self.owes = self.moves.are_under_way() || self.leased > 0;
    }

    pub(super) fn room(&self) -> usize {
        match self.gate {
            LaneGate::Closed => 0,
            LaneGate::Probe => 1usize.saturating_sub(self.running + self.queued()),
            LaneGate::Open => limit::CLAIM_PER_ENDPOINT_MAX.saturating_sub(self.queued()),
        }
    }

    pub(super) fn room_for_pings(&self) -> usize {
        match self.gate {
            LaneGate::Closed => limit::CLAIM_PER_ENDPOINT_MAX.saturating_sub(self.queued()),
            LaneGate::Probe | LaneGate::Open => 0,
        }
    }

    /// Nothing to remember but the window, which is soon learned again.
    pub(super) fn is_idle(&self) -> bool {
        self.queued() == 0
            && self.running == 0
            && self.records.is_empty()
            && self.leased == 0
            && !self.owes
            && !self.moves.are_under_way()
            && !self.enlisted
            && self.gate == LaneGate::Open
    }
}
