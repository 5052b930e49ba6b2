//! Background tasks in simulated time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use watchfire_domain::attempt::{AfterAttempt, Settlement, Trigger};
use watchfire_domain::id::OrganizationId;
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;
use watchfire_store::{
    AppKey, Change, DeliveryStatus, EndpointKey, EndpointRef, MessageFilter, Order, Range, Seq,
    Steering, Task, TaskFailure, TaskKind, TaskState,
};

use super::harness::{Behavior, Harness};
use crate::service::reports::{self, Subscriptions};
use crate::service::tasks::{self, TaskInput};

fn org() -> OrganizationId {
    "org_test".parse().expect("valid")
}

fn owner() -> tasks::Owner {
    tasks::Owner {
        org: org(),
        app: None,
    }
}

async fn create(
    harness: &Harness,
    (app, endpoint): (AppKey, EndpointKey),
    kind: TaskKind,
    input: TaskInput,
) -> Task {
    let engine = &harness.engine;
    let app = engine.application_by_key(app).await;
    let app = app.expect("read").expect("there");
    let found = app.endpoint(endpoint).expect("there");
    let id = EndpointRef::Id(found.stored.endpoint.identity.id);
    let created = tasks::create(engine, &app, &id, (kind, input), None).await;
    created.expect("created")
}

/// Has a node recover everything that failed at an endpoint so far.
pub(super) async fn recover(harness: &Harness, app: AppKey, endpoint: EndpointKey) {
    let everything = since(harness.now() - Duration::from_hours(1));
    create(harness, (app, endpoint), TaskKind::Recover, everything).await;
}

/// An application with one endpoint.
struct Scene {
    harness: Harness,
    app: AppKey,
    endpoint: EndpointKey,
}

impl Scene {
    async fn new() -> Self {
        let harness = Harness::start().await;
        let app = harness.application().await;
        let endpoint = harness.endpoint(app, "hook", &[]).await;
        Self {
            harness,
            app,
            endpoint,
        }
    }

    async fn die_and_restart(self) -> Self {
        Self {
            harness: self.harness.die_and_restart().await,
            ..self
        }
    }

    async fn failed(&self, count: usize) -> Vec<Seq> {
        self.harness
            .store_failed(self.app, self.endpoint, count)
            .await
    }

    async fn status(&self, seq: Seq) -> DeliveryStatus {
        self.harness.status(self.app, seq, self.endpoint).await
    }

    async fn create_at(&self, endpoint: EndpointKey, kind: TaskKind, input: TaskInput) -> Task {
        create(&self.harness, (self.app, endpoint), kind, input).await
    }

    async fn create(&self, kind: TaskKind, input: TaskInput) -> Task {
        self.create_at(self.endpoint, kind, input).await
    }

    async fn read(&self, task: &Task) -> Task {
        let read = tasks::find(&self.harness.engine, &owner(), task.id).await;
        read.expect("it exists")
    }

    async fn until_ended(&self, task: &Task) -> Task {
        let ended = async || self.read(task).await.state != TaskState::Running;
        self.harness.until(ended).await;
        self.read(task).await
    }

    /// Dies after each step that the task makes until it ends; also how often that was.
    async fn die_after_each_step(mut self, task: &Task) -> (Self, u64) {
        let mut deaths = 0;
        loop {
            let before = self.read(task).await.progress;
            let moved = async || {
                let now = self.read(task).await;
                now.progress != before || now.state != TaskState::Running
            };
            self.harness.until(moved).await;
            if self.read(task).await.state != TaskState::Running {
                return (self, deaths);
            }
            // Let what was claimed settle: an attempt cut off by a death may rightly be made again.
            let settled = async || self.harness.engine.in_memory() == (0, 0);
            self.harness.until(settled).await;
            self = self.die_and_restart().await;
            deaths += 1;
        }
    }

    /// How often each message was sent.
    fn sent(&self) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        for sent in self.harness.sent_to("hook") {
            *counts.entry(sent.number).or_default() += 1;
        }
        counts
    }
}

/// Longer than all that a test simulates.
const DAYS: Duration = Duration::from_hours(10 * 24);

