//! Nodes that come, go, and are taken over: epochs, fencing, burial.

use std::sync::Arc;
use std::time::Duration;

use super::world::{LEASE, World, at, beat, live};
use crate::{
    Beat, Claim, ClaimedDelivery, Life, Load, NodeId, OwedReason, Recorded, Seq, ShardSet, Store,
    StoreError, StoreResult, TaskKind, TaskState, TaskStep, Wanted, Write,
};

const LONG: Duration = Duration::from_hours(1);

async fn two(world: &World) -> World {
    World {
        life: live(&world.store, "two", LONG).await,
        ..world.clone()
    }
}

/// A world whose node is taken for dead at once.
async fn doomed(store: Arc<dyn Store>, endpoints: usize) -> World {
    let world = World::with_endpoints(store, endpoints).await;
    let beaten = world.store.beat(&world.life, beat(Duration::ZERO)).await;
    beaten.expect("its lease ends at once");
    world
}

async fn undertake(world: &World) -> Option<Life> {
    let undertaken = world.store.undertake(&world.life, at(0)).await;
    undertaken.expect("look for the dead")
}

fn is_fenced<T: std::fmt::Debug>(result: &StoreResult<T>) -> bool {
    matches!(result, Err(StoreError::Fenced))
}

/// Everything a life can write is refused.
async fn assert_fenced(world: &World, life: &Life, claimed: &ClaimedDelivery) {
    let store = &world.store;
    let endpoint = world.endpoints[0];
    let appended = store.append(life, vec![world.message()]).await;
    assert!(is_fenced(&appended), "{appended:?}");
    let attempt = Arc::new(world.leased(claimed, world.delivered()));
    let recorded = store
        .record(life, at(0), vec![Write::Attempt(attempt)])
        .await;
    assert!(is_fenced(&recorded), "{recorded:?}");
    let claim = Claim {
        life: life.clone(),
        now: at(0),
        lease_until: at(0) + LEASE,
        wanted: vec![Wanted::any(endpoint, 9)],
    };
    let claimed = store.claim(claim).await;
    assert!(is_fenced(&claimed), "{claimed:?}");
    let moved = store.move_checkpoint(life, Seq(9)).await;
    assert!(is_fenced(&moved), "{moved:?}");
    let read = store.checkpoint(life).await;
    assert!(is_fenced(&read), "{read:?}");
    let read = store.unfinished(life, Seq(0), 9).await;
    assert!(is_fenced(&read), "{read:?}");
    let beaten = store.beat(life, beat(LONG)).await;
    assert!(is_fenced(&beaten), "{beaten:?}");
    let taken = store.take_shards(life, 1).await;
    assert!(is_fenced(&taken), "{taken:?}");
    let given = store.give_back(life, ShardSet::ALL).await;
    assert!(is_fenced(&given), "{given:?}");
    let arrivals = store.take_arrivals(life, 1).await;
    assert!(is_fenced(&arrivals), "{arrivals:?}");
    let undertaken = store.undertake(life, at(0)).await;
    assert!(is_fenced(&undertaken), "{undertaken:?}");
    let buried = store.bury(life).await;
    assert!(is_fenced(&buried), "{buried:?}");
}

async fn claimed(world: &World) -> ClaimedDelivery {
    let seq = world.accept(world.message()).await;
    let endpoint = world.endpoints[0];
    let owed = world.owed(endpoint, seq, Some(at(0)));
    assert_eq!(world.spill(at(0), owed).await, Recorded::Done);
    world.claim_one(endpoint, at(0)).await
}

pub async fn each_life_has_a_larger_epoch(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let others = live(&world.store, "two", LONG).await;
    let again = live(&world.store, "one", LONG).await;
    assert!(world.life.epoch < others.epoch, "{others:?}");
    assert!(others.epoch < again.epoch, "{again:?}");
}

pub async fn a_life_goes_on_where_it_was(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let moved = world.store.move_checkpoint(&world.life, Seq(9)).await;
    moved.expect("move it");
    let joined = world.store.join(&world.life.node, beat(LONG)).await;
    let joined = joined.expect("join");
    assert_eq!(joined.shards, ShardSet::ALL, "nobody has taken them");
    let checkpoint = world.store.checkpoint(&joined.life).await;
    assert_eq!(checkpoint.expect("read it"), Seq(9));
}

pub async fn a_new_life_begins_above_what_is_stored(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let last = world.accept_many(3).await[2];
    let life = live(&world.store, "two", LONG).await;
    let checkpoint = world.store.checkpoint(&life).await;
    assert_eq!(checkpoint.expect("read it"), last);
}

