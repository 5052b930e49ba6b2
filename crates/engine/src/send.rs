//! Render and deliver: one job becomes one request, and what came of it goes to be recorded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use watchfire_deliver::{Exhausted, Request};
use watchfire_domain::attempt::{AfterAttempt, Attempt, RecipeNumber, Response, Sent, Timing};
use watchfire_domain::id::AttemptId;
use watchfire_domain::outcome::{Outcome, SkipReason};
use watchfire_domain::retry::Schedule;
use watchfire_domain::time::Timestamp;
use watchfire_store::{Epoch, StoreResult};

use crate::dispatch::{Job, Pace};
use crate::endpoint::{Endpoint, Sendable};
use crate::inner::Inner;
use crate::record::Entry;

/// How long a delivery rests when a fault of ours kept it from being attempted.
const FAULT_REST: Duration = Duration::from_secs(5);

/// A job whose attempt has ended.
pub(crate) struct Finished {
    pub(crate) job: Job,
    /// Absent if the endpoint is gone.
    pub(crate) endpoint: Option<Arc<Endpoint>>,
    pub(crate) outcome: Outcome,
    id: AttemptId,
    attempted_at: Timestamp,
    address: Option<SocketAddr>,
    sent: Option<Sent>,
    response: Option<Response>,
    timing: Timing,
}

/// Why there was no attempt, through nobody's fault but ours.
#[derive(Debug, thiserror::Error)]
enum NotMade {
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    #[error("this node's lease may have ended")]
    NoLease,
    /// It has waited in its lane for too long: another attempt might begin before this one ends.
    #[error("its claim may end before the attempt does")]
    ClaimEnds,
}

/// What one request yielded.
struct Made {
    outcome: Outcome,
    address: Option<SocketAddr>,
    sent: Option<Sent>,
    response: Option<Response>,
    timing: Timing,
}

impl Made {
    fn skipped(reason: SkipReason) -> Self {
        Self::without_request(Outcome::Skipped { reason })
    }

    fn without_request(outcome: Outcome) -> Self {
        Self {
            outcome,
            address: None,
            sent: None,
            response: None,
            timing: Timing::default(),
        }
    }
}

/// Owns a job in flight. If its task dies, the job goes back to `owed` instead of being forgotten.
struct InFlight {
    inner: Arc<Inner>,
    job: Option<Job>,
    /// Under which it was taken out of its lane.
    epoch: Epoch,
}

impl InFlight {
    fn finish(mut self, finished: impl FnOnce(Job) -> Finished) {
        let Some(job) = self.job.take() else {
            return;
        };
        let finished = finished(job);
        let pace = Pace::of(&finished.outcome, &finished.timing);
        let endpoint = finished.job.delivery.endpoint;
        self.inner.answered(self.epoch, endpoint, pace);
        self.inner
            .write(self.epoch, Entry::Ended(Box::new(finished)));
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            let now = self.inner.clock.now();
            let due_at = if self.inner.is_stopping() {
                job.due_at(now)
            } else {
                now + FAULT_REST
            };
            self.inner
                .answered(self.epoch, job.delivery.endpoint, Pace::Unknown);
            self.inner
                .write(self.epoch, Entry::GiveBack { job, due_at });
        }
    }
}

/// Sends one job and hands over what came of it.
pub(crate) async fn send(inner: Arc<Inner>, job: Job, epoch: Epoch) {
    let in_flight = InFlight {
        inner: Arc::clone(&inner),
        job: Some(job.clone()),
        epoch,
    };
    let (endpoint, recipe) = match look_up(&inner, &job).await {
        Ok(found) => found,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "a delivery rests: its endpoint could not be read");
            return;
        }
    };
    let attempted_at = inner.clock.now();
    let id = AttemptId::new(attempted_at, inner.entropy.as_ref());
    let made = match &endpoint {
        None => Ok(Made::skipped(SkipReason::EndpointDeleted)),
        Some(endpoint) => {
            let begun = Begun {
                at: attempted_at,
                epoch,
                recipe,
            };
            attempt(&inner, endpoint, &job, begun).await
        }
    };
    let made = match made {
        Ok(made) => made,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "a delivery rests: it could not be attempted");
            return;
        }
    };
    in_flight.finish(|job| Finished {
        job,
        endpoint,
        outcome: made.outcome,
        id,
        attempted_at,
        address: made.address,
        sent: made.sent,
        response: made.response,
        timing: made.timing,
    });
}

