//! Notices: what is recorded together with its cause, and how it becomes operational webhooks.
//!
//! # Idea
//!
//! A notice is composed here from what is about to be recorded and written in the same transaction,
//! so that a crash loses neither and invents neither. What is written waits in the store; this
//! module's loop hands it over as a message of the operational application, whose event id is the
//! notice's: told twice, it is accepted once. From there it is delivered like any message.
//!
//! # No loop in a circle
//!
//! What happens in an operational application makes no operational webhooks, only lines in the
//! inbox of the organization it belongs to.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use watchfire_contracts::manifest;
use watchfire_domain::ambient::Entropy;
use watchfire_domain::attempt::{AfterAttempt, Attempt, Settlement};
use watchfire_domain::health::{Health, Notice, State};
use watchfire_domain::id::{AttemptId, MessageId, NoticeId, OrganizationId, Uid};
use watchfire_domain::message::{Details, Message};
use watchfire_domain::notice::{NoticeKind, Topic};
use watchfire_domain::time::Timestamp;
use watchfire_store::{ApplicationRef, InboxPlace, NewNotice, StoreResult, Untold};

use crate::accept::{AcceptError, Audience, NewEvent};
use crate::catalog::Snapshot;
use crate::endpoint::Endpoint;
use crate::inner::Inner;

/// Whose applications are the operational ones, one for each organization, by its id.
pub(crate) const MANAGEMENT: &str = "org_00000000000SvixManagement00";

/// From this failed attempt on, a message is said to fail.
const FAILING_FROM: u32 = 4;
/// Notices handed over between two looks at the store.
const TOLD_TOGETHER: usize = 100;
/// A look without a hint.
const LOOK_ANYWAY: Duration = Duration::from_secs(30);
/// Rest after a fault.
const FAULT_REST: Duration = Duration::from_secs(5);

/// The `data` of a notice about an endpoint.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EndpointData<'a> {
    app_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_uid: Option<&'a Uid>,
    endpoint_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint_uid: Option<&'a Uid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fail_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_from: Option<Timestamp>,
}

/// The `data` of a notice about an attempt.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AttemptData<'a> {
    app_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_uid: Option<&'a Uid>,
    msg_id: MessageId,
    #[serde(skip_serializing_if = "Option::is_none")]
    msg_event_id: Option<&'a Uid>,
    endpoint_id: String,
    last_attempt: LastAttempt,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LastAttempt {
    id: AttemptId,
    response_status_code: u16,
    timestamp: Timestamp,
}

/// Who did what a notice is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Outcome,
    Person,
}

/// An endpoint that notices are about, and whoever is told.
pub(crate) struct About<'a> {
    pub(crate) entropy: &'a dyn Entropy,
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) now: Timestamp,
    /// How long it is gathered for a mail; `None` if none is sent.
    pub(crate) mail_gather: Option<Duration>,
}

impl About<'_> {
    /// What an attempt says about its message, if that is worth telling.
    pub(crate) fn attempt(&self, message: &Message, attempt: &Attempt) -> Option<NewNotice> {
        if message.details.ping {
            return None;
        }
        let kind = match attempt.next {
            AfterAttempt::Retry { .. } if attempt.number >= FAILING_FROM => {
                NoticeKind::AttemptFailing
            }
            AfterAttempt::Settled {
                settlement: Settlement::Exhausted,
            } => NoticeKind::AttemptExhausted,
            AfterAttempt::Settled {
                settlement: Settlement::Delivered,
            } if attempt.number > FAILING_FROM => NoticeKind::AttemptRecovered,
            AfterAttempt::Retry { .. } | AfterAttempt::Settled { .. } => return None,
        };
        let data = AttemptData {
            app_id: self.endpoint.application_id.to_string(),
            app_uid: self.endpoint.application_uid.as_ref(),
            msg_id: message.id,
            msg_event_id: message.event_id.as_ref(),
            endpoint_id: self.endpoint.stored.endpoint.identity.id.to_string(),
            last_attempt: LastAttempt {
                id: attempt.id,
                response_status_code: attempt.outcome.status().unwrap_or(0),
                timestamp: attempt.attempted_at,
            },
        };
        Some(self.notice(kind, to_json(&data), By::Outcome))
    }

    /// What a change of health says.
    pub(crate) fn health(&self, health: &Health, notices: &[Notice], by: By) -> Vec<NewNotice> {
        let told = notices.iter().filter_map(|notice| {
            let (kind, disabled_from) = match notice {
                Notice::Moved { to, .. } => (kind_of(*to)?, None),
                Notice::Failing { disabled_from, .. } => {
                    (NoticeKind::EndpointFailing, *disabled_from)
                }
                Notice::Recovered => (NoticeKind::EndpointRecovered, None),
            };
            let fails = kind != NoticeKind::EndpointRecovered;
            let since = health.first_error_at().or(health.since());
            let data = EndpointData {
                fail_since: since.filter(|_| fails),
                disabled_from,
                ..self.endpoint_data()
            };
            Some(self.notice(kind, to_json(&data), by))
        });
        told.collect()
    }

    fn endpoint_data(&self) -> EndpointData<'_> {
        let identity = &self.endpoint.stored.endpoint.identity;
        EndpointData {
            app_id: self.endpoint.application_id.to_string(),
            app_uid: self.endpoint.application_uid.as_ref(),
            endpoint_id: identity.id.to_string(),
            endpoint_uid: identity.uid.as_ref(),
            fail_since: None,
            disabled_from: None,
        }
    }

    fn notice(&self, kind: NoticeKind, data: String, by: By) -> NewNotice {
        let Endpoint {
            org,
            application_uid,
            ..
        } = self.endpoint;
        let is_operational = is_operational(org);
        let owner = application_uid.as_ref().filter(|_| is_operational);
        let owner = owner.and_then(|uid| uid.as_str().parse().ok());
        let place = InboxPlace {
            application: self.endpoint.application_id,
            endpoint: self.endpoint.stored.key,
            endpoint_id: self.endpoint.stored.endpoint.identity.id,
            mail_at: self.mail_at(kind),
        };
        NewNotice {
            id: NoticeId::new(self.now, self.entropy),
            org: owner.unwrap_or_else(|| org.clone()),
            at: self.now,
            kind,
            data,
            webhook: !is_operational,
            inbox: (by == By::Outcome && kind.stands_in_inbox()).then_some(place),
        }
    }
}

