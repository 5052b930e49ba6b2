//! Background tasks: the steps that do their work.

use std::sync::Arc;
use std::time::Duration;

use watchfire_domain::attempt::{AfterAttempt, Attempt, Settlement, Trigger};
use watchfire_domain::id::{AttemptId, MessageId, OrganizationId};
use watchfire_domain::limit;
use watchfire_domain::outcome::{Outcome, SkipReason};

use super::history::messages;
use super::tasks::{advance, asked, create, exhaust, found, last_step, places, read, task, whole};
use super::world::{World, at, name, settled};
use crate::{
    Advanced, ApplyError, Change, Conflict, DeliveryStatus, MessageRef, NewOwed, PruneOrder,
    ReportPart, Retention, Retentions, Seq, Steering, Store, Subject, TaskKind, TaskState,
    TaskStep, TaskWrite,
};

fn cancelled(world: &World) -> Box<Attempt> {
    let skipped = Outcome::Skipped {
        reason: SkipReason::Cancelled,
    };
    Box::new(world.attempt(skipped, settled(Settlement::Cancelled)))
}

pub async fn a_step_makes_deliveries_and_moves_on_together(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let ids: Vec<(MessageId, Seq)> = messages(&world, 2).await;
    for (_, seq) in &ids {
        exhaust(&world, *seq).await;
    }
    let created = task(&world, TaskKind::Recover, 10);
    create(&world, &created).await;
    let step = TaskStep {
        task: created.clone(),
        writes: vec![TaskWrite::Send(asked(&world, ids[0].1))],
        cursor: Some(ids[0].0.ksuid()),
        looked: 1,
        report: None,
        state: TaskState::Running,
    };
    assert_eq!(advance(&world, step).await, Advanced::Done(1));
    let after = read(&world, created.id).await;
    assert_eq!(after.progress.cursor, Some(ids[0].0.ksuid()));
    assert_eq!((after.progress.looked, after.progress.done), (1, 1));
    assert_eq!(after.updated_at, at(60));
    assert_eq!(
        world.status(world.endpoints[0], ids[0].1).await,
        DeliveryStatus::Pending
    );
    let rest = found(&world, &after).await;
    assert_eq!(places(&rest), [ids[1].1]);
    let claimed = world.claim_one(world.endpoints[0], at(60)).await;
    assert_eq!(claimed.series.trigger, Trigger::Manual);
}

pub async fn a_step_is_done_once(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let ids = messages(&world, 1).await;
    exhaust(&world, ids[0].1).await;
    let created = task(&world, TaskKind::Recover, 10);
    create(&world, &created).await;
    let step = TaskStep {
        cursor: Some(ids[0].0.ksuid()),
        state: TaskState::Running,
        ..last_step(&created, vec![TaskWrite::Send(asked(&world, ids[0].1))])
    };
    assert_eq!(advance(&world, step.clone()).await, Advanced::Done(1));
    assert_eq!(advance(&world, step).await, Advanced::Stale);
    assert_eq!(read(&world, created.id).await.progress.done, 1);
}

pub async fn a_delivery_that_moved_on_is_left_alone(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seqs = world.accept_many(2).await;
    let created = task(&world, TaskKind::Recover, 10);
    create(&world, &created).await;
    exhaust(&world, seqs[0]).await;
    exhaust(&world, seqs[1]).await;
    // Between the look and the step, a person asks for one, and the other is delivered.
    world.spill(at(8), asked(&world, seqs[0])).await;
    let delivered = Attempt {
        id: AttemptId::new(at(9), &*world.chance),
        ..world.delivered()
    };
    let delivered = world.fresh(world.endpoints[0], seqs[1], delivered);
    world.record_attempt(at(9), delivered).await;
    let writes = [seqs[0], seqs[1], Seq(999)];
    let writes = writes
        .map(|seq| TaskWrite::Send(asked(&world, seq)))
        .to_vec();
    let step = last_step(&created, writes);
    assert_eq!(advance(&world, step).await, Advanced::Done(0));
    assert_eq!(read(&world, created.id).await.state, TaskState::Finished);
}

