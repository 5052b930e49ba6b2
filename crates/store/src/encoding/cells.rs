//! Words that take several columns: an outcome, what follows an attempt, the state of a task.

use std::time::Duration;

use watchfire_domain::attempt::{AfterAttempt, RecipeNumber, Sent, Settlement};
use watchfire_domain::health::Health;
use watchfire_domain::outcome::Outcome;
use watchfire_domain::time::Timestamp;

use super::Code;
use crate::{AppKey, EndpointKey, Subject, TaskFailure, TaskState};

/// Columns that contradict each other or hold what this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistent {
    #[error("outcome {outcome} with status {status:?} and detail {detail:?} means nothing")]
    Outcome {
        outcome: i64,
        status: Option<u16>,
        detail: Option<i64>,
    },
    /// An attempt that says neither what comes next nor that it was the last.
    #[error("there is no settlement and no next attempt")]
    NeitherSettledNorDue,
    #[error("settlement {0} is not a value this version knows")]
    Settlement(i64),
    #[error("state {state} with failure {failure:?} means nothing")]
    State { state: i64, failure: Option<i64> },
    #[error("an endpoint without its application is no subject")]
    Subject,
    #[error("change of kind {0} does not name what was changed")]
    Changed(i64),
}

/// An outcome, as its columns hold it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutcomeCells {
    /// 0 is the ordinary case, accepted with 2xx, so that indexes of all others can leave it out.
    pub outcome: i64,
    pub status: Option<u16>,
    /// The phase, cause, verdict or reason of an outcome that has one.
    pub detail: Option<i64>,
    pub retry_after_ns: Option<i64>,
}

const ACCEPTED_2XX: i64 = 0;
const ACCEPTED_OTHER: i64 = 1;
const REFUSED: i64 = 2;
const TIMED_OUT: i64 = 3;
const UNREACHABLE: i64 = 4;
const BLOCKED: i64 = 5;
const OVERSIZE: i64 = 6;
const MALFORMED: i64 = 7;
const SKIPPED: i64 = 8;

/// Whether the number in the `outcome` column means that the receiver accepted.
pub fn is_accepted(outcome: i64) -> bool {
    matches!(outcome, ACCEPTED_2XX | ACCEPTED_OTHER)
}

impl From<&Outcome> for OutcomeCells {
    fn from(outcome: &Outcome) -> Self {
        let plain = |outcome| Self {
            outcome,
            ..Self::default()
        };
        let detailed = |outcome, detail| Self {
            detail: Some(detail),
            ..plain(outcome)
        };
        match *outcome {
            Outcome::Accepted { status } => Self {
                status: Some(status),
                ..plain(match status {
                    200..300 => ACCEPTED_2XX,
                    _ => ACCEPTED_OTHER,
                })
            },
            Outcome::Refused {
                status,
                retry_after,
            } => Self {
                status: Some(status),
                retry_after_ns: retry_after
                    .map(|wait| i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX)),
                ..plain(REFUSED)
            },
            Outcome::TimedOut { phase } => detailed(TIMED_OUT, phase.code()),
            Outcome::Unreachable { cause } => detailed(UNREACHABLE, cause.code()),
            Outcome::Blocked { verdict } => detailed(BLOCKED, verdict.code()),
            Outcome::Oversize => plain(OVERSIZE),
            Outcome::Malformed => plain(MALFORMED),
            Outcome::Skipped { reason } => detailed(SKIPPED, reason.code()),
        }
    }
}

impl TryFrom<OutcomeCells> for Outcome {
    type Error = Inconsistent;

    fn try_from(cells: OutcomeCells) -> Result<Self, Inconsistent> {
        cells.outcome().ok_or(Inconsistent::Outcome {
            outcome: cells.outcome,
            status: cells.status,
            detail: cells.detail,
        })
    }
}

