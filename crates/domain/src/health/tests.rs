use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::outcome::{Cause, Phase, Verdict};

const SUCCESS: Outcome = Outcome::Accepted { status: 200 };
const GONE: Outcome = refused(410);
const UNAVAILABLE: Outcome = refused(503);

const fn refused(status: u16) -> Outcome {
    Outcome::Refused {
        status,
        retry_after: None,
    }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000) + Duration::from_secs(seconds)
}

fn policy(json: &str) -> Policy {
    serde_json::from_str(json).expect("valid")
}

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// An endpoint and what people were told about it.
struct Patient {
    health: Health,
    policy: Policy,
    notices: Vec<Notice>,
}

impl Patient {
    fn new(policy: Policy) -> Self {
        Self {
            health: Health::default(),
            policy,
            notices: Vec::new(),
        }
    }

    fn take(&mut self, decision: Decision) {
        self.health = decision.next;
        self.notices.extend(decision.notices);
    }

    fn record(&mut self, outcome: Outcome, seconds: u64) -> &mut Self {
        let decision = self
            .health
            .clone()
            .record(&outcome, at(seconds), &self.policy);
        self.take(decision);
        self
    }

    fn tick(&mut self, seconds: u64) -> &mut Self {
        let decision = self.health.clone().tick(at(seconds), &self.policy);
        self.take(decision);
        self
    }

    fn gate(&self, seconds: u64) -> Gate {
        self.health.gate(&self.policy, at(seconds))
    }

    /// Probes that fail, each as soon as it may be sent, until `end` or until disabled.
    fn fail_until(&mut self, end: u64) {
        let mut now = self.health.next_tick_at(&self.policy);
        while let Some(due) = now.filter(|due| *due <= at(end)) {
            let decision = self.health.clone().record(&UNAVAILABLE, due, &self.policy);
            self.take(decision);
            now = self.health.next_tick_at(&self.policy);
        }
    }
}

#[test]
fn success_keeps_an_active_endpoint_as_it_is() {
    let decision = Health::default().record(&SUCCESS, at(0), &Policy::default());
    assert_eq!(decision.effect, Effect::Unchanged);
    assert_eq!(decision.next, Health::default());
}

#[test]
fn the_fifth_failure_in_a_row_suspends_and_a_success_between_starts_anew() {
    let mut patient = Patient::new(Policy::default());
    for second in 0..4 {
        patient.record(UNAVAILABLE, second);
    }
    assert_eq!(patient.health.state(), State::Active);
    patient.record(SUCCESS, 4);
    assert_eq!(patient.health, Health::default());
    for second in 5..9 {
        patient.record(UNAVAILABLE, second);
    }
    assert_eq!(patient.health.state(), State::Active);
    patient.record(UNAVAILABLE, 9);
    assert_eq!(patient.health.state(), State::Suspended);
    assert_eq!(patient.health.first_error_at(), Some(at(5)));
    assert_eq!(patient.health.last_error_at(), Some(at(9)));
    assert_eq!(
        patient.gate(9),
        Gate::Hold {
            until: Some(at(19))
        }
    );
    assert_eq!(patient.gate(19), Gate::Probe);
}

#[test]
fn the_cool_down_doubles_with_each_failed_probe_up_to_an_hour() {
    let mut patient = Patient::new(Policy::default());
    for _ in 0..5 {
        patient.record(UNAVAILABLE, 0);
    }
    let mut waits = Vec::new();
    let mut before = at(0);
    for _ in 0..12 {
        let due = patient
            .health
            .next_tick_at(&patient.policy)
            .expect("suspended");
        waits.push(due.since(before).as_secs());
        before = due;
        let decision = patient
            .health
            .clone()
            .record(&UNAVAILABLE, due, &patient.policy);
        patient.take(decision);
    }
    assert_eq!(
        waits,
        [
            10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600, 3_600
        ]
    );
}