pub async fn a_message_without_its_payload_is_left_out(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seqs = world.accept_many(1).await;
    exhaust(&world, seqs[0]).await;
    let expunged = world.store.expunge_payloads(world.app, vec![seqs[0]]).await;
    expunged.expect("expunge it");
    let created = task(&world, TaskKind::Recover, 10);
    create(&world, &created).await;
    let step = last_step(&created, vec![TaskWrite::Send(asked(&world, seqs[0]))]);
    assert_eq!(advance(&world, step).await, Advanced::Done(0));
    assert_eq!(
        world.status(world.endpoints[0], seqs[0]).await,
        DeliveryStatus::Failed
    );
}

pub async fn a_cancelled_delivery_is_settled_and_wakes_the_next(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seqs = world.accept_many(2).await;
    let endpoint = world.endpoints[0];
    for seq in &seqs {
        let keyed = NewOwed {
            record: Some(1),
            ..world.owed(endpoint, *seq, Some(at(5)))
        };
        world.spill(at(5), keyed).await;
    }
    let created = task(&world, TaskKind::CancelMessages, 10);
    create(&world, &created).await;
    let cancel = TaskWrite::Cancel {
        delivery: world.delivery(endpoint, seqs[0]),
        attempt: cancelled(&world),
    };
    let step = last_step(&created, vec![cancel]);
    assert_eq!(advance(&world, step).await, Advanced::Done(1));
    assert_eq!(
        world.status(endpoint, seqs[0]).await,
        DeliveryStatus::Cancelled
    );
    let counts = world
        .store
        .endpoint_counts(world.app, endpoint, at(0), at(60))
        .await
        .expect("count");
    assert_eq!((counts.cancelled, counts.pending), (1, 1));
    let next = world.claim_one(endpoint, at(60)).await;
    assert_eq!(next.delivery.seq, seqs[1]);
}

pub async fn a_leased_delivery_is_not_cancelled(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seqs = world.accept_many(1).await;
    let endpoint = world.endpoints[0];
    let owed = world.owed(endpoint, seqs[0], Some(at(5)));
    world.spill(at(5), owed).await;
    let claimed = world.claim_one(endpoint, at(6)).await;
    let created = task(&world, TaskKind::CancelMessages, 10);
    create(&world, &created).await;
    let cancel = TaskWrite::Cancel {
        delivery: claimed.delivery,
        attempt: cancelled(&world),
    };
    let step = last_step(&created, vec![cancel]);
    assert_eq!(advance(&world, step).await, Advanced::Done(0));
    let record = world.leased(&claimed, world.delivered());
    let recorded = world.record_attempt(at(7), record).await;
    assert_eq!(recorded, crate::Recorded::Done, "its own attempt counts");
}

pub async fn a_cancelled_task_takes_no_step(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seqs = world.accept_many(1).await;
    exhaust(&world, seqs[0]).await;
    let created = task(&world, TaskKind::Recover, 10);
    create(&world, &created).await;
    let elsewhere: OrganizationId = name("org_two");
    let none = world
        .store
        .steer_task(&elsewhere, created.id, Steering::Cancel, at(11))
        .await;
    assert_eq!(none.expect("ask"), None);
    let ended = world
        .store
        .steer_task(&world.org, created.id, Steering::Cancel, at(11))
        .await;
    let ended = ended.expect("ask").expect("it exists");
    assert_eq!(
        (ended.state, ended.updated_at),
        (TaskState::Cancelled, at(11))
    );
    let step = last_step(&created, vec![TaskWrite::Send(asked(&world, seqs[0]))]);
    assert_eq!(advance(&world, step).await, Advanced::Stale);
    let again = world
        .store
        .steer_task(&world.org, created.id, Steering::Cancel, at(12))
        .await;
    assert_eq!(again.expect("ask"), Some(ended), "it has ended already");
}

