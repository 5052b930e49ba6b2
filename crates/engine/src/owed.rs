//! What is owed and due comes back into the lanes.
//!
//! For each endpoint that owes something, this node remembers when its earliest delivery is due:
//! memory grows with the endpoints in trouble, not with the backlog. [`tick`] claims what is due
//! for endpoints whose lanes have room; a timer and a wake-up start it, and it uses no data from
//! either.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AppKey, Claim, ClaimedDelivery, EndpointDue, EndpointKey, Life, OwedReason, PING_DUE_AT,
    ShardSet, Standing, StoreError, StoreResult, Wanted,
};

use crate::dispatch::{Dispatcher, Job};
use crate::health_watch;
use crate::inner::Inner;
use crate::timers::Timers;

/// Deliveries leased by one claim, over all endpoints.
const CLAIM_ROWS_MAX: usize = 512;

/// When which endpoint's deliveries are due.
#[derive(Default)]
pub(crate) struct OwedIndex {
    known: Mutex<Timers>,
    wake: Notify,
    /// How many endpoints were looked at last, most of which may have had no room.
    looked_at: AtomicUsize,
}

impl OwedIndex {
    /// Something of this endpoint is due then; `None` waits for its turn and needs no timer.
    pub(crate) fn note(&self, endpoint: EndpointKey, app: AppKey, due_at: Option<Timestamp>) {
        let Some(due_at) = due_at else {
            return;
        };
        self.known.lock().advance(endpoint, app, due_at);
        // Also if an earlier instant is known: it may have passed while the lane had no room or
        // its gate was closed, and nobody else would wake the loop for it.
        self.wake.notify_one();
    }

    /// Something of this endpoint can't be read: it is tried again after a while.
    fn set_aside(&self, endpoint: EndpointKey, app: AppKey, now: Timestamp) {
        self.known.lock().set(endpoint, app, now + UNREADABLE_REST);
    }

    /// A delivery of this endpoint was settled. A later one of its record may be due now; its lane
    /// may have room for what is due; or it may owe nothing any more.
    pub(crate) fn recheck(&self, job: &Job, dispatcher: &Dispatcher, now: Timestamp) {
        let (endpoint, app) = (job.delivery.endpoint, job.delivery.app);
        if dispatcher.wants_claim(job) {
            self.note(endpoint, app, Some(Timestamp::EPOCH));
        } else if dispatcher.room(endpoint) >= limit::CLAIM_PER_ENDPOINT_MAX / 2
            && self.known.lock().is_due(endpoint, now)
        {
            self.wake.notify_one();
        }
    }

    /// How long what is due longest has been due.
    pub(crate) fn overdue(&self, now: Timestamp) -> Duration {
        // An endpoint may be looked at without anything being due: it was asked for at the epoch.
        let first_at = self.known.lock().next_after(Timestamp::EPOCH);
        first_at.map_or(Duration::ZERO, |at| now.since(at))
    }

    /// These are another node's now.
    pub(crate) fn forget(&self, shards: ShardSet) {
        self.known.lock().forget(shards);
    }

    pub(crate) fn forget_all(&self) {
        self.forget(ShardSet::ALL);
    }

    async fn woken(&self) {
        self.wake.notified().await;
    }

    /// How long to rest before the next look. Each outcome may ask for one, and a look at ten thousand
    /// endpoints that are down takes milliseconds in which no lane moves.
    fn rest(&self) -> Duration {
        let looked_at = self.looked_at.load(Ordering::Relaxed);
        let looked_at = u32::try_from(looked_at).unwrap_or(u32::MAX);
        REST_PER_ENDPOINT.saturating_mul(looked_at).min(REST_MAX)
    }
}

/// Longest sleep: a jump of the wall clock is noticed within it.
const NAP: Duration = Duration::from_secs(1);
/// Rest after a look, for each endpoint that was looked at: several times what that takes.
const REST_PER_ENDPOINT: Duration = Duration::from_micros(1);
/// The timers know no less.
const REST_MIN: Duration = Duration::from_millis(1);
const REST_MAX: Duration = Duration::from_millis(100);
/// Rest after the store failed.
const FAULT_REST: Duration = Duration::from_millis(250);
/// Rest of an endpoint of which something can't be read: somebody may mend it meanwhile.
pub(crate) const UNREADABLE_REST: Duration = Duration::from_mins(1);