/// The endpoint of a job, and by which recipe its requests are made. Before the attempt's time is
/// taken: the store may have to be told of the recipe.
async fn look_up(
    inner: &Inner,
    job: &Job,
) -> StoreResult<(Option<Arc<Endpoint>>, Option<RecipeNumber>)> {
    let key = job.delivery.endpoint;
    let endpoint = inner.catalog.endpoint(job.delivery.app, key).await?;
    let Some(recipe) = endpoint.as_deref().and_then(Endpoint::recipe) else {
        return Ok((endpoint, None));
    };
    let now = inner.clock.now();
    let number = inner.recipes.number(key, recipe, now).await?;
    Ok((endpoint, Some(number)))
}

/// What is settled when an attempt begins.
#[derive(Clone, Copy)]
struct Begun {
    at: Timestamp,
    epoch: Epoch,
    recipe: Option<RecipeNumber>,
}

async fn attempt(
    inner: &Inner,
    endpoint: &Endpoint,
    job: &Job,
    begun: Begun,
) -> Result<Made, NotMade> {
    let now = begun.at;
    let skips = endpoint.skips(now).filter(|_| !job.message.details.ping);
    if let Some(reason) = skips {
        return Ok(Made::skipped(reason));
    }
    let Some(payload) = &job.message.payload else {
        return Ok(Made::skipped(SkipReason::PayloadExpired));
    };
    let Sendable {
        target,
        spelling,
        rendered,
    } = match endpoint.render(&job.message, payload, now) {
        Ok(ready) => ready,
        Err(outcome) => return Ok(Made::without_request(outcome)),
    };
    let sent = begun.recipe.map(|recipe| Sent {
        recipe,
        signature: rendered.signature().to_owned(),
    });
    let request = Request {
        target,
        method: endpoint.method(),
        headers: rendered.headers,
        spelling,
        body: rendered.body,
        timeout: endpoint.timeout(),
    };
    let ends_at = now + request.timeout;
    if job.claimed_until.is_some_and(|until| until < ends_at) {
        return Err(NotMade::ClaimEnds);
    }
    if !inner.may_start(begun.epoch) {
        return Err(NotMade::NoLease);
    }
    let report = inner.transport.send(request).await;
    let outcome = report.outcome(endpoint.success_of(&job.message))?;
    Ok(Made {
        outcome,
        address: report.address,
        sent,
        timing: report.timing,
        response: report.exchange.ok().map(|answer| answer.response),
    })
}

impl Finished {
    pub(crate) fn schedule(&self) -> &Schedule {
        static NONE: Schedule = Schedule::none();
        let repeats = self
            .endpoint
            .as_deref()
            .filter(|_| !self.is_ping() && !self.job.series.once);
        repeats.map_or(&NONE, Endpoint::schedule)
    }

    /// On which revision its endpoint's health was judged.
    pub(crate) fn health_revision(&self) -> i64 {
        let endpoint = self.endpoint.as_ref();
        endpoint.map_or(0, |endpoint| endpoint.stored.health_revision)
    }

    /// A ping asks once, and changes nobody's health: whoever asked decides.
    pub(crate) fn is_ping(&self) -> bool {
        self.job.message.details.ping
    }

    /// The attempt as it goes into the history; the answer moves into it.
    pub(crate) fn take_attempt(&mut self, next: AfterAttempt) -> Attempt {
        let url = self
            .endpoint
            .as_ref()
            .map(|endpoint| endpoint.stored.endpoint.settings.url.clone());
        Attempt {
            id: self.id,
            attempted_at: self.attempted_at,
            number: self.job.series.attempts + 1,
            trigger: self.job.series.trigger,
            url: url.unwrap_or_default(),
            address: self.address,
            outcome: self.outcome,
            sent: self.sent.take(),
            response: self.response.take(),
            timing: self.timing,
            next,
        }
    }

    /// The one line that tells an attempt's whole story. Successes are for debugging: at tens of
    /// thousands a second a log of them would cost more than the deliveries.
    pub(crate) fn log(&self, attempt: &Attempt) {
        let Some(endpoint) = &self.endpoint else {
            return;
        };
        let id = endpoint.stored.endpoint.identity.id;
        let total_ms = u64::try_from(self.timing.total.as_millis()).unwrap_or(u64::MAX);
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    endpoint.id = %id,
                    message.id = %self.job.message.id,
                    attempt.id = %self.id,
                    attempt.number = attempt.number,
                    outcome = %self.outcome,
                    next = ?attempt.next,
                    total_ms,
                    "attempt"
                )
            };
        }
        if self.outcome.is_accepted() {
            line!(debug);
        } else {
            line!(info);
        }
    }
}