pub async fn a_paused_task_takes_no_step_until_it_is_resumed(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seqs = world.accept_many(1).await;
    exhaust(&world, seqs[0]).await;
    let created = task(&world, TaskKind::Recover, 10);
    create(&world, &created).await;
    let steer = async |steering, now| {
        let steered = world
            .store
            .steer_task(&world.org, created.id, steering, now);
        steered.await.expect("ask").expect("it exists")
    };
    let paused = steer(Steering::Pause, at(11)).await;
    assert_eq!(
        (paused.state, paused.updated_at),
        (TaskState::Paused, at(11))
    );
    assert_eq!(read(&world, created.id).await, paused);
    let running = world.store.running_tasks(None, 10).await;
    assert_eq!(running.expect("list"), []);
    let step = || last_step(&created, vec![TaskWrite::Send(asked(&world, seqs[0]))]);
    assert_eq!(advance(&world, step()).await, Advanced::Stale);
    assert_eq!(
        steer(Steering::Pause, at(12)).await,
        paused,
        "it rests already"
    );
    let resumed = steer(Steering::Resume, at(20)).await;
    assert_eq!(
        (resumed.state, resumed.paused_for),
        (TaskState::Running, Duration::from_secs(9))
    );
    assert_eq!(read(&world, created.id).await, resumed);
    assert_eq!(advance(&world, step()).await, Advanced::Done(1));
    let ended = steer(Steering::Resume, at(30)).await;
    assert_eq!(ended.state, TaskState::Finished);
}

pub async fn a_paused_task_counts_and_can_be_ended(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let mut ids = Vec::new();
    for _ in 0..limit::TASKS_PER_APPLICATION_MAX {
        let created = task(&world, TaskKind::Recover, 5);
        create(&world, &created).await;
        ids.push(created.id);
    }
    let steer = async |steering, now| {
        let steered = world.store.steer_task(&world.org, ids[0], steering, now);
        steered.await.expect("ask").expect("it exists").state
    };
    assert_eq!(steer(Steering::Pause, at(6)).await, TaskState::Paused);
    let more = Change::CreateTask(Box::new(task(&world, TaskKind::Recover, 5)));
    let refused = world.store.apply(vec![more.clone()]).await;
    assert!(
        matches!(refused, Err(ApplyError::Conflict(Conflict::TaskLimit))),
        "{refused:?}"
    );
    assert_eq!(steer(Steering::Cancel, at(7)).await, TaskState::Cancelled);
    let created = world.store.apply(vec![more]).await;
    created.expect("there is room again");
}

pub async fn a_single_attempt_is_remembered_until_it_was_made(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seqs = world.accept_many(1).await;
    let endpoint = world.endpoints[0];
    let mut once = asked(&world, seqs[0]);
    once.series.once = true;
    world.spill(at(60), once).await;
    let claimed = world.claim_one(endpoint, at(60)).await;
    assert!(claimed.series.once);
    // A stale connection is nobody's fault: the one attempt is still to be made.
    let stale = world.attempt(Outcome::Oversize, AfterAttempt::Retry { due_at: at(61) });
    world
        .record_attempt(at(61), world.leased(&claimed, stale))
        .await;
    let again = world.claim_one(endpoint, at(61)).await;
    assert!(again.series.once);
    // Whoever asks anew decides anew.
    world.spill(at(61), asked(&world, seqs[0])).await;
    let stale = world.attempt(Outcome::Oversize, AfterAttempt::Retry { due_at: at(62) });
    world
        .record_attempt(at(62), world.leased(&again, stale))
        .await;
    assert!(!world.claim_one(endpoint, at(62)).await.series.once);
}

pub async fn due_deliveries_are_counted_up_to_a_bound(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let endpoint = world.endpoints[0];
    for (second, seq) in (5..).zip(world.accept_many(4).await) {
        let owed = world.owed(endpoint, seq, Some(at(second)));
        world.spill(at(4), owed).await;
    }
    let count = async |now, at_most| {
        let count = world.store.count_due(endpoint, at(now), at_most).await;
        count.expect("count them")
    };
    assert_eq!(count(4, 10).await, 0);
    assert_eq!(count(6, 10).await, 2);
    assert_eq!(count(60, 3).await, 3);
    world.claim(endpoint, 3, at(60)).await;
    assert_eq!(count(60, 10).await, 1);
}

