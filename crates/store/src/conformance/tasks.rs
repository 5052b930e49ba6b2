//! Background tasks: what they find, and their steps.

use std::sync::Arc;
use std::time::Duration;

use watchfire_domain::attempt::{AfterAttempt, Attempt, Settlement, Trigger};
use watchfire_domain::id::{AttemptId, MessageId, OrganizationId, TaskId};
use watchfire_domain::limit;
use watchfire_domain::outcome::{Outcome, SkipReason};

use super::history::messages;
use super::world::{World, at, name, settled};
use crate::{
    Advanced, ApplyError, Candidates, Change, Conflict, DeliveryStatus, NewOwed, Order, OwedReason,
    PruneOrder, Range, Remembered, Seq, Series, Store, Task, TaskArguments, TaskFailure,
    TaskFilter, TaskKind, TaskState, TaskStep, TaskWrite,
};

/// A task about all messages of the first so many seconds.
fn task(world: &World, kind: TaskKind, seconds: u64) -> Task {
    let id = TaskId::new(at(seconds), &*world.chance);
    let owner = (world.org.clone(), world.app, world.endpoints[0]);
    let arguments = TaskArguments::of_span(at(0), at(seconds));
    Task::new(id, owner, (kind, arguments), at(seconds))
}

async fn create(world: &World, task: &Task) {
    let create = Change::CreateTask(Box::new(task.clone()));
    world.store.apply(vec![create]).await.expect("create it");
}

async fn read(world: &World, id: TaskId) -> Task {
    let found = world.store.task(&world.org, id).await.expect("read it");
    found.expect("it exists")
}

async fn found(world: &World, task: &Task) -> Candidates {
    let found = world.store.candidates(task, 1_000).await;
    found.expect("look for them")
}

fn places(candidates: &Candidates) -> Vec<Seq> {
    let found = candidates.found.iter();
    found.map(|candidate| candidate.stored.seq).collect()
}

fn asked(world: &World, seq: Seq) -> NewOwed {
    NewOwed {
        reason: OwedReason::Requested,
        series: Series {
            trigger: Trigger::Manual,
            ..Series::START
        },
        ..world.owed(world.endpoints[0], seq, Some(at(60)))
    }
}

/// A step that ends the task.
fn last_step(task: &Task, writes: Vec<TaskWrite>) -> TaskStep {
    TaskStep {
        task: task.clone(),
        looked: u64::try_from(writes.len()).expect("few"),
        writes,
        cursor: None,
        state: TaskState::Finished,
    }
}

async fn advance(world: &World, step: TaskStep) -> Advanced {
    let advanced = world.store.advance_task(at(60), step).await;
    advanced.expect("carry it out")
}

async fn exhaust(world: &World, seq: Seq) {
    let record = world.fresh(world.endpoints[0], seq, world.exhausted());
    world.record_attempt(at(0), record).await;
}

fn cancelled(world: &World) -> Box<Attempt> {
    let skipped = Outcome::Skipped {
        reason: SkipReason::Cancelled,
    };
    Box::new(world.attempt(skipped, settled(Settlement::Cancelled)))
}

pub async fn a_task_is_kept_as_it_was_given(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let mut task = task(&world, TaskKind::BulkReplay, 5);
    task.arguments.event_types = vec![name("threat.created")];
    task.arguments.channel = Some("blue".to_owned());
    task.arguments.tag = Some("t".to_owned());
    task.arguments.status = Some(DeliveryStatus::Failed);
    task.arguments.status_class = Some(5);
    task.arguments.once = true;
    create(&world, &task).await;
    assert_eq!(read(&world, task.id).await, task);
    let elsewhere: OrganizationId = name("org_two");
    let other = world.store.task(&elsewhere, task.id).await;
    assert_eq!(other.expect("read it"), None);
}

pub async fn an_application_has_a_limited_number_of_running_tasks(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let mut ids = Vec::new();
    for _ in 0..limit::TASKS_PER_APPLICATION_MAX {
        let task = task(&world, TaskKind::Recover, 5);
        create(&world, &task).await;
        ids.push(task.id);
    }
    let more = Change::CreateTask(Box::new(task(&world, TaskKind::Recover, 5)));
    let refused = world.store.apply(vec![more.clone()]).await;
    assert!(
        matches!(refused, Err(ApplyError::Conflict(Conflict::TaskLimit))),
        "{refused:?}"
    );
    let ended = world.store.cancel_task(&world.org, ids[0], at(6)).await;
    assert!(ended.expect("end it").is_some());
    world
        .store
        .apply(vec![more])
        .await
        .expect("there is room again");
}

pub async fn a_task_needs_a_live_endpoint(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let delete = Change::DeleteEndpoint {
        key: world.endpoints[0],
        now: at(1),
    };
    world.store.apply(vec![delete]).await.expect("delete it");
    let create = Change::CreateTask(Box::new(task(&world, TaskKind::Recover, 5)));
    let refused = world.store.apply(vec![create]).await;
    assert!(
        matches!(refused, Err(ApplyError::Conflict(Conflict::Missing))),
        "{refused:?}"
    );
}