fn since(since: Timestamp) -> TaskInput {
    TaskInput {
        since: Some(since),
        ..TaskInput::default()
    }
}

#[tokio::test(start_paused = true)]
async fn recover_sends_again_what_failed_in_the_window_and_nothing_else() {
    let scene = Scene::new().await;
    let harness = &scene.harness;
    let before = scene.failed(3).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    let begin = harness.now();
    tokio::time::sleep(Duration::from_mins(1)).await;
    let failed = scene.failed(5).await;
    let delivered = harness.post(scene.app, "threat.created", None).await;
    harness.until_settled(scene.app, delivered).await;
    // Attempts of the same few milliseconds are in no order of time.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let task = scene.create(TaskKind::Recover, since(begin)).await;
    let ended = scene.until_ended(&task).await;
    assert_eq!(ended.state, TaskState::Finished);
    assert_eq!(ended.progress.done, 5);
    for seq in failed {
        harness.until_settled(scene.app, seq).await;
        assert_eq!(scene.status(seq).await, DeliveryStatus::Delivered);
    }
    for seq in before {
        assert_eq!(scene.status(seq).await, DeliveryStatus::Failed);
    }
    let counts: Vec<_> = scene.sent().into_iter().collect();
    assert_eq!(counts, [(3, 1), (4, 1), (5, 1), (6, 1), (7, 1), (8, 1)]);
    let again = scene.create(TaskKind::Recover, since(begin)).await;
    let again = scene.until_ended(&again).await;
    assert_eq!(again.progress.done, 0, "nothing has failed any more");
}

#[tokio::test(start_paused = true)]
async fn what_is_recovered_has_a_full_series_unless_one_attempt_is_asked_for() {
    let scene = Scene::new().await;
    let harness = &scene.harness;
    let seqs = scene.failed(1).await;
    // The attempt to come is the later one.
    tokio::time::sleep(Duration::from_secs(1)).await;
    harness.always("hook", Behavior::Status(500));
    let once = TaskInput {
        once: true,
        ..TaskInput::default()
    };
    let once = TaskInput {
        since: Some(harness.now() - DAYS),
        ..once
    };
    let task = scene.create(TaskKind::Recover, once.clone()).await;
    scene.until_ended(&task).await;
    harness.until_settled(scene.app, seqs[0]).await;
    let attempts = harness.attempts(scene.endpoint).await;
    let last = attempts.last().expect("there are some");
    let exhausted = AfterAttempt::Settled {
        settlement: Settlement::Exhausted,
    };
    assert_eq!((last.number, last.next), (1, exhausted));
    assert_eq!(last.trigger, Trigger::Manual);
    assert_eq!(harness.sent_to("hook").len(), 1);
    let full = TaskInput {
        once: false,
        ..once
    };
    let task = scene.create(TaskKind::Recover, full).await;
    scene.until_ended(&task).await;
    harness.until_settled(scene.app, seqs[0]).await;
    let sent = harness.sent_to("hook");
    assert_eq!(sent.len(), 1 + super::harness::ATTEMPTS_MAX);
    assert!(sent.iter().all(|other| other.id == sent[0].id), "one id");
}

#[tokio::test(start_paused = true)]
async fn a_death_in_the_middle_loses_and_doubles_nothing() {
    let mut scene = Scene::new().await;
    let count = limit::TASK_STEP_DELIVERIES_MAX * 5 + 7;
    let seqs = scene.failed(count).await;
    let task = scene
        .create(TaskKind::Recover, since(scene.harness.now() - DAYS))
        .await;
    (scene, _) = scene.die_after_each_step(&task).await;
    for seq in seqs {
        scene.harness.until_settled(scene.app, seq).await;
        assert_eq!(scene.status(seq).await, DeliveryStatus::Delivered);
    }
    // One that was made twice would count twice.
    assert_eq!(scene.read(&task).await.progress.done, count as u64);
}