/// Removes what is older than 100 seconds.
async fn prune(world: &World, now: u64) {
    let order = PruneOrder {
        now: at(now),
        retentions: Arc::new(Retentions::for_all(Retention {
            payloads: Duration::from_secs(100),
            messages: Duration::from_secs(100),
        })),
        rows_max: 100,
    };
    world.store.prune(order).await.expect("prune");
}

pub async fn tasks_that_ended_go_at_the_age_of_messages(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let (ended, running) = (
        task(&world, TaskKind::Recover, 10),
        task(&world, TaskKind::Recover, 10),
    );
    create(&world, &ended).await;
    create(&world, &running).await;
    let step = last_step(&ended, Vec::new());
    assert_eq!(advance(&world, step).await, Advanced::Done(0));
    prune(&world, 159).await;
    read(&world, ended.id).await;
    prune(&world, 160).await;
    let gone = world.store.task(&world.org, ended.id).await;
    assert_eq!(gone.expect("read it"), None);
    read(&world, running.id).await;
}

pub async fn a_purge_removes_the_payloads_of_its_application(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let ids = messages(&world, 3).await;
    let seqs: Vec<_> = ids.iter().map(|(_, seq)| *seq).collect();
    let elsewhere = world.another_application(0).await;
    let foreign = messages(&elsewhere, 1).await[0];
    let subject = Subject::Application(world.app);
    let purge = whole(&world, TaskKind::PurgeContent, subject, 2);
    create(&world, &purge).await;
    let some = found(&world, &purge).await;
    assert_eq!(places(&some), seqs[..2], "the third is behind its span");
    let gone = vec![seqs[0]];
    let expunged = world.store.expunge_payloads(world.app, gone).await;
    expunged.expect("remove it");
    let writes = [seqs[0], seqs[1], foreign.1].map(TaskWrite::Expunge);
    let step = last_step(&purge, writes.to_vec());
    assert_eq!(advance(&world, step).await, Advanced::Done(1));
    let payload = async |world: &World, id| {
        let found = world.store.message(world.app, &MessageRef::Id(id)).await;
        let found = found.expect("read it").expect("it is there");
        found.message.payload.is_some()
    };
    let mut kept = Vec::new();
    for (id, _) in &ids {
        kept.push(payload(&world, *id).await);
    }
    assert_eq!(kept, [false, false, true]);
    assert!(payload(&elsewhere, foreign.0).await);
    let after = read(&world, purge.id).await;
    assert_eq!((after.progress.looked, after.progress.done), (3, 1));
}

pub async fn a_report_grows_with_the_steps_of_its_task(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let usage = whole(&world, TaskKind::Usage, Subject::Organization, 2);
    create(&world, &usage).await;
    let part = |text: &str, items| ReportPart {
        text: text.to_owned(),
        items,
    };
    let first = TaskStep {
        cursor: Some(usage.id.ksuid()),
        looked: 2,
        report: Some(part("[1,2]", 2)),
        state: TaskState::Running,
        ..last_step(&usage, Vec::new())
    };
    assert_eq!(advance(&world, first.clone()).await, Advanced::Done(2));
    assert_eq!(advance(&world, first).await, Advanced::Stale);
    let last = TaskStep {
        looked: 1,
        report: Some(part("[3]", 1)),
        ..last_step(&read(&world, usage.id).await, Vec::new())
    };
    assert_eq!(advance(&world, last).await, Advanced::Done(1));
    let report = async |org: &OrganizationId| {
        let report = world.store.task_report(org, usage.id).await;
        report.expect("read it")
    };
    assert_eq!(report(&world.org).await, ["[1,2]", "[3]"]);
    assert_eq!(report(&name("org_two")).await, Vec::<String>::new());
    assert_eq!(read(&world, usage.id).await.progress.done, 3);
    prune(&world, 160).await;
    assert_eq!(report(&world.org).await, Vec::<String>::new());
}