/// Runs [`tick`] whenever something may be due.
pub(crate) async fn due_loop(inner: Arc<Inner>) {
    loop {
        let rest = inner.owed.rest();
        if rest >= REST_MIN {
            tokio::time::sleep(rest).await;
        }
        let now = inner.clock.now();
        match tick_all(&inner, now).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "what is due was not claimed"
                );
                tokio::time::sleep(FAULT_REST).await;
            }
        }
        inner.pump();
        let wake_at = inner.shared.lock().dispatcher.next_wake_at();
        let due_at = inner.owed.known.lock().next_after(now);
        let next = [wake_at, due_at, inner.health.next_after(now)]
            .into_iter()
            .flatten()
            .min();
        let nap = next.map_or(NAP, |at| at.since(inner.clock.now()).min(NAP));
        // Late by up to a millisecond rather than early and awake twice.
        let nap = nap + Duration::from_millis(1);
        drop(tokio::time::timeout(nap, inner.owed.woken()).await);
    }
}

async fn tick_all(inner: &Arc<Inner>, now: Timestamp) -> StoreResult<bool> {
    let ticked = health_watch::tick(inner, now).await?;
    Ok(tick(inner, now).await? || ticked)
}

/// Claims what is due for endpoints with room, and hands it to the lanes. Returns whether it
/// claimed anything.
pub(crate) async fn tick(inner: &Arc<Inner>, now: Timestamp) -> StoreResult<bool> {
    let _claiming = inner.claiming.lock().await;
    let asked = asked(inner, now);
    let any = match take(inner, &asked, now).await {
        Err(StoreError::Inconsistent { .. }) => take_one_by_one(inner, &asked, now).await?,
        taken => taken?,
    };
    inner.pump();
    Ok(any)
}

/// An endpoint that is asked for.
#[derive(Clone, Copy)]
struct Asked {
    wanted: Wanted,
    app: AppKey,
    /// How often it had become owing by then.
    marks: u64,
}

async fn take(inner: &Arc<Inner>, asked: &[Asked], now: Timestamp) -> StoreResult<bool> {
    if asked.is_empty() {
        return Ok(false);
    }
    // Forgotten before the claim, so that what becomes due meanwhile is not lost.
    {
        let mut known = inner.owed.known.lock();
        for asked in asked {
            known.clear(asked.wanted.endpoint);
        }
    }
    let life = inner.life();
    let lease_until = now + limit::LEASE;
    let claim = Claim {
        life: (*life).clone(),
        now,
        lease_until,
        wanted: asked.iter().map(|asked| asked.wanted).collect(),
    };
    let claimed = inner.store.claim(claim).await;
    let claimed = inner.mind(&life, claimed).inspect_err(|error| {
        inner.metrics.store_failed(error);
        for asked in asked {
            let endpoint = asked.wanted.endpoint;
            inner.owed.note(endpoint, asked.app, Some(now));
        }
    })?;
    after_what_is_committed(inner, &claimed.deliveries).await;
    let any = !claimed.deliveries.is_empty();
    for claimed in claimed.deliveries {
        enqueue(inner, (&life, lease_until), claimed).await;
    }
    for asked in asked {
        if let Some(due) = claimed.endpoints.get(&asked.wanted.endpoint) {
            note_rest(inner, *due, asked.marks);
        }
    }
    Ok(any)
}

