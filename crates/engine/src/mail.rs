//! Mail: notices become mails to administrators, durably and without a flood.
//!
//! # Idea
//!
//! A notice that is to be mailed is counted in the store with its cause (`notices`). This loop
//! claims what is due, makes one mail for each application of it, and sends it to each person
//! alone. A kind of notice at an endpoint rests after a mail; what comes meanwhile is counted and
//! told in the next.
//!
//! # When the mail server is away
//!
//! Nothing waits for it but this loop. What was claimed comes back later and later, with all that
//! was counted since, and is given up after days: the inbox still has it.

mod compose;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use watchfire_deliver::{Letter, MailFault, Mailer};
use watchfire_domain::id::{ApplicationId, OrganizationId};
use watchfire_domain::limit;
use watchfire_domain::mail::Address;
use watchfire_domain::time::Timestamp;
use watchfire_store::{ApplicationRef, DueMail, MailClaim, MailEnd, MailResult, StoreResult};

use crate::catalog::Snapshot;
use crate::inner::Inner;
use crate::notices::MANAGEMENT;

/// How administrators are told.
pub struct Post {
    pub mailer: Arc<dyn Mailer>,
    /// Told about all applications.
    pub to: Vec<Address>,
    /// How long notices are gathered before the first mail about them.
    pub gather: Duration,
    /// Time between two mails about one kind of notice at one endpoint.
    pub interval: Duration,
}

/// A look without a hint.
const LOOK_ANYWAY: Duration = Duration::from_secs(30);
/// Rest after the store failed.
const FAULT_REST: Duration = Duration::from_secs(5);
/// One round ends before the leases of what it claimed do.
const ROUND_MAX: Duration = Duration::from_mins(4);

/// Mails what is due, over and over.
pub(crate) async fn mail_loop(inner: Arc<Inner>, post: Arc<Post>) {
    loop {
        let nap = match tick(&inner, &post).await {
            Ok(limit::MAIL_SUBJECTS_MAX..) => continue,
            Ok(_) => nap(&inner).await,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "mails wait");
                FAULT_REST
            }
        };
        // A hint that comes too late to be seen, or none, costs no more than a nap.
        drop(tokio::time::timeout(nap, inner.mail_wanted.notified()).await);
    }
}

async fn nap(inner: &Inner) -> Duration {
    let next = inner.store.next_mail_at().await.ok().flatten();
    let nap = next.map_or(LOOK_ANYWAY, |at| at.since(inner.clock.now()));
    // Late by up to a millisecond rather than early and awake twice.
    nap.min(LOOK_ANYWAY) + Duration::from_millis(1)
}

/// Mails what is due now, at most [`limit::MAIL_SUBJECTS_MAX`] subjects of it; returns how many.
async fn tick(inner: &Inner, post: &Post) -> StoreResult<usize> {
    let now = inner.clock.now();
    let life = inner.life();
    let claim = MailClaim {
        life: (*life).clone(),
        now,
        lease_until: now + limit::LEASE,
        limit: limit::MAIL_SUBJECTS_MAX,
    };
    let claimed = inner.store.claim_mail(claim).await;
    let due = inner.mind(&life, claimed)?;
    let claimed = due.len();
    let round_ends = tokio::time::Instant::now() + ROUND_MAX;
    let mut server_is_away = false;
    for batch in batches(due) {
        let outcome = if server_is_away {
            Outcome::nobody()
        } else {
            let sending = send(inner, post, &batch);
            let sent = tokio::time::timeout_at(round_ends, sending).await;
            sent.unwrap_or_else(|_| Ok(Outcome::nobody()))?
        };
        server_is_away |= outcome.server_is_away;
        let now = inner.clock.now();
        let ends = batch.mails.iter().map(|mail| outcome.end(mail, post, now));
        inner.store.end_mail(ends.collect()).await?;
    }
    Ok(claimed)
}

/// What goes into one mail: subjects of one application, for the same people.
struct Batch {
    org: OrganizationId,
    application: ApplicationId,
    /// Empty for all who are to be told.
    left: Vec<Address>,
    mails: Vec<DueMail>,
}

fn batches(due: Vec<DueMail>) -> Vec<Batch> {
    let mut batches: BTreeMap<_, Batch> = BTreeMap::new();
    for mail in due {
        let key = (mail.application, mail.left.clone());
        let batch = batches.entry(key).or_insert_with(|| Batch {
            org: mail.org.clone(),
            application: mail.application,
            left: mail.left.clone(),
            mails: Vec::new(),
        });
        batch.mails.push(mail);
    }
    batches.into_values().collect()
}

/// What became of a batch.
struct Outcome {
    told_anybody: bool,
    /// Who is to be tried again.
    left: Vec<Address>,
    server_is_away: bool,
}

