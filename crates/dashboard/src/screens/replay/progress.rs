//! How far a task has come, and how long it will take.
//!
//! A task walks its messages in the order of their ids, which tell the time. So the time it has
//! come to is its progress: no count of what is left is needed.

use std::time::Duration;

use maud::{Markup, html};
use watchfire_domain::time::Timestamp;
use watchfire_store::{Task, TaskFailure, TaskState};

use crate::ui::block::{grouped, progress};
use crate::ui::status::{Tone, badge};
use crate::ui::time;

/// Below this share nothing is said about the time left: it would jump.
const TOO_EARLY: f64 = 0.02;
/// Steps of a bar.
const STEPS: f64 = 1_000.0;

pub(super) fn of(task: &Task, first: Timestamp, now: Timestamp) -> Markup {
    match task.state {
        TaskState::Running => running(task, first, now),
        TaskState::Finished => {
            html! { (badge(Tone::Good, "Done")) span.hint { (took(task)) } }
        }
        TaskState::Cancelled => badge(Tone::Quiet, "Ended early"),
        TaskState::Failed(TaskFailure::EndpointDeleted) => {
            html! { (badge(Tone::Bad, "Failed")) span.hint { "The endpoint was deleted" } }
        }
    }
}

fn took(task: &Task) -> String {
    let took = task.updated_at.since(task.created_at);
    if took < Duration::from_secs(1) {
        return "within a second".to_owned();
    }
    format!("in {}", time::long(took))
}

fn running(task: &Task, first: Timestamp, now: Timestamp) -> Markup {
    let share = share(task, first);
    html! {
        @match share {
            Some(share) => { (progress("Progress", steps(share), Some(steps(1.0)))) }
            None => { (progress("Progress", task.progress.looked, None)) }
        }
        span.hint {
            "Looked at " (grouped(task.progress.looked))
            @if let Some(left) = share.and_then(|share| left(task, share, now)) {
                ", about " (time::long(left)) " left"
            }
        }
    }
}

/// How much of its time it has come through, 0 to 1.
fn share(task: &Task, first: Timestamp) -> Option<f64> {
    let cursor = task.progress.cursor?.ksuid().created_at();
    let begin = task.arguments.since.max(first);
    let whole = task.arguments.until.since(begin).as_secs_f64();
    let walked = cursor.since(begin).as_secs_f64();
    (whole > 0.0).then(|| (walked / whole).clamp(0.0, 1.0))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share between 0 and 1 makes a small number"
)]
fn steps(share: f64) -> u64 {
    (share * STEPS) as u64
}

/// If it goes on like this.
fn left(task: &Task, share: f64, now: Timestamp) -> Option<Duration> {
    if share < TOO_EARLY {
        return None;
    }
    let so_far = now.since(task.created_at).as_secs_f64();
    let left = so_far * (1.0 - share) / share;
    (left.is_finite() && left < 1e9).then(|| Duration::from_secs_f64(left))
}

#[cfg(test)]
mod tests {
    use watchfire_domain::id::{Ksuid, MessageId, TaskId};
    use watchfire_store::{AppKey, EndpointKey, TaskArguments, TaskKind};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000 + seconds)
    }

    fn task(cursor: Option<i64>) -> Task {
        let owner = ("org_one".parse().expect("valid"), AppKey(1), EndpointKey(1));
        let arguments = TaskArguments::of_span(Timestamp::EPOCH, at(100));
        let id = TaskId::from_ksuid(Ksuid::MIN);
        let mut task = Task::new(id, owner, (TaskKind::Recover, arguments), at(1_000));
        task.progress.cursor =
            cursor.map(|seconds| MessageId::from_ksuid(Ksuid::first_at(at(seconds))));
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
    fn the_time_left_follows_from_the_time_it_took() {
        let half = left(&task(Some(50)), 0.5, at(1_060));
        assert_eq!(half, Some(Duration::from_mins(1)));
        assert_eq!(left(&task(Some(50)), 0.001, at(1_060)), None);
    }
}
