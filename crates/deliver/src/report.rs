//! What an attempt brought, as facts.

use std::net::SocketAddr;
use std::time::Duration;

use watchfire_domain::attempt::{Response, Timing};
use watchfire_domain::outcome::{Cause, Outcome, Phase, SuccessRule, Verdict};

/// The facts of one attempt.
#[derive(Clone, Debug)]
pub struct Report {
    pub exchange: Result<Answer, Failure>,
    /// The address that was dialled; `None` if none was, also because all were refused.
    pub address: Option<SocketAddr>,
    pub timing: Timing,
}

/// A complete answer, or one cut at [`watchfire_domain::limit::RESPONSE_BODY_BYTES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// What `Retry-After` asked for, at most [`watchfire_domain::limit::RETRY_AFTER_MAX`].
    pub retry_after: Option<Duration>,
    pub response: Response,
}

/// Why there is no answer.
///
/// An answer whose body does not arrive in time is `TimedOut { phase: Body }`, although its
/// status is known: an answer that was never finished is not an answer, and counting it would
/// let a receiver hold a slot for the whole deadline at no cost to its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    TimedOut {
        phase: Phase,
    },
    Unreachable {
        cause: Cause,
    },
    Blocked {
        verdict: Verdict,
    },
    Oversize,
    Malformed,
    /// This server lacks what a connection takes: it says nothing about the receiver.
    Exhausted,
}

/// No attempt was made, for lack of files or memory of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("open a connection: this server is out of files or memory")]
pub struct Exhausted;

impl Report {
    /// The outcome of the attempt for a contract with this rule.
    ///
    /// # Errors
    ///
    /// [`Exhausted`]: the fault is ours, and must not be charged to the endpoint.
    pub fn outcome(&self, rule: SuccessRule) -> Result<Outcome, Exhausted> {
        Ok(match &self.exchange {
            Ok(answer) => rule.judge(answer.status, answer.retry_after),
            Err(Failure::TimedOut { phase }) => Outcome::TimedOut { phase: *phase },
            Err(Failure::Unreachable { cause }) => Outcome::Unreachable { cause: *cause },
            Err(Failure::Blocked { verdict }) => Outcome::Blocked { verdict: *verdict },
            Err(Failure::Oversize) => Outcome::Oversize,
            Err(Failure::Malformed) => Outcome::Malformed,
            Err(Failure::Exhausted) => return Err(Exhausted),
        })
    }
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        Self::Unreachable { cause }
    }
}

impl From<Verdict> for Failure {
    fn from(verdict: Verdict) -> Self {
        Self::Blocked { verdict }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(exchange: Result<Answer, Failure>, rule: SuccessRule) -> Result<Outcome, Exhausted> {
        Report {
            exchange,
            address: None,
            timing: Timing::default(),
        }
        .outcome(rule)
    }

    #[test]
    fn an_answer_is_judged_by_the_rule() {
        let answer = Answer {
            status: 302,
            retry_after: Some(Duration::from_secs(3)),
            response: Response::default(),
        };
        assert_eq!(
            outcome(Ok(answer.clone()), SuccessRule::Success2xx),
            Ok(Outcome::Refused {
                status: 302,
                retry_after: Some(Duration::from_secs(3))
            })
        );
        assert_eq!(
            outcome(Ok(answer), SuccessRule::Below400),
            Ok(Outcome::Accepted { status: 302 })
        );
    }

    #[test]
    fn every_failure_but_our_own_has_its_outcome_under_every_rule() {
        let phase = Phase::Tls;
        let cause = Cause::ConnectionRefused;
        let verdict = Verdict::Loopback;
        let rule = SuccessRule::AnyResponse;
        for (failure, expected) in [
            (Failure::TimedOut { phase }, Outcome::TimedOut { phase }),
            (cause.into(), Outcome::Unreachable { cause }),
            (verdict.into(), Outcome::Blocked { verdict }),
            (Failure::Oversize, Outcome::Oversize),
            (Failure::Malformed, Outcome::Malformed),
        ] {
            assert_eq!(outcome(Err(failure), rule), Ok(expected));
        }
        assert_eq!(outcome(Err(Failure::Exhausted), rule), Err(Exhausted));
    }
}