#[tokio::test(start_paused = true)]
async fn a_purge_goes_on_after_a_death_until_no_payload_is_left() {
    let scene = Scene::new().await;
    let count = limit::TASK_STEP_DELIVERIES_MAX * 3 + 7;
    scene.failed(count).await;
    let app = scene.harness.snapshot(scene.app).await;
    let purge = reports::purge(&scene.harness.engine, &app, None).await;
    let task = purge.expect("created");
    let (scene, deaths) = scene.die_after_each_step(&task).await;
    assert!(deaths > 0, "it ended before it could die");
    let ended = scene.read(&task).await;
    assert_eq!(ended.state, TaskState::Finished);
    // One whose payload was removed twice would count twice.
    assert_eq!(ended.progress.done, count as u64);
    let all = Range::from_start(Order::Ascending, count + 1);
    let filter = MessageFilter::default();
    let kept = scene.harness.store.messages(scene.app, &filter, all).await;
    let kept = kept.expect("read");
    assert_eq!(kept.len(), count);
    assert!(kept.iter().all(|stored| stored.message.payload.is_none()));
}

#[tokio::test(start_paused = true)]
async fn a_report_goes_on_after_a_death_and_tells_of_each_application_once() {
    let scene = Scene::new().await;
    let count = limit::TASK_STEP_APPLICATIONS_MAX * 3 + 7;
    // The scene's own is one of them.
    for _ in 1..count {
        scene.harness.application().await;
    }
    let report = reports::subscriptions(&scene.harness.engine, &org()).await;
    let task = report.expect("created");
    let (scene, deaths) = scene.die_after_each_step(&task).await;
    assert!(deaths > 0, "it ended before it could die");
    let ended = scene.read(&task).await;
    assert_eq!(ended.state, TaskState::Finished);
    let told = reports::found::<Subscriptions>(&scene.harness.engine, &ended).await;
    let told = told.expect("read");
    assert_eq!(told.len(), count);
    let once: BTreeSet<_> = told.iter().map(|about| about.application).collect();
    assert_eq!(once.len(), count, "each once");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_cancelled_stops() {
    let scene = Scene::new().await;
    scene.failed(limit::TASK_STEP_DELIVERIES_MAX * 3).await;
    scene.harness.always("hook", Behavior::Hangs);
    let input = since(scene.harness.now() - DAYS);
    let task = scene.create(TaskKind::Recover, input).await;
    let begun = async || scene.read(&task).await.progress.done > 0;
    scene.harness.until(begun).await;
    let ended = tasks::steer(&scene.harness.engine, &owner(), task.id, Steering::Cancel).await;
    let ended = ended.expect("it exists");
    assert_eq!(ended.state, TaskState::Cancelled);
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(scene.read(&task).await, ended, "it stays as it was");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_paused_rests_until_it_is_resumed() {
    let scene = Scene::new().await;
    let seqs = scene.failed(limit::TASK_STEP_DELIVERIES_MAX * 3).await;
    let task = scene
        .create(TaskKind::Recover, since(scene.harness.now() - DAYS))
        .await;
    let begun = async || scene.read(&task).await.progress.done > 0;
    scene.harness.until(begun).await;
    let steer = async |steering| {
        let steered = tasks::steer(&scene.harness.engine, &owner(), task.id, steering).await;
        steered.expect("it exists")
    };
    let paused = steer(Steering::Pause).await;
    assert_eq!(paused.state, TaskState::Paused);
    assert!(
        paused.progress.done < seqs.len() as u64,
        "it had time to pause"
    );
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert_eq!(scene.read(&task).await, paused, "it stays as it was");
    let resumed = steer(Steering::Resume).await;
    assert_eq!(resumed.progress, paused.progress);
    let ended = scene.until_ended(&task).await;
    assert_eq!(ended.state, TaskState::Finished);
    assert_eq!(ended.progress.done, seqs.len() as u64, "none twice");
    assert!(ended.paused_for >= Duration::from_mins(10), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_task_ends_with_its_endpoint() {
    let scene = Scene::new().await;
    scene.failed(limit::TASK_STEP_DELIVERIES_MAX * 3).await;
    scene.harness.always("hook", Behavior::Hangs);
    let input = since(scene.harness.now() - DAYS);
    let task = scene.create(TaskKind::Recover, input).await;
    let delete = Change::DeleteEndpoint {
        key: scene.endpoint,
        now: scene.harness.now(),
    };
    let deleted = scene.harness.engine.apply(vec![delete]).await;
    deleted.expect("deleted");
    let ended = scene.until_ended(&task).await;
    assert_eq!(ended.state, TaskState::Failed(TaskFailure::EndpointDeleted));
}

#[tokio::test(start_paused = true)]
async fn a_large_replay_queues_up_no_more_than_a_bound() {
    let scene = Scene::new().await;
    let harness = &scene.harness;
    scene.failed(2_000).await;
    harness.always("hook", Behavior::Hangs);
    let task = scene
        .create(TaskKind::Recover, since(harness.now() - DAYS))
        .await;
    tokio::time::sleep(Duration::from_mins(2)).await;
    let now = scene.read(&task).await;
    let most =
        limit::TASK_BACKLOG_MAX + limit::TASK_STEP_DELIVERIES_MAX + limit::CLAIM_PER_ENDPOINT_MAX;
    assert!(now.progress.done <= most as u64, "{now:?}");
    assert_eq!(now.state, TaskState::Running, "it waits for its endpoint");
}

#[tokio::test(start_paused = true)]
async fn replay_missing_sends_what_an_endpoint_subscribed_to_too_late() {
    let scene = Scene::new().await;
    let harness = &scene.harness;
    for kind in ["threat.created", "login.failed", "threat.closed"] {
        let seq = harness.post(scene.app, kind, None).await;
        harness.until_settled(scene.app, seq).await;
    }
    let late = harness.endpoint(scene.app, "late", &["threat.*"]).await;
    let input = since(harness.now() - DAYS);
    let task = scene
        .create_at(late, TaskKind::ReplayMissing, input.clone())
        .await;
    let ended = scene.until_ended(&task).await;
    assert_eq!(ended.progress.done, 2);
    harness
        .until(async || harness.sent_to("late").len() == 2)
        .await;
    let numbers: Vec<_> = harness.sent_to("late").iter().map(|s| s.number).collect();
    assert_eq!(numbers, [0, 2]);
    let (first, original) = (&harness.sent_to("late")[0], &harness.sent_to("hook")[0]);
    assert_eq!(first.id, original.id, "the same message has the same id");
    let again = scene.create_at(late, TaskKind::ReplayMissing, input).await;
    assert_eq!(scene.until_ended(&again).await.progress.done, 0);
}

#[tokio::test(start_paused = true)]
async fn a_bulk_replay_sends_again_what_was_delivered_too() {
    let scene = Scene::new().await;
    let harness = &scene.harness;
    scene.failed(2).await;
    let delivered = harness.post(scene.app, "login.failed", None).await;
    harness.until_settled(scene.app, delivered).await;
    let input = since(harness.now() - DAYS);
    let task = scene.create(TaskKind::BulkReplay, input.clone()).await;
    assert_eq!(scene.until_ended(&task).await.progress.done, 3);
    harness
        .until(async || harness.sent_to("hook").len() == 4)
        .await;
    let logins = TaskInput {
        event_types: vec!["login.failed".parse().expect("valid")],
        ..input
    };
    let task = scene.create(TaskKind::BulkReplay, logins).await;
    assert_eq!(scene.until_ended(&task).await.progress.done, 1);
}

#[tokio::test(start_paused = true)]
async fn messages_of_a_record_are_sent_again_in_order() {
    let scene = Scene::new().await;
    let harness = &scene.harness;
    for number in 0..40 {
        let record = format!("record-{}", number % 2);
        let seq = harness
            .post(scene.app, "threat.updated", Some(&record))
            .await;
        harness.until_settled(scene.app, seq).await;
    }
    let first = harness.sent_to("hook").len();
    harness.fail_at_random("hook", 40);
    let input = since(harness.now() - DAYS);
    let task = scene.create(TaskKind::BulkReplay, input).await;
    let mut fresh = Vec::new();
    for number in 0..10 {
        let record = format!("record-{}", number % 2);
        let post = harness.post(scene.app, "threat.updated", Some(&record));
        fresh.push(post.await);
    }
    scene.until_ended(&task).await;
    for seq in 1..=50 {
        harness.until_settled(scene.app, Seq(seq)).await;
    }
    let mut last = BTreeMap::<String, u64>::new();
    for sent in harness.sent_to("hook").into_iter().skip(first) {
        if sent.number >= 40 {
            continue;
        }
        let record = sent.record.expect("all are about a record");
        let before = last.insert(record, sent.number);
        assert!(
            before.is_none_or(|before| before <= sent.number),
            "{before:?} before {}",
            sent.number
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_endpoint_is_owed_is_cancelled_in_memory_and_on_disk() {
    let scene = Scene::new().await;
    let harness = &scene.harness;
    harness.always("hook", Behavior::Hangs);
    let mut seqs = Vec::new();
    for _ in 0..limit::FRESH_PER_ENDPOINT_MAX + 200 {
        seqs.push(harness.post(scene.app, "threat.created", None).await);
    }
    let begun = async || !harness.sent_to("hook").is_empty();
    harness.until(begun).await;
    let task = scene
        .create(TaskKind::CancelMessages, TaskInput::default())
        .await;
    let begun = async || scene.read(&task).await.progress.done > 0;
    harness.until(begun).await;
    // Those in flight end by themselves.
    let in_flight = harness.sent_to("hook").len() as u64;
    let scene = scene.die_and_restart().await;
    scene.harness.always("hook", Behavior::Status(500));
    let ended = scene.until_ended(&task).await;
    assert_eq!(ended.state, TaskState::Finished);
    // So do those that were on their way again when the task came to them.
    let again: BTreeSet<_> = scene
        .harness
        .sent_to("hook")
        .iter()
        .map(|sent| sent.number)
        .collect();
    let (all, again) = (seqs.len() as u64, again.len() as u64);
    assert!(ended.progress.done + in_flight + again >= all, "{ended:?}");
    let mut cancelled = 0;
    for seq in seqs {
        match scene.status(seq).await {
            DeliveryStatus::Cancelled => cancelled += 1,
            // Its request was on its way, and was made again after the death.
            DeliveryStatus::Delivered => {}
            open => panic!("{open:?}"),
        }
    }
    assert_eq!(cancelled, ended.progress.done);
}

/// Deliveries of a task that may go before a fresh one: those that are due, those just taken up,
/// and a step that was on its way.
const AHEAD_MAX: usize =
    limit::TASK_BACKLOG_MAX + limit::CLAIM_PER_ENDPOINT_MAX + limit::TASK_STEP_DELIVERIES_MAX;

#[tokio::test(start_paused = true)]
async fn a_task_of_five_thousand_messages_lets_fresh_ones_pass() {
    const MESSAGES: usize = 5_000;
    let scene = Scene::new().await;
    let harness = &scene.harness;
    let begin = harness.now();
    for _ in 0..MESSAGES / 500 {
        scene.failed(500).await;
    }
    harness.endpoint(scene.app, "calm", &[]).await;
    let task = scene.create(TaskKind::Recover, since(begin)).await;
    let mut fresh = 0;
    for round in 1..=20 {
        // The task is in the midst of its work.
        harness
            .until(async || harness.sent_in_order().len() >= round * 150)
            .await;
        let before = harness.sent_in_order().len();
        let seq = harness.post(scene.app, "threat.created", None).await;
        harness.until_settled(scene.app, seq).await;
        fresh += 1;
        let sent = harness.sent_in_order();
        let (_, number) = sent
            .iter()
            .rev()
            .find(|(path, _)| path == "calm")
            .expect("it was sent to the other endpoint");
        let place = |path: &str| {
            let mut after = sent[before..].iter();
            let found = after.position(|one| one == &(path.to_owned(), *number));
            found.expect("it was sent")
        };
        assert!(place("calm") <= AHEAD_MAX, "{}", place("calm"));
        assert!(place("hook") <= AHEAD_MAX, "{}", place("hook"));
    }
    assert_eq!(scene.read(&task).await.state, TaskState::Running);
    let ended = scene.until_ended(&task).await;
    assert_eq!(ended.progress.done, MESSAGES as u64);
    harness
        .until(async || scene.sent().len() == MESSAGES + fresh)
        .await;
}