impl Outcome {
    /// The server could not even be asked.
    fn nobody() -> Self {
        Self {
            told_anybody: false,
            left: Vec::new(),
            server_is_away: true,
        }
    }

    fn end(&self, mail: &DueMail, post: &Post, now: Timestamp) -> MailEnd {
        MailEnd {
            endpoint: mail.endpoint,
            kind: mail.kind,
            token: mail.token,
            count: mail.count,
            last_at: mail.last_at,
            result: self.result(mail, post, now),
        }
    }

    fn result(&self, mail: &DueMail, post: &Post, now: Timestamp) -> MailResult {
        let is_done = self.left.is_empty() && !self.server_is_away;
        let is_too_late = now.since(mail.first_at) > limit::MAIL_GIVE_UP;
        if is_too_late && !is_done {
            tracing::error!(
                kind = %mail.kind,
                endpoint.id = %mail.endpoint_id,
                count = mail.count,
                "a mail is given up; its notices stay in the inbox"
            );
        }
        if is_done || is_too_late {
            return MailResult::Told {
                rest_until: now + post.interval,
            };
        }
        let due_at = now + wait_after(mail.tries);
        if self.told_anybody {
            MailResult::Partly {
                left: self.left.clone(),
                due_at,
            }
        } else {
            MailResult::Failed { due_at }
        }
    }
}

/// Doubles with each try.
fn wait_after(tries: u32) -> Duration {
    let factor = 1_u32
        .checked_shl(tries.saturating_sub(1))
        .unwrap_or(u32::MAX);
    let wait = limit::MAIL_RETRY.saturating_mul(factor);
    wait.min(limit::MAIL_RETRY_MAX)
}

async fn send(inner: &Inner, post: &Post, batch: &Batch) -> StoreResult<Outcome> {
    let application = application_of(inner, batch).await?;
    let people = match (&application, batch.left.is_empty()) {
        (_, false) => batch.left.clone(),
        (Some(application), true) => people(application, post),
        (None, true) => post.to.clone(),
    };
    let mut outcome = Outcome {
        told_anybody: false,
        left: Vec::new(),
        server_is_away: false,
    };
    if people.is_empty() {
        return Ok(outcome);
    }
    let written = compose::compose(application.as_deref(), &batch.mails);
    let first = batch.mails.first().map(|mail| mail.id);
    let id = first.map(|id| id.to_string()).unwrap_or_default();
    let letters: Vec<_> = (1..)
        .zip(&people)
        .map(|(number, to)| Letter {
            id: format!("{id}_{number}"),
            to: to.clone(),
            at: inner.clock.now(),
            subject: written.subject.clone(),
            text: written.text.clone(),
            html: written.html.clone(),
        })
        .collect();
    for (letter, sent) in letters.iter().zip(post.mailer.send(&letters).await) {
        match sent {
            Ok(()) => {
                inner.metrics.mails_sent.inc();
                outcome.told_anybody = true;
            }
            Err(fault) => {
                inner.metrics.mails_failed.inc();
                report(letter, &fault);
                outcome.server_is_away |= !fault.is_about_one_letter();
                if !fault.is_final() {
                    outcome.left.push(letter.to.clone());
                }
            }
        }
    }
    Ok(outcome)
}

/// No address in the log: it says who works for whom.
fn report(letter: &Letter, fault: &MailFault) {
    let error = fault as &dyn std::error::Error;
    if fault.is_final() {
        tracing::error!(mail.id = %letter.id, error, "an administrator can't be reached by mail");
    } else {
        tracing::warn!(mail.id = %letter.id, error, "a mail waits");
    }
}

async fn application_of(inner: &Inner, batch: &Batch) -> StoreResult<Option<Arc<Snapshot>>> {
    let reference = ApplicationRef::Id(batch.application);
    if let Some(found) = inner.catalog.by_ref(&batch.org, &reference).await? {
        return Ok(Some(found));
    }
    let management = MANAGEMENT.parse().expect("a valid name");
    inner.catalog.by_ref(&management, &reference).await
}

/// The application's administrators and those who are told about all, each once.
fn people(application: &Snapshot, post: &Post) -> Vec<Address> {
    let settings = &application.stored.application.settings;
    let mut people = Vec::new();
    for address in settings.administrators.iter().chain(&post.to) {
        if !people.contains(address) {
            people.push(address.clone());
        }
    }
    people
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_limit() {
        let seconds = |tries| wait_after(tries).as_secs();
        assert_eq!([0, 1, 2, 3].map(seconds), [30, 30, 60, 120]);
        assert_eq!([6, 7, 40, u32::MAX].map(seconds), [900; 4]);
    }
}
