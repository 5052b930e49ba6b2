//! How far a task has come, and how long it will take.
//!
//! A task walks its messages in the order of their ids, which tell the time. So the time it has
//! come to is its progress: no count of what is left is needed.

use std::time::Duration;

use maud::{Markup, html};
use watchfire_domain::time::Timestamp;
use watchfire_store::{Task, TaskFailure, TaskKind, TaskState};

use crate::ui::block::{grouped, progress_share};
use crate::ui::status::{Tone, badge};
use crate::ui::time;

/// Below this share nothing is said about the time left: it would jump.
const TOO_EARLY: f64 = 0.02;

pub(super) fn shown(task: &Task, first: Timestamp, now: Timestamp) -> Markup {
    match task.state {
        TaskState::Running => under_way(task, first, now),
        TaskState::Paused => {
            html! { (badge(Tone::Quiet, "Paused")) " " (under_way(task, first, now)) }
        }
        TaskState::Finished => {
            html! { (badge(Tone::Good, "Done")) span.hint { (took(task, now)) } }
        }
        TaskState::Cancelled => badge(Tone::Quiet, "Ended early"),
        TaskState::Failed(TaskFailure::EndpointDeleted) => {
            html! { (badge(Tone::Bad, "Failed")) span.hint { "The endpoint was deleted" } }
        }
        TaskState::Failed(TaskFailure::ReportTooLarge) => {
            html! { (badge(Tone::Bad, "Failed")) span.hint { "There is too much to report" } }
        }
    }
}

fn took(task: &Task, now: Timestamp) -> String {
    let took = task.worked(now);
    if took < Duration::from_secs(1) {
        return "within a second".to_owned();
    }
    format!("in {}", time::long(took))
}

fn under_way(task: &Task, first: Timestamp, now: Timestamp) -> Markup {
    let share = share(task, first);
    let left = share.and_then(|share| left(task, share, now));
    let looked = grouped(task.progress.looked);
    html! {
        (progress_share("Progress", share))
        span.hint {
            @match task.arguments.messages {
                Some(messages) => { "Looked at " (looked) " of " (grouped(messages)) }
                None => { "Looked at " (looked) }
            }
            @if let Some(rate) = rate(task, now) { "; " (grouped(rate)) " a second" }
            @match (left, task.state) {
                (Some(left), TaskState::Paused) => { "; about " (time::long(left)) " once it goes on" }
                (Some(left), _) => { "; about " (time::long(left)) " left" }
                (None, _) => {}
            }
        }
    }
}

/// How much of it is done, 0 to 1: of what was counted before, or of the time it goes through.
fn share(task: &Task, first: Timestamp) -> Option<f64> {
    match task.arguments.messages {
        Some(messages) if task.kind != TaskKind::CancelMessages => {
            Some(of(task.progress.looked, messages))
        }
        Some(_) | None => share_of_time(task, first),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share needs no sixteenth digit"
)]
fn of(done: u64, all: u64) -> f64 {
    (done as f64 / all.max(1) as f64).min(1.0)
}

fn share_of_time(task: &Task, first: Timestamp) -> Option<f64> {
    let cursor = task.progress.cursor?.created_at();
    let begin = task.arguments.since.max(first);
    let whole = task.arguments.until.since(begin).as_secs_f64();
    let walked = cursor.since(begin).as_secs_f64();
    (whole > 0.0).then(|| (walked / whole).clamp(0.0, 1.0))
}

/// Messages looked at a second so far; nothing is said before it has gone on for a moment.
fn rate(task: &Task, now: Timestamp) -> Option<u64> {
    let seconds = task.worked(now).as_secs();
    (task.state == TaskState::Running && seconds > 0).then(|| task.progress.looked / seconds)
}

/// If it goes on like this.
fn left(task: &Task, share: f64, now: Timestamp) -> Option<Duration> {
    if share < TOO_EARLY {
        return None;
    }
    let so_far = task.worked(now).as_secs_f64();
    let left = so_far * (1.0 - share) / share;
    (left.is_finite() && left < 1e9).then(|| Duration::from_secs_f64(left))
}

#[cfg(test)]
mod tests {
    use watchfire_domain::id::{Ksuid, TaskId};
    use watchfire_store::{AppKey, EndpointKey, Steering, Subject, TaskArguments};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000 + seconds)
    }

    fn task(cursor: Option<i64>) -> Task {
        let subject = Subject::Endpoint {
            app: AppKey(1),
            endpoint: EndpointKey(1),
        };
        let owner = ("org_one".parse().expect("valid"), subject);
        let arguments = TaskArguments::of_span(Timestamp::EPOCH, at(100));
        let id = TaskId::from_ksuid(Ksuid::MIN);
        let mut task = Task::new(id, owner, (TaskKind::Recover, arguments), at(1_000));
        task.progress.cursor = cursor.map(|seconds| Ksuid::first_at(at(seconds)));
        task
    }

    #[test]
    fn progress_is_the_time_it_has_come_to() {
        assert_eq!(share(&task(None), at(0)), None);
        let half = share(&task(Some(50)), at(0)).expect("known");
        assert!((half - 0.5).abs() < 0.001, "{half}");
        assert_eq!(share(&task(Some(500)), at(0)), Some(1.0));
    }

    #[test]
    fn progress_is_what_was_looked_at_where_all_was_counted() {
        let mut task = task(Some(90));
        task.arguments.messages = Some(200);
        task.progress.looked = 50;
        assert_eq!(share(&task, at(0)), Some(0.25));
        task.progress.looked = 201;
        assert_eq!(share(&task, at(0)), Some(1.0), "more came meanwhile");
        task.arguments.messages = Some(0);
        task.progress.looked = 0;
        assert_eq!(share(&task, at(0)), Some(0.0));
    }

    #[test]
    fn a_pause_does_not_make_the_rest_longer() {
        let paused = task(Some(50)).steered(Steering::Pause, at(1_060));
        let paused = paused.expect("it ran");
        let minute = Some(Duration::from_mins(1));
        assert_eq!(left(&paused, 0.5, at(9_000)), minute);
        let shown = shown(&paused, at(0), at(9_000)).into_string();
        assert!(shown.contains("about 1 min once it goes on"), "{shown}");
        let resumed = paused.steered(Steering::Resume, at(9_000));
        assert_eq!(
            left(&resumed.expect("it was paused"), 0.5, at(9_000)),
            minute
        );
    }

    #[test]
    fn the_time_left_follows_from_the_time_it_took() {
        let half = left(&task(Some(50)), 0.5, at(1_060));
        assert_eq!(half, Some(Duration::from_mins(1)));
        assert_eq!(left(&task(Some(50)), 0.001, at(1_060)), None);
    }
}