#[test]
fn late_outcomes_of_earlier_requests_do_not_count_while_suspended() {
    let mut patient = Patient::new(Policy::default());
    for _ in 0..5 {
        patient.record(UNAVAILABLE, 0);
    }
    let suspended = patient.health.clone();
    for outcome in [SUCCESS, UNAVAILABLE, GONE] {
        patient.record(outcome, 5);
        assert_eq!(patient.health, suspended, "{outcome:?}");
    }
}

#[test]
fn a_successful_probe_leads_through_probation_to_active() {
    let mut patient = Patient::new(Policy::default());
    for _ in 0..5 {
        patient.record(UNAVAILABLE, 0);
    }
    patient.record(SUCCESS, 10);
    assert_eq!(patient.health.state(), State::Probation);
    assert_eq!(patient.gate(10), Gate::Open);
    assert_eq!(patient.health.rate_limit(&patient.policy), Some(25));
    assert_eq!(patient.tick(310).health.state(), State::Probation);
    assert_eq!(patient.tick(311).health.state(), State::Active);
    assert_eq!(patient.health.rate_limit(&patient.policy), None);
    let moves = [
        (State::Active, State::Suspended),
        (State::Suspended, State::Probation),
        (State::Probation, State::Active),
    ];
    assert_eq!(
        patient.notices,
        moves.map(|(from, to)| Notice::Moved { from, to })
    );
}

#[test]
fn a_relapse_goes_on_with_the_longer_cool_down() {
    let mut patient = Patient::new(Policy::default());
    for _ in 0..5 {
        patient.record(UNAVAILABLE, 0);
    }
    patient.record(SUCCESS, 10);
    for _ in 0..5 {
        patient.record(UNAVAILABLE, 11);
    }
    assert_eq!(
        patient.gate(11),
        Gate::Hold {
            until: Some(at(31))
        }
    );
}

#[test]
fn gone_disables_at_once() {
    let mut patient = Patient::new(Policy::default());
    patient.record(GONE, 1);
    let Health::Disabled { cause, .. } = patient.health else {
        panic!("disabled");
    };
    assert_eq!(cause, DisableCause::Gone);
    assert_eq!(patient.gate(2), Gate::Hold { until: None });
}

#[test]
fn every_stage_is_warned_of_before_an_endpoint_is_disabled() {
    let mut patient = Patient::new(Policy::default());
    for _ in 0..5 {
        patient.record(UNAVAILABLE, 0);
    }
    patient.fail_until(30 * DAY);
    assert_eq!(patient.health.state(), State::Disabled);
    let warnings = patient
        .notices
        .iter()
        .filter(|n| matches!(n, Notice::Failing { .. }));
    assert_eq!(warnings.count(), 3);
    let disabled_at = patient.health.since().expect("disabled");
    assert!(disabled_at > at(5 * DAY) && disabled_at < at(5 * DAY + 2 * HOUR));
    assert_eq!(patient.health.first_error_at(), Some(at(0)));
}

#[test]
fn a_server_that_was_off_for_long_warns_before_it_disables() {
    let mut patient = Patient::new(Policy::default());
    for _ in 0..5 {
        patient.record(UNAVAILABLE, 0);
    }
    patient.record(UNAVAILABLE, 10 * DAY);
    assert_eq!(patient.health.state(), State::Suspended);
    let warning = Notice::Failing {
        since: at(0),
        disabled_from: Some(at(11 * DAY)),
    };
    assert_eq!(patient.notices.last(), Some(&warning));
    patient.fail_until(11 * DAY - 1);
    assert_eq!(patient.health.state(), State::Suspended);
    patient.fail_until(11 * DAY + HOUR);
    assert_eq!(patient.health.state(), State::Disabled);
}