impl About<'_> {
    /// When a mail says it, if the contract has people told.
    fn mail_at(&self, kind: NoticeKind) -> Option<Timestamp> {
        let notify = self.endpoint.contract.manifest().notify;
        let told = match kind.topic()? {
            Topic::Exhausted => notify.exhausted,
            Topic::Health => notify.health,
        };
        match told {
            manifest::Audience::Admins => Some(self.now + self.mail_gather?),
            manifest::Audience::Nobody => None,
        }
    }
}

fn kind_of(state: State) -> Option<NoticeKind> {
    match state {
        State::Active => Some(NoticeKind::EndpointRecovered),
        State::Suspended => Some(NoticeKind::EndpointSuspended),
        State::Disabled => Some(NoticeKind::EndpointDisabled),
        // On its way back; what comes of it is told.
        State::Probation => None,
    }
}

/// A notice about what a person did to an endpoint. `None` within an operational application.
pub(crate) fn of_edit(
    id: NoticeId,
    app: &Snapshot,
    identity: &watchfire_domain::endpoint::Identity,
    kind: NoticeKind,
    now: Timestamp,
) -> Option<NewNotice> {
    let org = &app.stored.org;
    let data = EndpointData {
        app_id: app.stored.application.id.to_string(),
        app_uid: app.stored.application.uid.as_ref(),
        endpoint_id: identity.id.to_string(),
        endpoint_uid: identity.uid.as_ref(),
        fail_since: None,
        disabled_from: None,
    };
    (!is_operational(org)).then(|| NewNotice {
        id,
        org: org.clone(),
        at: now,
        kind,
        data: to_json(&data),
        webhook: true,
        inbox: None,
    })
}

pub(crate) fn is_operational(org: &OrganizationId) -> bool {
    org.as_str() == MANAGEMENT
}

fn to_json(data: &impl Serialize) -> String {
    serde_json::to_string(data).expect("notices are plain data with text keys")
}

/// Hands what waits to the operational applications, over and over.
pub(crate) async fn tell_loop(inner: Arc<Inner>) {
    loop {
        match tell(&inner).await {
            Ok(told) if told == TOLD_TOGETHER => {}
            Ok(_) => {
                // A hint that comes too late to be seen, or none, costs no more than a while.
                drop(tokio::time::timeout(LOOK_ANYWAY, inner.noticed.notified()).await);
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "operational webhooks wait"
                );
                tokio::time::sleep(FAULT_REST).await;
            }
        }
    }
}

/// Why a notice still waits.
#[derive(Debug, thiserror::Error)]
enum TellError {
    #[error(transparent)]
    Store(#[from] watchfire_store::StoreError),
    #[error(transparent)]
    Accept(#[from] AcceptError),
}

async fn tell(inner: &Inner) -> Result<usize, TellError> {
    let untold = inner.store.untold(TOLD_TOGETHER).await?;
    let mut applications = HashMap::new();
    let mut told = Vec::with_capacity(untold.len());
    let mut fault = None;
    for notice in untold {
        if !applications.contains_key(&notice.org) {
            let found = application_of(inner, &notice.org).await?;
            applications.insert(notice.org.clone(), found);
        }
        let application = applications.get(&notice.org).and_then(Option::as_ref);
        let id = notice.id;
        // Nobody listens, or somebody does and it is on disk.
        let done = match application {
            Some(application) => hand_over(inner, application, notice).await,
            None => Ok(()),
        };
        match done {
            Ok(()) => told.push(id),
            Err(error) => {
                fault = Some(error);
                break;
            }
        }
    }
    let count = told.len();
    if count > 0 {
        inner.metrics.notices.inc_by(count as u64);
        inner.store.told(told).await?;
    }
    fault.map_or(Ok(count), |error| Err(error.into()))
}

/// The operational application of an organization, if anyone subscribes there.
async fn application_of(inner: &Inner, org: &OrganizationId) -> StoreResult<Option<Arc<Snapshot>>> {
    let Ok(uid) = org.as_str().parse() else {
        return Ok(None);
    };
    let management = MANAGEMENT.parse().expect("a valid name");
    let found = inner
        .catalog
        .by_ref(&management, &ApplicationRef::Uid(uid))
        .await?;
    Ok(found.filter(|application| !application.endpoints.is_empty()))
}

async fn hand_over(
    inner: &Inner,
    application: &Arc<Snapshot>,
    notice: Untold,
) -> Result<(), AcceptError> {
    let now = inner.clock.now();
    let kind = notice.kind.event_type();
    let payload = format!(r#"{{"type":"{kind}","data":{}}}"#, notice.data);
    let event = NewEvent {
        id: MessageId::new(now, inner.entropy.as_ref()),
        accepted_at: now,
        event_type: kind.parse().expect("kinds are valid names"),
        event_id: notice.id.to_string().parse().ok(),
        payload: Bytes::from(payload),
        record_key: None,
        urgency: None,
        details: Details::default(),
        remember: None,
        audience: Audience::Subscribers,
    };
    match inner.accept(application, event).await {
        Ok(_) | Err(AcceptError::EventIdTaken(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