pub async fn an_earlier_life_is_fenced_off(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let claimed = claimed(&world).await;
    let before = world.life.clone();
    let again = World {
        life: live(&world.store, "one", LONG).await,
        ..world
    };
    assert_fenced(&again, &before, &claimed).await;
    let beaten = again.store.beat(&again.life, beat(LONG)).await;
    beaten.expect("the living one beats");
    let stranger = Life {
        node: NodeId("stranger".to_owned()),
        ..again.life.clone()
    };
    assert_fenced(&again, &stranger, &claimed).await;
}

pub async fn a_fenced_step_of_a_task_is_not_done(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let task = super::tasks::task(&world, TaskKind::Recover, 60);
    super::tasks::create(&world, &task).await;
    let before = world.life.clone();
    live(&world.store, "one", LONG).await;
    let step = TaskStep {
        task: task.clone(),
        writes: Vec::new(),
        cursor: None,
        looked: 0,
        report: None,
        state: TaskState::Finished,
    };
    let advanced = world.store.advance_task(&before, at(0), step).await;
    assert!(is_fenced(&advanced), "{advanced:?}");
    let found = world.store.task(&task.org, task.id).await;
    assert_eq!(found.expect("read it"), Some(task));
}

pub async fn the_living_are_not_undertaken(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let two = two(&world).await;
    assert_eq!(undertake(&two).await, None);
    assert_eq!(undertake(&world).await, None);
}

pub async fn a_lease_that_has_ended_can_be_extended(store: Arc<dyn Store>) {
    let world = doomed(store, 0).await;
    let beaten = world.store.beat(&world.life, beat(LONG)).await;
    beaten.expect("nobody has taken over");
    assert_eq!(undertake(&two(&world).await).await, None);
}

pub async fn a_dead_life_is_fenced_off_and_its_claims_end(store: Arc<dyn Store>) {
    let world = doomed(store, 1).await;
    let claimed = claimed(&world).await;
    let two = two(&world).await;
    let dead = undertake(&two).await.expect("one has died");
    assert_eq!(dead.node, world.life.node);
    assert_fenced(&world, &world.life, &claimed).await;
    let held = two.store.take_shards(&two.life, 256).await;
    assert_eq!(held.expect("ask"), ShardSet::NONE, "it is not buried yet");
    two.store.bury(&dead).await.expect("bury it");
    let held = two.store.take_shards(&two.life, 256).await;
    assert_eq!(held.expect("ask"), ShardSet::ALL);
    let again = two.claim_one(world.endpoints[0], at(0)).await;
    assert_eq!(again.delivery, claimed.delivery, "its claim has ended");
}

pub async fn what_a_dead_life_left_is_spilled_in_its_name(store: Arc<dyn Store>) {
    let world = doomed(store, 2).await;
    let [settled, fresh] = world.endpoints[..] else {
        unreachable!("two endpoints");
    };
    let seq = world.accept(world.message()).await;
    world.deliver(settled, seq).await;
    let two = two(&world).await;
    let life = undertake(&two).await.expect("one has died");
    let grave = World {
        life,
        ..world.clone()
    };
    assert_eq!(grave.unfinished().await, [(seq, vec![fresh])]);
    let owed = grave.owed(fresh, seq, Some(at(0)));
    assert_eq!(grave.spill(at(0), owed).await, Recorded::Done);
    assert_eq!(grave.unfinished().await, []);
    let moved = grave.store.move_checkpoint(&grave.life, seq).await;
    moved.expect("move it");
    grave.store.bury(&grave.life).await.expect("bury it");
    two.store.take_shards(&two.life, 256).await.expect("take");
    let owing = two.store.endpoints_owing(ShardSet::ALL, None, 9).await;
    assert_eq!(owing.expect("read them").len(), 1);
    assert_eq!(two.claim_one(fresh, at(0)).await.delivery.seq, seq);
    assert_eq!(undertake(&two).await, None, "it is done");
}

pub async fn an_undertaker_goes_on_with_its_work(store: Arc<dyn Store>) {
    let world = doomed(store, 0).await;
    let two = two(&world).await;
    let first = undertake(&two).await.expect("one has died");
    let again = undertake(&two).await.expect("it is not buried");
    assert_eq!(first.node, again.node);
    let buried = two.store.bury(&first).await;
    assert!(is_fenced(&buried), "it has a newer epoch: {buried:?}");
    two.store.bury(&again).await.expect("bury it");
    assert_eq!(undertake(&two).await, None);
}

pub async fn an_undertaker_that_dies_is_replaced(store: Arc<dyn Store>) {
    let world = doomed(store, 1).await;
    let two = World {
        life: live(&world.store, "two", Duration::ZERO).await,
        ..world.clone()
    };
    let under_two = undertake(&two).await.expect("one has died");
    let three = World {
        life: live(&world.store, "three", LONG).await,
        ..world.clone()
    };
    let mut found = Vec::new();
    while let Some(dead) = undertake(&three).await {
        found.push(dead.node.0.clone());
        three.store.bury(&dead).await.expect("bury it");
    }
    found.sort();
    assert_eq!(found, ["one", "two"]);
    let seq = three.accept(three.message()).await;
    let spill = Write::Spill(three.owed(three.endpoints[0], seq, Some(at(0))));
    let late = three.store.record(&under_two, at(0), vec![spill]).await;
    assert!(is_fenced(&late), "{late:?}");
}