impl OutcomeCells {
    fn outcome(&self) -> Option<Outcome> {
        let nanoseconds = |ns: i64| Duration::from_nanos(ns.unsigned_abs());
        Some(match self.outcome {
            ACCEPTED_2XX | ACCEPTED_OTHER => Outcome::Accepted {
                status: self.status?,
            },
            REFUSED => Outcome::Refused {
                status: self.status?,
                retry_after: self.retry_after_ns.map(nanoseconds),
            },
            TIMED_OUT => Outcome::TimedOut {
                phase: Code::from_code(self.detail?)?,
            },
            UNREACHABLE => Outcome::Unreachable {
                cause: Code::from_code(self.detail?)?,
            },
            BLOCKED => Outcome::Blocked {
                verdict: Code::from_code(self.detail?)?,
            },
            OVERSIZE => Outcome::Oversize,
            MALFORMED => Outcome::Malformed,
            SKIPPED => Outcome::Skipped {
                reason: Code::from_code(self.detail?)?,
            },
            _ => return None,
        })
    }
}

/// What follows an attempt, as its columns hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextCells {
    pub settlement: Option<i64>,
    pub next_due_at: Option<i64>,
}

impl From<AfterAttempt> for NextCells {
    fn from(next: AfterAttempt) -> Self {
        match next {
            AfterAttempt::Retry { due_at } => Self {
                settlement: None,
                next_due_at: Some(due_at.unix_micros()),
            },
            AfterAttempt::Settled { settlement } => Self {
                settlement: Some(settlement.code()),
                next_due_at: None,
            },
        }
    }
}

impl TryFrom<NextCells> for AfterAttempt {
    type Error = Inconsistent;

    fn try_from(cells: NextCells) -> Result<Self, Inconsistent> {
        match (cells.settlement, cells.next_due_at) {
            (Some(code), _) => Settlement::from_code(code)
                .map(|settlement| Self::Settled { settlement })
                .ok_or(Inconsistent::Settlement(code)),
            (None, Some(due_at)) => Ok(Self::Retry {
                due_at: Timestamp::from_unix_micros(due_at),
            }),
            (None, None) => Err(Inconsistent::NeitherSettledNorDue),
        }
    }
}

/// The state of a task, as its columns hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateCells {
    pub state: i64,
    /// Why it failed.
    pub failure: Option<i64>,
}

impl StateCells {
    pub const RUNNING: i64 = 0;
    pub const FINISHED: i64 = 1;
    pub const FAILED: i64 = 2;
    pub const CANCELLED: i64 = 3;
    pub const PAUSED: i64 = 4;
}

impl From<TaskState> for StateCells {
    fn from(state: TaskState) -> Self {
        let (state, failure) = match state {
            TaskState::Running => (Self::RUNNING, None),
            TaskState::Finished => (Self::FINISHED, None),
            TaskState::Failed(failure) => (Self::FAILED, Some(failure.code())),
            TaskState::Cancelled => (Self::CANCELLED, None),
            TaskState::Paused => (Self::PAUSED, None),
        };
        Self { state, failure }
    }
}

impl TryFrom<StateCells> for TaskState {
    type Error = Inconsistent;

    fn try_from(cells: StateCells) -> Result<Self, Inconsistent> {
        let StateCells { state, failure } = cells;
        let known = match (state, failure) {
            (StateCells::RUNNING, None) => Some(Self::Running),
            (StateCells::FINISHED, None) => Some(Self::Finished),
            (StateCells::FAILED, Some(code)) => TaskFailure::from_code(code).map(Self::Failed),
            (StateCells::CANCELLED, None) => Some(Self::Cancelled),
            (StateCells::PAUSED, None) => Some(Self::Paused),
            _ => None,
        };
        known.ok_or(Inconsistent::State { state, failure })
    }
}

/// What a task is about, as its columns hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubjectCells {
    pub app: Option<i64>,
    pub endpoint: Option<i64>,
}

impl From<Subject> for SubjectCells {
    fn from(subject: Subject) -> Self {
        let (app, endpoint) = match subject {
            Subject::Endpoint { app, endpoint } => (Some(app.0), Some(endpoint.0)),
            Subject::Application(app) => (Some(app.0), None),
            Subject::Organization => (None, None),
        };
        Self { app, endpoint }
    }
}

