//! Mail, in simulated time.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use watchfire_deliver::{Letter, MailFault, Mailer, Stage};
use watchfire_domain::limit;
use watchfire_domain::time::Timestamp;

use super::harness::{Behavior, Harness};

/// A mail server that notes what it takes, and may be away.
#[derive(Default)]
struct Office {
    is_away: Mutex<bool>,
    /// Takes the letters and never says so.
    is_silent: Mutex<bool>,
    tries: Mutex<Vec<Timestamp>>,
    taken: Mutex<Vec<Letter>>,
}

#[async_trait]
impl Mailer for Office {
    async fn send(&self, letters: &[Letter]) -> Vec<Result<(), MailFault>> {
        let at = letters.first().map(|letter| letter.at);
        self.tries.lock().extend(at);
        if *self.is_silent.lock() {
            std::future::pending::<()>().await;
        }
        if *self.is_away.lock() {
            return vec![Err(MailFault::TimedOut(Stage::Connecting)); letters.len()];
        }
        self.taken.lock().extend_from_slice(letters);
        vec![Ok(()); letters.len()]
    }
}

impl Office {
    fn taken(&self) -> Vec<Letter> {
        self.taken.lock().clone()
    }
}

/// A server whose one endpoint refuses every message.
async fn refusing(office: &Arc<Office>) -> (Harness, watchfire_store::AppKey) {
    let harness = Harness::start_mailing(Arc::clone(office) as Arc<dyn Mailer>).await;
    let app = harness.application().await;
    harness.endpoint(app, "down", &[]).await;
    harness.always("down", Behavior::Status(410));
    (harness, app)
}

#[tokio::test(start_paused = true)]
async fn a_mail_gathers_first_and_its_kind_rests_then() {
    let office = Arc::new(Office::default());
    let (harness, app) = refusing(&office).await;
    let begun = harness.now();
    harness.post(app, "threat.created", None).await;
    harness.until(async || !office.taken().is_empty()).await;
    let first = &office.taken()[0];
    assert_eq!(
        first.subject,
        "test (Standard): endpoint disabled at example.com"
    );
    assert!(first.at.since(begun) >= limit::MAIL_GATHER);
    assert!(first.at.since(begun) < limit::MAIL_GATHER + Duration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_is_asked_later_and_later() {
    let office = Arc::new(Office::default());
    *office.is_away.lock() = true;
    let (harness, app) = refusing(&office).await;
    harness.post(app, "threat.created", None).await;
    harness.until(async || office.tries.lock().len() == 8).await;
    let tries = office.tries.lock().clone();
    let waits: Vec<_> = tries
        .windows(2)
        .map(|pair| pair[1].since(pair[0]).as_secs())
        .collect();
    assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900]);
    *office.is_away.lock() = false;
    harness.until(async || !office.taken().is_empty()).await;
    assert_eq!(office.taken().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mail_is_given_up_after_days() {
    let office = Arc::new(Office::default());
    *office.is_away.lock() = true;
    let (harness, app) = refusing(&office).await;
    harness.post(app, "threat.created", None).await;
    let idle = async || {
        harness
            .engine
            .store()
            .next_mail_at()
            .await
            .expect("read")
            .is_none()
    };
    harness
        .until(async || !office.tries.lock().is_empty())
        .await;
    harness.until(idle).await;
    let tries = office.tries.lock().clone();
    let span = tries[tries.len() - 1].since(tries[0]);
    assert!(span + limit::MAIL_GATHER >= limit::MAIL_GIVE_UP, "{span:?}");
    assert!(
        span <= limit::MAIL_GIVE_UP + limit::MAIL_RETRY_MAX + Duration::from_hours(1),
        "{span:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_mail_outlives_the_process() {
    let office = Arc::new(Office::default());
    *office.is_away.lock() = true;
    let (harness, app) = refusing(&office).await;
    harness.post(app, "threat.created", None).await;
    harness
        .until(async || !office.tries.lock().is_empty())
        .await;
    let harness = harness.die_and_restart().await;
    *office.is_away.lock() = false;
    harness.until(async || !office.taken().is_empty()).await;
    assert_eq!(office.taken().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mail_in_flight_at_a_crash_goes_out_with_the_restart() {
    let office = Arc::new(Office::default());
    *office.is_silent.lock() = true;
    let (harness, app) = refusing(&office).await;
    harness.post(app, "threat.created", None).await;
    harness
        .until(async || !office.tries.lock().is_empty())
        .await;
    *office.is_silent.lock() = false;
    let harness = harness.die_and_restart().await;
    let restarted_at = harness.now();
    harness.until(async || !office.taken().is_empty()).await;
    let waited = office.taken()[0].at.since(restarted_at);
    assert!(waited < limit::LEASE / 2, "{waited:?}");
}