pub async fn a_node_comes_back_while_it_is_buried(store: Arc<dyn Store>) {
    let world = doomed(store, 1).await;
    let left = world.accept(world.message()).await;
    let two = two(&world).await;
    let dead = undertake(&two).await.expect("one has died");
    let joined = world.store.join(&world.life.node, beat(LONG)).await;
    let joined = joined.expect("join");
    assert_eq!(joined.shards, ShardSet::NONE);
    let back = World {
        life: joined.life,
        ..world.clone()
    };
    let own = back.accept(back.message()).await;
    let checkpoint = back.store.checkpoint(&back.life).await.expect("read it");
    assert_eq!(checkpoint, left, "what it left before is not its own");
    let old = World {
        life: dead.clone(),
        ..world.clone()
    };
    assert_eq!(old.unfinished().await, [(left, world.endpoints.clone())]);
    two.store.bury(&dead).await.expect("bury it");
    let above = back.store.unfinished(&back.life, checkpoint, 9).await;
    let (unfinished, _) = above.expect("read them");
    assert_eq!(unfinished.len(), 1);
    assert_eq!(unfinished[0].stored.seq, own);
}

pub async fn who_leaves_frees_its_shards(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let two = two(&world).await;
    world.store.leave(&world.life).await.expect("leave");
    world.store.leave(&world.life).await.expect("no fault");
    let taken = two.store.take_shards(&two.life, 256).await;
    assert_eq!(taken.expect("take"), ShardSet::ALL);
    assert_eq!(undertake(&two).await, None, "nothing is left to do");
    let members = two.store.members().await.expect("read them").members;
    assert_eq!(members.len(), 1);
}

pub async fn places_are_not_given_again_after_everybody_left(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 0).await;
    let last = world.accept(world.message()).await;
    world.store.leave(&world.life).await.expect("leave");
    let life = live(&world.store, "one", LONG).await;
    let back = World { life, ..world };
    assert!(back.accept(back.message()).await > last);
}

pub async fn members_say_how_they_are(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let two = live(&world.store, "two", LONG).await;
    let load = Load {
        in_flight: 3,
        queued: 4,
        lag: 5,
    };
    let now = world.store.beat(
        &two,
        Beat {
            load,
            ..beat(Duration::ZERO)
        },
    );
    let now = now.await.expect("beat");
    let seq = world.accept(world.message()).await;
    let members = world.store.members().await.expect("read them");
    assert_eq!(members.newest, seq);
    assert!(members.now >= now);
    let [one, other] = &members.members[..] else {
        panic!("two have joined: {members:?}");
    };
    assert_eq!((&one.life, &other.life), (&world.life, &two));
    assert_eq!((one.shards, other.shards), (ShardSet::ALL, ShardSet::NONE));
    assert_eq!((one.load, other.load), (Load::default(), load));
    assert_eq!((one.dying, other.dying), (false, false));
    assert_eq!(other.version, "1.2.3");
    assert!(one.lease_until > members.now, "{one:?}");
    assert!(other.lease_until <= members.now, "{other:?}");
    let dead = undertake(&world).await.expect("the lease of two has ended");
    let members = world.store.members().await.expect("read them").members;
    assert!(
        members
            .iter()
            .any(|member| member.dying && member.life == dead)
    );
}

pub async fn a_late_write_of_a_dead_life_leaves_nothing(store: Arc<dyn Store>) {
    let world = doomed(store, 1).await;
    let endpoint = world.endpoints[0];
    let seq = world.accept(world.message()).await;
    let two = two(&world).await;
    let dead = undertake(&two).await.expect("one has died");
    let late = world.fresh(endpoint, seq, world.delivered());
    let late = Write::Attempt(Arc::new(late));
    let recorded = world.store.record(&world.life, at(0), vec![late]).await;
    assert!(is_fenced(&recorded), "{recorded:?}");
    let spill = Write::Spill(crate::NewOwed {
        reason: OwedReason::Spilled,
        ..world.owed(endpoint, seq, Some(at(0)))
    });
    let spilled = two.store.record(&dead, at(0), vec![spill]).await;
    assert_eq!(spilled.expect("its undertaker writes"), [Recorded::Done]);
    two.store.bury(&dead).await.expect("bury it");
    two.store.take_shards(&two.life, 256).await.expect("take");
    assert_eq!(two.claim_one(endpoint, at(0)).await.delivery.seq, seq);
}