pub async fn a_task_is_created_together_with_its_answer(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let answer = Remembered {
        key: [1; 32],
        request: [2; 32],
        answer: vec![3],
        expires_at: at(100),
    };
    let changes = |task: &Task| {
        let remember = Change::Remember {
            answer: answer.clone(),
            now: at(1),
        };
        vec![Change::CreateTask(Box::new(task.clone())), remember]
    };
    let (first, second) = (
        task(&world, TaskKind::Recover, 5),
        task(&world, TaskKind::Recover, 5),
    );
    world.store.apply(changes(&first)).await.expect("create it");
    let repeated = world.store.apply(changes(&second)).await;
    assert!(
        matches!(repeated, Err(ApplyError::Conflict(Conflict::Repeated(_)))),
        "{repeated:?}"
    );
    let running = world.store.running_tasks(None, 10).await.expect("list");
    assert_eq!(running, [first]);
}

pub async fn tasks_are_listed_by_organization_kind_and_state(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let kinds = [
        TaskKind::Recover,
        TaskKind::ReplayMissing,
        TaskKind::BulkReplay,
        TaskKind::CancelMessages,
    ];
    let mut tasks = Vec::new();
    for (second, kind) in (1..).zip(kinds) {
        let task = task(&world, kind, second);
        create(&world, &task).await;
        tasks.push(task.id);
    }
    let failed = TaskStep {
        state: TaskState::Failed(TaskFailure::EndpointDeleted),
        ..last_step(&read(&world, tasks[0]).await, Vec::new())
    };
    assert_eq!(advance(&world, failed).await, Advanced::Done(0));
    let listed = async |kind, state, order| {
        let range = Range::from_start(order, 10);
        let filter = TaskFilter { kind, state };
        let listed = world.store.tasks(&world.org, filter, range).await;
        let listed = listed.expect("list them");
        listed.iter().map(|task| task.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, None, Order::Ascending).await, tasks);
    let down: Vec<_> = tasks.iter().rev().copied().collect();
    assert_eq!(listed(None, None, Order::Descending).await, down);
    let replays = Some(TaskKind::BulkReplay);
    assert_eq!(listed(replays, None, Order::Ascending).await, tasks[2..3]);
    let state = Some(TaskState::Failed(TaskFailure::EndpointDeleted));
    assert_eq!(listed(None, state, Order::Ascending).await, tasks[..1]);
    let running = world.store.running_tasks(Some(tasks[1]), 10).await;
    let running: Vec<_> = running.expect("list").iter().map(|task| task.id).collect();
    assert_eq!(running, tasks[2..]);
    let elsewhere: OrganizationId = name("org_two");
    let range = Range::from_start(Order::Ascending, 10);
    let none = world
        .store
        .tasks(&elsewhere, TaskFilter::default(), range)
        .await;
    assert_eq!(none.expect("list them"), []);
}

pub async fn what_failed_in_the_span_is_found_and_nothing_else(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 2).await;
    let seqs: Vec<_> = messages(&world, 7)
        .await
        .iter()
        .map(|(_, seq)| *seq)
        .collect();
    let endpoint = world.endpoints[0];
    for place in [0, 1, 2, 6] {
        exhaust(&world, seqs[place]).await;
    }
    let skipped = Outcome::Skipped {
        reason: SkipReason::EndpointDisabled,
    };
    let skipped = world.attempt(skipped, settled(Settlement::Skipped));
    world
        .record_attempt(at(0), world.fresh(endpoint, seqs[3], skipped))
        .await;
    world.deliver(endpoint, seqs[4]).await;
    // Asked for again: it is owed, so it is not failed any more.
    world.spill(at(8), asked(&world, seqs[1])).await;
    let elsewhere = world.fresh(world.endpoints[1], seqs[5], world.exhausted());
    world.record_attempt(at(0), elsewhere).await;
    let mut recover = task(&world, TaskKind::Recover, 6);
    let all = found(&world, &recover).await;
    assert_eq!(places(&all), [seqs[0], seqs[2], seqs[3]]);
    assert_eq!(all.next, None);
    recover.arguments.since = at(1);
    recover.arguments.until = at(3);
    assert_eq!(places(&found(&world, &recover).await), [seqs[2]]);
}

pub async fn what_was_settled_is_found_by_how_it_ended(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seqs: Vec<_> = messages(&world, 4)
        .await
        .iter()
        .map(|(_, seq)| *seq)
        .collect();
    world.deliver(world.endpoints[0], seqs[0]).await;
    exhaust(&world, seqs[1]).await;
    let owed = world.owed(world.endpoints[0], seqs[2], Some(at(9)));
    world.spill(at(4), owed).await;
    let mut replay = task(&world, TaskKind::BulkReplay, 10);
    assert_eq!(places(&found(&world, &replay).await), seqs[..2]);
    replay.arguments.status = Some(DeliveryStatus::Delivered);
    assert_eq!(places(&found(&world, &replay).await), seqs[..1]);
    replay.arguments.status = None;
    replay.arguments.status_class = Some(5);
    assert_eq!(places(&found(&world, &replay).await), seqs[1..2]);
}