#[test]
fn what_we_did_not_send_is_never_charged() {
    let policy = policy(r#"{"suspend_after":1,"other_failures":"permanent"}"#);
    let ours = [
        Outcome::Blocked {
            verdict: Verdict::Private,
        },
        Outcome::Skipped {
            reason: SkipReason::RenderFailed,
        },
        Outcome::Unreachable {
            cause: Cause::StaleConnection,
        },
    ];
    for outcome in ours {
        let decision = Health::default().record(&outcome, at(0), &policy);
        assert_eq!(decision.effect, Effect::Unchanged, "{outcome:?}");
    }
}

#[test]
fn a_clock_that_went_back_neither_disables_nor_holds_for_longer() {
    let mut patient = Patient::new(Policy::default());
    for _ in 0..5 {
        patient.record(UNAVAILABLE, 100 * DAY);
    }
    patient.tick(0);
    assert_eq!(patient.health.first_error_at(), Some(at(0)));
    assert_eq!(
        patient.gate(0),
        Gate::Hold {
            until: Some(at(10))
        }
    );
    patient.record(UNAVAILABLE, 10);
    assert_eq!(patient.health.state(), State::Suspended);
}

#[test]
fn messages_meanwhile_are_held_attempted_or_skipped() {
    let suspended = |messages: &str| {
        let json = format!(r#"{{"suspend_after":1,"suspended_messages":"{messages}"}}"#);
        let mut patient = Patient::new(policy(&json));
        patient.record(UNAVAILABLE, 0);
        patient
    };
    assert_eq!(
        suspended("hold").gate(1),
        Gate::Hold {
            until: Some(at(10))
        }
    );
    assert_eq!(suspended("attempt").gate(1), Gate::Open);
    assert_eq!(suspended("attempt").gate(10), Gate::Open);
    assert_eq!(
        suspended("skip").gate(1),
        Gate::Skip(SkipReason::EndpointSuspended)
    );
    assert_eq!(suspended("skip").gate(10), Gate::Probe);
    let mut attempted = suspended("attempt");
    assert_eq!(
        attempted.record(SUCCESS, 1).health.state(),
        State::Probation
    );
}

#[test]
fn people_switch_it_on_and_off() {
    let off = Health::default().deactivate(at(1), "Deactivate from UI");
    assert_eq!(off.next.contract_state(), "inactive_permanent");
    assert_eq!(
        off.next.note().map(|note| note.to_string()).as_deref(),
        Some("Deactivate from UI")
    );
    assert_eq!(off.next.first_error_at(), None);
    let on = off.next.activate();
    assert_eq!((&on.next, on.effect), (&Health::default(), Effect::Changed));
    assert_eq!(on.next.activate().effect, Effect::Unchanged);
    let long = "ä".repeat(crate::limit::HEALTH_NOTE_CHARS_MAX + 1);
    let note = Health::default().deactivate(at(1), &long).next.note();
    let length = note.map(|note| note.to_string().chars().count());
    assert_eq!(length, Some(crate::limit::HEALTH_NOTE_CHARS_MAX));
}

#[test]
fn a_policy_that_never_acts_only_remembers() {
    let json =
        r#"{"permanent":[],"suspend_after":"never","disable_after":"never","warn_after":[]}"#;
    let mut patient = Patient::new(policy(json));
    for second in 0..100 {
        patient.record(
            if second % 2 == 0 { UNAVAILABLE } else { GONE },
            second * DAY,
        );
    }
    assert_eq!(patient.health.state(), State::Active);
    assert!(patient.notices.is_empty());
    assert_eq!(patient.health.first_error_at(), Some(at(0)));
}

#[test]
fn the_most_specific_rule_decides() {
    let policy = policy(
        r#"{"transient":["429","timeout","connection_refused"],
            "permanent":["refused","unreachable"],"neutral":["4xx"]}"#,
    );
    let check = |outcome, class| assert_eq!(policy.class_of(&outcome), class, "{outcome:?}");
    check(refused(429), Class::Transient);
    check(refused(404), Class::Neutral);
    check(refused(500), Class::Permanent);
    check(Outcome::TimedOut { phase: Phase::Tls }, Class::Transient);
    let unreachable = |cause| Outcome::Unreachable { cause };
    check(unreachable(Cause::ConnectionRefused), Class::Transient);
    check(unreachable(Cause::NameNotFound), Class::Permanent);
    check(Outcome::Malformed, Class::Transient);
}

#[test]
fn wrong_policies_are_named() {
    let check = |json: &str, expect: &str| {
        let error = serde_json::from_str::<Policy>(json)
            .expect_err("refused")
            .to_string();
        assert!(error.starts_with(expect), "{json}: {error}");
    };
    check(r#"{"transient":["600"]}"#, "\"600\" is no outcome");
    check(
        r#"{"transient":["410"]}"#,
        "the outcome \"410\" is listed twice",
    );
    check(r#"{"suspend_after":0}"#, "suspend_after must be at least 1");
    check(
        r#"{"suspend_after":"often"}"#,
        "expected \"never\", or a number",
    );
    check(r#"{"cooldown":"0s"}"#, "cooldown must be at least 1ms");
    check(r#"{"cooldown":"2h"}"#, "cooldown_max must not be shorter");
    check(
        r#"{"cooldown_growth":0}"#,
        "cooldown_growth must be at least 1",
    );
    check(r#"{"warn_after":["2h","1h"]}"#, "warn_after must rise");
    check(
        r#"{"warn_after":["5d"]}"#,
        "warn_after must rise, and end before",
    );
    check(
        r#"{"disabled_messages":"attempt"}"#,
        "disabled_messages must be hold or skip",
    );
    check(r#"{"other_failures":"success"}"#, "other_failures must be");
    check(r#"{"cool_down":"1s"}"#, "unknown field `cool_down`");
}

#[test]
fn what_older_versions_stored_is_read() {
    let read = |json: &str| serde_json::from_str::<Health>(json).expect("readable");
    assert_eq!(read(r#"{"state":"active"}"#), Health::default());
    let disabled = read(r#"{"state":"disabled","since":"2026-02-20T10:30:00Z","cause":"gone"}"#);
    assert_eq!(disabled.state(), State::Disabled);
    assert_eq!(disabled.trouble(), None);
    assert_eq!(
        serde_json::to_string(&Health::default()).expect("serializable"),
        r#"{"state":"active"}"#
    );
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        3 => Just(SUCCESS),
        4 => (100u16..600).prop_map(refused),
        2 => Just(Outcome::TimedOut { phase: Phase::FirstByte }),
        2 => Just(Outcome::Unreachable { cause: Cause::ConnectionRefused }),
        1 => Just(Outcome::Blocked { verdict: Verdict::Private }),
    ]
}

proptest! {
    #[test]
    fn no_history_breaks_the_rules(
        steps in proptest::collection::vec((outcomes(), -100_000i64..100_000), 1..80),
        messages in prop_oneof![Just("hold"), Just("skip"), Just("attempt")],
        suspend_after in 1u32..4,
    ) {
        let json = format!(
            r#"{{"suspend_after":{suspend_after},"suspended_messages":"{messages}"}}"#
        );
        let policy = policy(&json);
        let mut health = Health::default();
        let mut now = at(DAY);
        for (outcome, shift) in steps {
            now = Timestamp::from_unix_micros(now.unix_micros() + shift * 1_000_000);
            let before = health.clone();
            let decision = health.record(&outcome, now, &policy);
            // A decision says whether it changed anything, and tells of every change of state.
            if decision.effect == Effect::Unchanged {
                prop_assert_eq!(&decision.next, &before);
            }
            let told = decision.notices.iter().any(|n| matches!(n, Notice::Moved { .. }));
            prop_assert!(told || before.state() == decision.next.state());
            health = decision.next;
            // No stored instant lies in the future, and nobody waits longer than a cool-down.
            prop_assert!(health.first_error_at() <= health.last_error_at());
            prop_assert!(health.last_error_at().is_none_or(|at| at <= now));
            if let Health::Suspended { check_at, .. } = &health {
                prop_assert!(check_at.since(now) <= Duration::from_hours(1));
            }
            // It survives being stored.
            let stored = serde_json::to_string(&health).expect("serializable");
            prop_assert_eq!(&serde_json::from_str::<Health>(&stored).expect("readable"), &health);
        }
    }
}
