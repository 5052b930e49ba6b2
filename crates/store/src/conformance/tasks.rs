//! Background tasks: what they find, and their steps.

use std::sync::Arc;

use watchfire_domain::attempt::{Settlement, Trigger};
use watchfire_domain::id::{ApplicationId, MessageId, OrganizationId, TaskId};
use watchfire_domain::limit;
use watchfire_domain::outcome::{Outcome, SkipReason};

use super::history::messages;
use super::world::{World, at, name, settled};
use crate::{
    Advanced, AppKey, ApplyError, Candidates, Change, Conflict, DeliveryStatus, NewOwed, Order,
    OwedReason, Range, Remembered, Seq, Series, Steering, Store, Subject, Task, TaskArguments,
    TaskFailure, TaskFilter, TaskKind, TaskState, TaskStep, TaskWrite,
};

/// A task about all messages of the first so many seconds.
pub(super) fn task(world: &World, kind: TaskKind, seconds: u64) -> Task {
    let id = TaskId::new(at(seconds), &*world.chance);
    let subject = Subject::Endpoint {
        app: world.app,
        endpoint: world.endpoints[0],
    };
    let owner = (world.org.clone(), subject);
    let arguments = TaskArguments::of_span(at(0), at(seconds));
    Task::new(id, owner, (kind, arguments), at(seconds))
}

pub(super) async fn create(world: &World, task: &Task) {
    let create = Change::CreateTask(Box::new(task.clone()));
    world.store.apply(vec![create]).await.expect("create it");
}

pub(super) async fn read(world: &World, id: TaskId) -> Task {
    let found = world.store.task(&world.org, id).await.expect("read it");
    found.expect("it exists")
}

pub(super) async fn found(world: &World, task: &Task) -> Candidates {
    let found = world.store.candidates(task, 1_000).await;
    found.expect("look for them")
}

pub(super) fn places(candidates: &Candidates) -> Vec<Seq> {
    let found = candidates.found.iter();
    found.map(|candidate| candidate.stored.seq).collect()
}

pub(super) fn asked(world: &World, seq: Seq) -> NewOwed {
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
pub(super) fn last_step(task: &Task, writes: Vec<TaskWrite>) -> TaskStep {
    TaskStep {
        task: task.clone(),
        looked: u64::try_from(writes.len()).expect("few"),
        writes,
        cursor: None,
        report: None,
        state: TaskState::Finished,
    }
}

pub(super) async fn advance(world: &World, step: TaskStep) -> Advanced {
    let advanced = world.store.advance_task(&world.life, at(60), step).await;
    advanced.expect("carry it out")
}

pub(super) async fn exhaust(world: &World, seq: Seq) {
    let record = world.fresh(world.endpoints[0], seq, world.exhausted());
    world.record_attempt(at(0), record).await;
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
    let ended = world
        .store
        .steer_task(&world.org, ids[0], Steering::Cancel, at(6))
        .await;
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

/// A task about more than an endpoint.
pub(super) fn whole(world: &World, kind: TaskKind, subject: Subject, seconds: u64) -> Task {
    Task {
        subject,
        ..task(world, kind, seconds)
    }
}

pub async fn a_task_may_be_about_more_than_an_endpoint(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let one = whole(
        &world,
        TaskKind::PurgeContent,
        Subject::Application(world.app),
        1,
    );
    let mut all = whole(&world, TaskKind::Usage, Subject::Organization, 2);
    all.arguments.applications = vec![ApplicationId::new(at(1), &*world.chance)];
    let subscribed = whole(&world, TaskKind::Subscriptions, Subject::Organization, 3);
    for task in [&one, &all, &subscribed] {
        create(&world, task).await;
        assert_eq!(read(&world, task.id).await, *task);
    }
    let listed = async |app| {
        let filter = TaskFilter {
            app,
            ..TaskFilter::default()
        };
        let range = Range::from_start(Order::Ascending, 10);
        let listed = world.store.tasks(&world.org, filter, range).await;
        let listed = listed.expect("list them");
        listed.iter().map(|task| task.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(None).await, [one.id, all.id, subscribed.id]);
    assert_eq!(listed(Some(world.app)).await, [one.id]);
    let running = world.store.running_tasks(None, 10).await;
    assert_eq!(running.expect("list them").len(), 3);
    assert_eq!(found(&world, &all).await, Candidates::default());
    assert_eq!(found(&world, &subscribed).await, Candidates::default());
}

pub async fn a_task_needs_a_live_application(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    let gone = Change::DeleteApplication {
        key: world.app,
        now: at(1),
    };
    world.store.apply(vec![gone]).await.expect("delete it");
    let subject = Subject::Application(world.app);
    let purge = whole(&world, TaskKind::PurgeContent, subject, 2);
    let refused = world
        .store
        .apply(vec![Change::CreateTask(Box::new(purge))])
        .await;
    assert!(
        matches!(refused, Err(ApplyError::Conflict(Conflict::Missing))),
        "{refused:?}"
    );
}

pub async fn an_organization_has_a_limited_number_of_running_tasks(store: Arc<dyn Store>) {
    let world = World::with_endpoints(store, 1).await;
    // An application's do not count.
    create(&world, &task(&world, TaskKind::Recover, 1)).await;
    let another = || whole(&world, TaskKind::Usage, Subject::Organization, 2);
    for _ in 0..limit::TASKS_PER_APPLICATION_MAX {
        create(&world, &another()).await;
    }
    let more = Change::CreateTask(Box::new(another()));
    let refused = world.store.apply(vec![more]).await;
    assert!(
        matches!(refused, Err(ApplyError::Conflict(Conflict::TaskLimit))),
        "{refused:?}"
    );
    create(&world, &task(&world, TaskKind::Recover, 3)).await;
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
        let filter = TaskFilter {
            kind,
            state,
            ..TaskFilter::default()
        };
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
    let without = TaskFilter {
        without: Some(TaskKind::Recover),
        ..TaskFilter::default()
    };
    let range = Range::from_start(Order::Ascending, 10);
    let others = world.store.tasks(&world.org, without, range).await;
    let others: Vec<_> = others.expect("list").iter().map(|task| task.id).collect();
    assert_eq!(others, tasks[1..]);
    let running = world.store.running_tasks(Some(tasks[1]), 10).await;
    let running: Vec<_> = running.expect("list").iter().map(|task| task.id).collect();
    assert_eq!(running, tasks[2..]);
    let listed_for = async |app, kind| {
        let range = Range::from_start(Order::Ascending, 10);
        let filter = TaskFilter {
            kind,
            app: Some(app),
            ..TaskFilter::default()
        };
        let listed = world.store.tasks(&world.org, filter, range).await;
        let listed = listed.expect("list them");
        listed.iter().map(|task| task.id).collect::<Vec<_>>()
    };
    assert_eq!(listed_for(world.app, None).await, tasks);
    assert_eq!(listed_for(world.app, replays).await, tasks[2..3]);
    assert_eq!(listed_for(AppKey(world.app.0 + 1), None).await, []);
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
    elsewhere.subject = Subject::Endpoint {
        app: world.another_application(0).await.app,
        endpoint: early,
    };
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
        recover.progress.cursor = some.next.map(MessageId::ksuid);
        if some.next.is_none() {
            break;
        }
    }
    assert_eq!(visited, seqs);
}