pub async fn what_never_went_to_the_endpoint_is_found(store: Arc<dyn Store>) {
    let mut world = World::with_endpoints(store, 1).await;
    let before: Vec<_> = messages(&world, 3)
        .await
        .iter()
        .map(|(_, seq)| *seq)
        .collect();
    let late = world.create_endpoint(None).await;
    let early = std::mem::replace(&mut world.endpoints, vec![late])[0];
    // Asked for by hand: once owed, once delivered.
    world.spill(at(4), asked(&world, before[0])).await;
    world.deliver(late, before[1]).await;
    // It matched: it is on its way.
    messages(&world, 1).await;
    let missing = task(&world, TaskKind::ReplayMissing, 10);
    assert_eq!(places(&found(&world, &missing).await), [before[2]]);
    world.endpoints = vec![early];
    let mut elsewhere = task(&world, TaskKind::ReplayMissing, 10);
    elsewhere.app = world.another_application(0).await.app;
    assert_eq!(places(&found(&world, &elsewhere).await), []);
}

pub async fn what_is_owed_is_found_with_its_standing(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seqs: Vec<_> = messages(&world, 4)
        .await
        .iter()
        .map(|(_, seq)| *seq)
        .collect();
    for seq in &seqs[..3] {
        let owed = world.owed(world.endpoints[0], *seq, Some(at(5)));
        world.spill(at(4), owed).await;
    }
    let leased = world.claim(world.endpoints[0], 1, at(6)).await.deliveries;
    assert_eq!(leased.len(), 1);
    let cancel = task(&world, TaskKind::CancelMessages, 10);
    let owed = found(&world, &cancel).await;
    assert_eq!(places(&owed), seqs[1..3]);
    assert_eq!((owed.looked, owed.leased), (3, 1));
    let standing = owed.found[0].owed.expect("it is owed");
    assert_eq!(standing.reason, OwedReason::Spilled);
}

pub async fn candidates_are_filtered_by_what_the_message_says(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let mut seqs = Vec::new();
    for place in 0..3 {
        let new = world.message_with(|message| match place {
            0 => message.event_type = name("login.failed"),
            1 => message.details.channels = vec!["blue".to_owned()],
            _ => message.details.tags = vec!["t".to_owned()],
        });
        let seq = world.accept(new).await;
        exhaust(&world, seq).await;
        seqs.push(seq);
    }
    let mut recover = task(&world, TaskKind::Recover, 10);
    recover.arguments.event_types = vec![name("login.failed")];
    assert_eq!(places(&found(&world, &recover).await), seqs[..1]);
    recover.arguments.event_types.clear();
    recover.arguments.channel = Some("blue".to_owned());
    assert_eq!(places(&found(&world, &recover).await), seqs[1..2]);
    recover.arguments.channel = None;
    recover.arguments.tag = Some("t".to_owned());
    assert_eq!(places(&found(&world, &recover).await), seqs[2..]);
}

pub async fn a_walk_visits_everything_once(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let seqs: Vec<_> = messages(&world, 7)
        .await
        .iter()
        .map(|(_, seq)| *seq)
        .collect();
    for seq in &seqs {
        exhaust(&world, *seq).await;
    }
    let mut recover = task(&world, TaskKind::Recover, 10);
    let mut visited = Vec::new();
    loop {
        let some = world.store.candidates(&recover, 3).await.expect("look");
        assert!(some.found.len() <= 3);
        visited.extend(places(&some));
        recover.progress.cursor = some.next;
        if some.next.is_none() {
            break;
        }
    }
    assert_eq!(visited, seqs);
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
        cursor: Some(ids[0].0),
        looked: 1,
        state: TaskState::Running,
    };
    assert_eq!(advance(&world, step).await, Advanced::Done(1));
    let after = read(&world, created.id).await;
    assert_eq!(after.progress.cursor, Some(ids[0].0));
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
        cursor: Some(ids[0].0),
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
    let expunged = world.store.expunge_payload(world.app, seqs[0]).await;
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
        .cancel_task(&elsewhere, created.id, at(11))
        .await;
    assert_eq!(none.expect("ask"), None);
    let ended = world
        .store
        .cancel_task(&world.org, created.id, at(11))
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
        .cancel_task(&world.org, created.id, at(12))
        .await;
    assert_eq!(again.expect("ask"), Some(ended), "it has ended already");
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
    let prune = async |now| {
        let order = PruneOrder {
            now: at(now),
            payload_retention: Duration::from_secs(100),
            message_retention: Duration::from_secs(100),
            rows_max: 100,
        };
        world.store.prune(order).await.expect("prune");
    };
    prune(159).await;
    read(&world, ended.id).await;
    prune(160).await;
    let gone = world.store.task(&world.org, ended.id).await;
    assert_eq!(gone.expect("read it"), None);
    read(&world, running.id).await;
}