impl TryFrom<SubjectCells> for Subject {
    type Error = Inconsistent;

    fn try_from(cells: SubjectCells) -> Result<Self, Inconsistent> {
        match (cells.app.map(AppKey), cells.endpoint.map(EndpointKey)) {
            (Some(app), Some(endpoint)) => Ok(Self::Endpoint { app, endpoint }),
            (Some(app), None) => Ok(Self::Application(app)),
            (None, None) => Ok(Self::Organization),
            (None, Some(_)) => Err(Inconsistent::Subject),
        }
    }
}

/// A count in a signed column.
pub fn count_cell(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The hour an attempt counts for, since 1970.
pub fn hour_of(at: Timestamp) -> i64 {
    at.unix_seconds().div_euclid(3_600)
}

/// What an attempt sent: a recipe and a signature come together.
pub fn sent_of(recipe: Option<i64>, signature: Option<String>) -> Option<Sent> {
    let (number, signature) = recipe.zip(signature)?;
    Some(Sent {
        recipe: RecipeNumber(number),
        signature,
    })
}

/// Whether time may change an endpoint's health.
pub fn is_unwell(health: &Health) -> bool {
    match health {
        Health::Active { .. } => false,
        Health::Suspended { .. } | Health::Probation { .. } | Health::Disabled { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use watchfire_domain::outcome::{Cause, Phase, SkipReason, Verdict};

    use super::*;

    #[test]
    fn outcomes_round_trip() {
        let outcomes = [
            Outcome::Accepted { status: 204 },
            Outcome::Accepted { status: 302 },
            Outcome::Refused {
                status: 503,
                retry_after: Some(Duration::from_millis(1_500)),
            },
            Outcome::Refused {
                status: 400,
                retry_after: None,
            },
            Outcome::TimedOut { phase: Phase::Body },
            Outcome::Unreachable {
                cause: Cause::StaleConnection,
            },
            Outcome::Blocked {
                verdict: Verdict::Metadata,
            },
            Outcome::Oversize,
            Outcome::Malformed,
            Outcome::Skipped {
                reason: SkipReason::Cancelled,
            },
        ];
        for outcome in outcomes {
            let cells = OutcomeCells::from(&outcome);
            assert_eq!(Outcome::try_from(cells), Ok(outcome));
            assert_eq!(is_accepted(cells.outcome), outcome.is_accepted());
        }
    }

    #[test]
    fn cells_that_contradict_each_other_are_named() {
        let without_status = OutcomeCells::default();
        let read = Outcome::try_from(without_status);
        assert!(
            matches!(read, Err(Inconsistent::Outcome { .. })),
            "{read:?}"
        );
        let neither = NextCells {
            settlement: None,
            next_due_at: None,
        };
        let read = AfterAttempt::try_from(neither);
        assert_eq!(read, Err(Inconsistent::NeitherSettledNorDue));
        let unknown = StateCells {
            state: StateCells::FAILED,
            failure: None,
        };
        let read = TaskState::try_from(unknown);
        assert!(matches!(read, Err(Inconsistent::State { .. })), "{read:?}");
    }

    #[test]
    fn subjects_round_trip() {
        let endpoint = EndpointKey(2);
        for subject in [
            Subject::Endpoint {
                app: AppKey(1),
                endpoint,
            },
            Subject::Application(AppKey(1)),
            Subject::Organization,
        ] {
            assert_eq!(Subject::try_from(SubjectCells::from(subject)), Ok(subject));
        }
        let alone = SubjectCells {
            app: None,
            endpoint: Some(2),
        };
        assert_eq!(Subject::try_from(alone), Err(Inconsistent::Subject));
    }

    #[test]
    fn states_round_trip() {
        for state in [
            TaskState::Running,
            TaskState::Paused,
            TaskState::Finished,
            TaskState::Failed(TaskFailure::EndpointDeleted),
            TaskState::Failed(TaskFailure::ReportTooLarge),
            TaskState::Cancelled,
        ] {
            assert_eq!(TaskState::try_from(StateCells::from(state)), Ok(state));
        }
    }
}
