//! Joining, beating, and a round of housekeeping after each beat: bury the dead, even out the
//! shards. A node that was fenced off begins again, in place.

use std::sync::Arc;

use tokio::time::{Instant, sleep, timeout};
use watchfire_domain::limit;
use watchfire_store::{
    Beat, Joined, Life, Load, Member, Members, NodeId, ShardSet, StoreError, StoreResult,
};

use super::handover::{hand_over, learn_what_was_taken, take_over};
use super::{Company, Rhythm, Station, VERSION, burial};
use crate::dispatch::{Dispatcher, FreshMarks};
use crate::inner::Inner;
use crate::recover;

/// Joins, takes up what an earlier life of this node left, and takes a share of the shards.
/// Returns how many deliveries are fresh again.
pub(crate) async fn begin(inner: &Arc<Inner>) -> StoreResult<usize> {
    let rhythm = match inner.config.company {
        Company::Alone => return begin_alone(inner).await,
        Company::Others(rhythm) => rhythm,
    };
    let fresh = join(inner, rhythm, inner.config.node.clone()).await?;
    round(inner, rhythm).await?;
    Ok(fresh)
}

/// The store is this process's own: what an earlier one left is fresh again.
async fn begin_alone(inner: &Arc<Inner>) -> StoreResult<usize> {
    let beat = Beat {
        now: inner.clock.now(),
        lease: limit::NODE_LEASE,
        version: VERSION.to_owned(),
        load: Load::default(),
    };
    let joined = inner.store.join(&inner.config.node, beat).await?;
    let taken = inner.store.take_shards(&joined.life, limit::SHARDS).await?;
    if joined.shards.with(taken) != ShardSet::ALL {
        tracing::error!("another node holds a part of this store; its endpoints are not sent to");
    }
    inner.shared.lock().station = Station::alone(joined.life);
    recover::recover(inner).await
}

/// Begins a life. What an earlier one of this node left and nobody has taken is its own again.
///
/// Nothing is claimed or accepted before that is in the lanes: it would overtake.
async fn join(inner: &Arc<Inner>, rhythm: Rhythm, node: NodeId) -> StoreResult<usize> {
    let _claiming = inner.claiming.lock().await;
    let _appending = inner.appending.lock().await;
    let before = Instant::now();
    // Noted before anything is read: what is read later is as new or newer.
    let changes = inner.store.newest_change().await?;
    let beat = inner.sign_of_life(rhythm);
    inner.shared.lock().station.ask_to_join();
    let Joined { life, shards, .. } = inner.store.join(&node, beat).await?;
    let checkpoint = inner.store.checkpoint(&life).await?;
    tracing::info!(node = %life.node.0, epoch = life.epoch.0, shards = shards.len(), "joined");
    {
        let mut shared = inner.shared.lock();
        shared.station = Station::among(life, shards, before + rhythm.usable());
        shared.dispatcher = Dispatcher::new(inner.config.bounds);
        shared.fresh = FreshMarks::above(checkpoint);
    }
    inner.owed.forget_all();
    inner.health.forget_all();
    inner.catalog.forget_all();
    inner.keyring.forget_all();
    inner.revocations.forget();
    *inner.changes_seen.lock() = changes;
    let recovered = recover::recover(inner).await;
    if recovered.is_err() {
        // A life that does not know what it left would never send it: it ends, and another begins.
        inner.shared.lock().station.lapse();
    }
    recovered
}

/// Says that this node is alive, over and over.
pub(crate) async fn beat_loop(inner: Arc<Inner>, rhythm: Rhythm) {
    loop {
        sleep(rhythm.beat).await;
        while !beat(&inner, rhythm).await {
            sleep(rhythm.beat / BEATS_AGAIN_AFTER).await;
        }
    }
}

/// A beat that the store did not take is tried again after this part of the time between two.
const BEATS_AGAIN_AFTER: u32 = 5;
/// A beat that takes longer than this part of the lease is given up: another connection may lead
/// somewhere.
const BEAT_OF_LEASE: u32 = 5;

/// Extends the lease, counted from before it was asked for. Returns whether the store took it.
pub(crate) async fn beat(inner: &Arc<Inner>, rhythm: Rhythm) -> bool {
    let life = inner.life();
    let before = Instant::now();
    let beating = inner.store.beat(&life, inner.sign_of_life(rhythm));
    match timeout(rhythm.lease / BEAT_OF_LEASE, beating).await {
        Ok(Ok(_)) => {
            let mut shared = inner.shared.lock();
            if shared.station.life.epoch == life.epoch {
                shared.station.extend(before + rhythm.usable(), rhythm);
            }
            drop(shared);
            inner.pump();
            return true;
        }
        Ok(Err(StoreError::Fenced)) => inner.fenced(&life),
        Ok(Err(error)) => report(&error, "the node's lease was not extended"),
        Err(_elapsed) => tracing::warn!("the node's lease was not extended in time"),
    }
    false
}

/// Keeps house after each beat, and begins again when the life has ended.
pub(crate) async fn membership_loop(inner: Arc<Inner>, rhythm: Rhythm) {
    loop {
        // A hint that comes a moment too early is kept.
        let fenced = timeout(rhythm.beat, inner.fence_seen.notified()).await;
        if inner.is_stopping() {
            return;
        }
        let done = if fenced.is_ok() {
            // What an ended life wrote late may have been refused after the next had begun.
            if !inner.shared.lock().station.has_lapsed() {
                continue;
            }
            begin_again(&inner, rhythm).await
        } else {
            let life = inner.life();
            let done = round(&inner, rhythm).await;
            inner.mind(&life, done)
        };
        if let Err(error) = done {
            report(&error, "this node keeps no house");
        }
    }
}