/// A row that can't be read stops its own endpoint, and no other.
async fn take_one_by_one(inner: &Arc<Inner>, asked: &[Asked], now: Timestamp) -> StoreResult<bool> {
    let mut any = false;
    for asked in asked {
        match take(inner, std::slice::from_ref(asked), now).await {
            Ok(taken) => any |= taken,
            Err(error @ StoreError::Inconsistent { .. }) => {
                let endpoint = asked.wanted.endpoint;
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    endpoint = endpoint.0,
                    "nothing that is owed to this endpoint can be sent"
                );
                inner.owed.set_aside(endpoint, asked.app, now);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(any)
}

/// Waits for the commit that is under way, if a record has both a message in it and a delivery that
/// was claimed.
///
/// The claimed one was accepted by another node. A commit that hangs may have reached the disk, and
/// whoever posted that message may have learned so at the other node and gone on there: then the
/// claimed one is the later of the two. A commit that begins only now finds the claimed one owed.
async fn after_what_is_committed(inner: &Inner, claimed: &[ClaimedDelivery]) {
    let meets = {
        let committing = inner.committing.lock();
        claimed.iter().any(|claimed| {
            let record = claimed.record;
            record.is_some_and(|record| committing.contains(&(claimed.delivery.endpoint, record)))
        })
    };
    if meets {
        drop(inner.appending.lock().await);
    }
}

/// Endpoints that are due and have room, each with how much, within the bounds of one claim.
fn asked(inner: &Inner, now: Timestamp) -> Vec<Asked> {
    let due = inner.owed.known.lock().due(now);
    inner.owed.looked_at.store(due.len(), Ordering::Relaxed);
    let mut shared = inner.shared.lock();
    if !shared.station.may_start(Instant::now()) {
        return Vec::new();
    }
    let mut left = CLAIM_ROWS_MAX;
    let mut asked = Vec::new();
    for (endpoint, app) in due {
        if !shared.station.makes(endpoint) {
            inner.owed.known.lock().clear(endpoint);
            continue;
        }
        let wanted = takes(inner, &shared.dispatcher, endpoint, left);
        if wanted.limit > 0 {
            left -= wanted.limit;
            let marks = shared.dispatcher.asked(endpoint);
            asked.push(Asked { wanted, app, marks });
        }
        if left == 0 || asked.len() == limit::CLAIM_ENDPOINTS_MAX {
            break;
        }
    }
    asked
}

/// What an endpoint can take now. One whose gate is closed takes pings, and is asked for them only
/// where one may be owed.
fn takes(inner: &Inner, dispatcher: &Dispatcher, endpoint: EndpointKey, left: usize) -> Wanted {
    let room = dispatcher.room(endpoint).min(left);
    let pings = dispatcher.room_for_pings(endpoint).min(left);
    if room == 0 && pings > 0 && inner.owed.known.lock().is_due(endpoint, PING_DUE_AT) {
        return Wanted::pings(endpoint, pings);
    }
    Wanted::any(endpoint, room)
}

/// Puts a claimed delivery into its lane. If something of its record was on its way into `owed` when
/// the store was asked, or since, that may be an earlier one: then it goes back and is claimed anew,
/// so that it does not overtake.
async fn enqueue(
    inner: &Arc<Inner>,
    (life, lease_until): (&Life, Timestamp),
    claimed: ClaimedDelivery,
) {
    let delivery = claimed.delivery;
    let endpoint = inner
        .catalog
        .endpoint(delivery.app, delivery.endpoint)
        .await;
    let endpoint = endpoint.ok().flatten();
    let job = Job {
        delivery,
        standing: Standing::Leased(claimed.token),
        claimed_until: Some(lease_until),
        message: claimed.message,
        series: claimed.series,
        record: claimed.record,
    };
    let mut shared = inner.shared.lock();
    if *shared.station.life != *life {
        // Its claims ended with the life.
        return;
    }
    let held = shared.station.held;
    let terms = endpoint.map(|endpoint| endpoint.terms(inner.clock.now(), held));
    let is_preceded = shared.dispatcher.is_preceded(&job);
    shared
        .dispatcher
        .still_owes(delivery.endpoint, delivery.app);
    if is_preceded {
        let now = inner.clock.now();
        inner.spill(&mut shared, job, OwedReason::Turn, now);
        return;
    }
    inner.push_leased(&mut shared, job, terms);
}

fn note_rest(inner: &Inner, due: EndpointDue, marks: u64) {
    match due.due_at {
        Some(at) => inner.owed.note(due.endpoint, due.app, Some(at)),
        None if !due.owes => {
            let mut shared = inner.shared.lock();
            shared.dispatcher.owes_nothing(due.endpoint, marks);
        }
        None => {}
    }
}