/// One round: takes over from the dead, then evens out the shards.
pub(crate) async fn round(inner: &Arc<Inner>, rhythm: Rhythm) -> StoreResult<()> {
    if inner.shared.lock().station.may_judge_others(rhythm) {
        burial::bury_the_dead(inner).await?;
    }
    learn_what_was_taken(inner).await?;
    let members = inner.store.members().await?;
    inner.rest_at(members.newest);
    let (held, leaving) = {
        let shared = inner.shared.lock();
        (shared.station.held, shared.station.leaving)
    };
    let share = fair_share(&members);
    if held.len() < share && leaving.is_empty() {
        take_over(inner, share - held.len()).await?;
    } else if held.len() > share && leaving.is_empty() {
        let surplus = every_so_often(held, held.len() - share);
        drop(tokio::spawn(hand_over(Arc::clone(inner), surplus, rhythm)));
    }
    Ok(())
}

/// So many of the shards, spread evenly over them: keys are given in a row, so neighbours are often
/// the endpoints of one customer.
fn every_so_often(shards: ShardSet, count: usize) -> ShardSet {
    let all = shards.len();
    let is_next = |place: usize| (place + 1) * count / all > place * count / all;
    let places = shards.iter().enumerate();
    places
        .filter(|(place, _)| is_next(*place))
        .map(|(_, shard)| shard)
        .collect()
}

/// As many shards as each would hold if all held the same, rounded up.
fn fair_share(members: &Members) -> usize {
    let living = members
        .members
        .iter()
        .filter(|member| lives(member, members));
    limit::SHARDS.div_ceil(living.count().max(1))
}

fn lives(member: &Member, members: &Members) -> bool {
    !member.dying && member.lease_until > members.now
}

/// This node's life was ended by another: it drops what it has in memory, which is the
/// undertaker's now, and begins a new one.
async fn begin_again(inner: &Arc<Inner>, rhythm: Rhythm) -> StoreResult<()> {
    let before = inner.life();
    tracing::warn!(
        node = %before.node.0,
        epoch = before.epoch.0,
        "another node has taken over what this one held; it joins again"
    );
    let begun = begin_as_free_name(inner, rhythm, &before).await;
    if begun.is_err() {
        // The life is still the one that has ended, so nobody else will say so.
        sleep(rhythm.beat.min(rhythm.lease / 10)).await;
        inner.fence_seen.notify_one();
    }
    begun
}

async fn begin_as_free_name(inner: &Arc<Inner>, rhythm: Rhythm, before: &Life) -> StoreResult<()> {
    let members = inner.store.members().await?;
    let is_taken = |member: &Member| {
        member.life.node == before.node
            && member.life.epoch != before.epoch
            && lives(member, &members)
    };
    let mut node = before.node.clone();
    // Its own, if an answer got lost; and if it is another server's after all, that one will see a
    // life under its name that is not its own, and go on under another.
    let may_be_its_own = inner.shared.lock().station.has_asked_to_join();
    if !may_be_its_own && members.members.iter().any(is_taken) {
        node = NodeId(format!("{}-{}", inner.config.node.0, before.epoch.0));
        tracing::error!(
            name = %before.node.0,
            "another server runs under the same name; this one goes on under another"
        );
    }
    join(inner, rhythm, node).await?;
    round(inner, rhythm).await?;
    inner.pump();
    Ok(())
}

/// The last step of a clean stop. If anything is left, the others are told not to wait for the
/// lease to end.
pub(crate) async fn leave(inner: &Arc<Inner>) {
    let Some(rhythm) = inner.rhythm() else { return };
    let (life, is_done) = {
        let mut shared = inner.shared.lock();
        let nothing_fresh = shared.fresh.is_empty();
        let nothing_runs = shared.dispatcher.in_flight() == 0;
        (
            Arc::clone(&shared.station.life),
            nothing_fresh && nothing_runs,
        )
    };
    let left = if is_done {
        inner.store.leave(&life).await
    } else {
        let last = Beat {
            lease: std::time::Duration::ZERO,
            ..inner.sign_of_life(rhythm)
        };
        inner.store.beat(&life, last).await.map(drop)
    };
    if let Err(error) = left {
        report(&error, "this node did not say that it leaves");
    }
}

pub(super) fn report(error: &StoreError, what: &'static str) {
    tracing::warn!(error = error as &dyn std::error::Error, "{what}");
}

#[cfg(test)]
mod tests {
    use watchfire_store::Shard;

    use super::*;

    #[test]
    fn what_is_handed_over_is_spread_evenly() {
        let half = every_so_often(ShardSet::ALL, 128);
        let odd: ShardSet = ShardSet::ALL
            .iter()
            .filter(|shard| shard.0 % 2 == 1)
            .collect();
        assert_eq!(half, odd);
        for count in [0, 1, 42, 100, 256] {
            assert_eq!(every_so_often(ShardSet::ALL, count).len(), count);
        }
        let few: ShardSet = [Shard(3), Shard(9)].into_iter().collect();
        assert_eq!(every_so_often(few, 2), few);
    }
}
