//! The health policies that ship: each as a table, and DefectDojo's against its transitions T1 to
//! T13, to the second.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use watchfire_contracts::Catalog;
use watchfire_domain::health::{
    Bound, Decision, DisableCause, Gate, Health, Notice, Policy, Row, State, transitions,
};
use watchfire_domain::outcome::{Cause, Outcome, Phase, SkipReason};
use watchfire_domain::time::Timestamp;

fn policy(contract: &str) -> Policy {
    let catalog = Catalog::embedded();
    catalog
        .contract(contract)
        .expect("embedded")
        .manifest()
        .health
        .clone()
}

/// What a row leads to, in one line.
fn result(row: &Row) -> String {
    let Decision { next, notices, .. } = &row.decision;
    let mut text = next.state_name().to_owned();
    match next {
        Health::Active {
            trouble: Some(trouble),
            ..
        } => {
            write!(text, " with {} failures in a row", trouble.failures).expect("a string grows");
        }
        Health::Suspended { step, .. } => write!(text, " (step {step})").expect("a string grows"),
        Health::Disabled { cause, .. } => write!(text, " ({cause:?})").expect("a string grows"),
        Health::Active { .. } | Health::Probation { .. } => {}
    }
    for notice in notices {
        match notice {
            Notice::Moved { .. } => text.push_str(", told"),
            Notice::Failing { .. } => text.push_str(", warned"),
            Notice::Recovered => text.push_str(", told it recovered"),
        }
    }
    text
}

/// The table of a policy: for each situation, what leads where.
fn table(policy: &Policy) -> String {
    let mut situations: Vec<(String, BTreeMap<String, Vec<String>>)> = Vec::new();
    for row in transitions(policy) {
        let from = row.from.to_string();
        if situations.last().is_none_or(|(last, _)| *last != from) {
            situations.push((from, BTreeMap::new()));
        }
        let (_, results) = situations.last_mut().expect("just pushed");
        results
            .entry(result(&row))
            .or_default()
            .push(row.trial.to_string());
    }
    let mut text = String::new();
    for (from, results) in situations {
        writeln!(text, "{from}").expect("a string grows");
        for (to, trials) in results {
            writeln!(text, "  -> {to}: {}", trials.join(", ")).expect("a string grows");
        }
    }
    text
}

#[test]
fn every_state_and_every_outcome_under_our_own_policy() {
    insta::assert_snapshot!(table(&policy("standard")));
    assert_eq!(policy("standard"), Policy::default());
    assert_eq!(policy("envelope"), Policy::default());
}

#[test]
fn every_state_and_every_outcome_under_defectdojo_s_policy() {
    insta::assert_snapshot!(table(&policy("defectdojo")));
}

#[test]
fn every_state_and_every_outcome_where_no_states_are_documented() {
    insta::assert_snapshot!(table(&policy("dfend")));
    for name in ["website-defender", "defguard", "defense-com"] {
        assert_eq!(policy(name), policy("dfend"), "{name}");
    }
}

const START: i64 = 1_767_225_600;
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(START) + Duration::from_secs(seconds)
}

fn answered(status: u16) -> Outcome {
    match status {
        200..300 => Outcome::Accepted { status },
        _ => Outcome::Refused {
            status,
            retry_after: None,
        },
    }
}

/// A DefectDojo endpoint on a line of time.
struct Dojo {
    health: Health,
    policy: Policy,
}

impl Dojo {
    fn new() -> Self {
        Self {
            health: Health::default(),
            policy: policy("defectdojo"),
        }
    }

    fn record(&mut self, seconds: u64, outcome: Outcome) -> &mut Self {
        self.health = self
            .health
            .clone()
            .record(&outcome, at(seconds), &self.policy)
            .next;
        self
    }

    fn tick(&mut self, seconds: u64) -> &mut Self {
        self.health = self.health.clone().tick(at(seconds), &self.policy).next;
        self
    }

    /// State, `first_error`, `last_error` in seconds, and the note.
    #[track_caller]
    fn check(&self, state: &str, errors: Option<(u64, u64)>, note: Option<&str>) {
        assert_eq!(self.health.contract_state(), state);
        let found = self
            .health
            .first_error_at()
            .zip(self.health.last_error_at());
        assert_eq!(found, errors.map(|(first, last)| (at(first), at(last))));
        assert_eq!(
            self.health.note().map(|note| note.to_string()).as_deref(),
            note
        );
    }

    fn gate(&self, seconds: u64) -> Gate {
        self.health.gate(&self.policy, at(seconds))
    }
}

const TIMEOUT: Outcome = Outcome::TimedOut {
    phase: Phase::FirstByte,
};
const NOTE_503: Option<&str> = Some("Response status code: 503");

#[test]
fn t1_a_new_endpoint_is_active_without_errors_or_note() {
    Dojo::new().check("active", None, None);
}

#[test]
fn t2_success_changes_nothing_on_an_active_endpoint() {
    let mut dojo = Dojo::new();
    for status in [200, 201, 204, 299] {
        dojo.record(1, answered(status)).check("active", None, None);
    }
}

#[test]
fn t3_a_temporary_error_suspends_and_remembers_the_instant() {
    let timed_out = "Requests exception: timed out while waiting for the answer";
    let cases = [
        (answered(500), "Response status code: 500"),
        (answered(503), "Response status code: 503"),
        (answered(429), "Response status code: 429"),
        (TIMEOUT, timed_out),
    ];
    for (outcome, note) in cases {
        let mut dojo = Dojo::new();
        dojo.record(7, outcome)
            .check("inactive_tmp", Some((7, 7)), Some(note));
        assert_eq!(dojo.gate(8), Gate::Skip(SkipReason::EndpointSuspended));
        assert_eq!(dojo.health.next_tick_at(&dojo.policy), Some(at(67)));
    }
}

#[test]
fn t4_a_permanent_error_disables_active_and_watched_endpoints_and_overwrites_both_errors() {
    let unreachable = |cause| Outcome::Unreachable { cause };
    let cases = [
        (answered(404), "Response status code: 404"),
        (answered(410), "Response status code: 410"),
        (answered(302), "Response status code: 302"),
        (
            unreachable(Cause::ConnectionRefused),
            "Exception: unreachable: the connection was refused",
        ),
        (
            unreachable(Cause::NameNotFound),
            "Exception: unreachable: the name has no address",
        ),
        (
            unreachable(Cause::NameServerFailed),
            "Exception: unreachable: the name server failed",
        ),
        (
            unreachable(Cause::TlsUnknownIssuer),
            "Exception: unreachable: the certificate's issuer is not trusted",
        ),
        (
            Outcome::Malformed,
            "Exception: the answer was not valid HTTP",
        ),
    ];
    for (outcome, note) in cases {
        let mut dojo = Dojo::new();
        dojo.record(7, outcome)
            .check("inactive_permanent", Some((7, 7)), Some(note));
        assert_eq!(dojo.gate(8), Gate::Skip(SkipReason::EndpointDisabled));

        let mut watched = Dojo::new();
        watched
            .record(0, answered(503))
            .tick(60)
            .check("active_tmp", Some((0, 0)), NOTE_503);
        watched
            .record(100, outcome)
            .check("inactive_permanent", Some((100, 100)), Some(note));
    }
}

#[test]
fn t5_sixty_seconds_after_the_failure_it_is_watched() {
    let mut dojo = Dojo::new();
    dojo.record(0, answered(503));
    dojo.tick(59).check("inactive_tmp", Some((0, 0)), NOTE_503);
    dojo.tick(60).check("active_tmp", Some((0, 0)), NOTE_503);
    assert_eq!(dojo.gate(60), Gate::Open);
}

#[test]
fn t5_a_late_timer_leaves_what_is_no_longer_suspended_alone() {
    let mut dojo = Dojo::new();
    dojo.record(0, answered(503));
    dojo.health = dojo
        .health
        .clone()
        .deactivate(at(30), "Deactivate from UI")
        .next;
    dojo.tick(60)
        .check("inactive_permanent", None, Some("Deactivate from UI"));
}

#[test]
fn t6_the_safety_net_catches_a_cool_down_longer_than_five_minutes() {
    let catalog = Catalog::embedded();
    let overrides = "[health]\ncooldown = \"1h\"\n".parse().expect("TOML");
    let contract = catalog.contract("defectdojo").expect("embedded");
    let contract = contract.with_overrides("test", &overrides).expect("valid");
    let mut dojo = Dojo::new();
    dojo.policy = contract.manifest().health.clone();
    dojo.record(0, answered(503));
    dojo.tick(300).check("inactive_tmp", Some((0, 0)), NOTE_503);
    dojo.tick(301).check("active_tmp", Some((0, 0)), NOTE_503);
}

#[test]
fn t7_success_on_a_watched_endpoint_changes_nothing() {
    let mut dojo = Dojo::new();
    dojo.record(0, answered(503)).tick(60);
    let before = dojo.health.clone();
    dojo.record(61, answered(200));
    assert_eq!(dojo.health, before);
    dojo.check("active_tmp", Some((0, 0)), NOTE_503);
}

#[test]
fn t8_an_error_within_24_h_of_the_first_suspends_again() {
    for (seconds, expect) in [(100, 100), (DAY - 1, DAY - 1)] {
        let mut dojo = Dojo::new();
        dojo.record(0, answered(503)).tick(60);
        dojo.record(seconds, answered(503))
            .check("inactive_tmp", Some((0, expect)), NOTE_503);
        dojo.tick(seconds + 59)
            .check("inactive_tmp", Some((0, expect)), NOTE_503);
        dojo.tick(seconds + 60)
            .check("active_tmp", Some((0, expect)), NOTE_503);
    }
}

#[test]
fn t8_exactly_24_h_after_the_first_error_is_still_within() {
    let mut dojo = Dojo::new();
    dojo.record(0, answered(503))
        .tick(60)
        .record(100, answered(503))
        .tick(160);
    dojo.record(DAY, answered(503))
        .check("inactive_tmp", Some((0, DAY)), NOTE_503);
}

#[test]
fn t9_an_error_more_than_24_h_after_the_first_disables_and_keeps_the_first() {
    let mut dojo = Dojo::new();
    dojo.record(0, answered(503))
        .tick(60)
        .record(100, answered(503))
        .tick(160);
    dojo.record(DAY + 1, answered(503));
    dojo.check("inactive_permanent", Some((0, DAY + 1)), NOTE_503);
    let Health::Disabled { cause, .. } = dojo.health else {
        panic!("disabled");
    };
    assert_eq!(cause, DisableCause::NoSuccess);
}

#[test]
fn t9_three_isolated_errors_over_25_h_disable_although_all_else_succeeded() {
    let mut dojo = Dojo::new();
    for hour in [0, 23, 25] {
        dojo.record(hour * HOUR, answered(503))
            .tick(hour * HOUR + 60);
        dojo.record(hour * HOUR + 600, answered(200));
    }
    dojo.check("inactive_permanent", Some((0, 25 * HOUR)), NOTE_503);
}

#[test]
fn t10_24_h_without_an_error_make_it_active_and_say_so() {
    let mut dojo = Dojo::new();
    dojo.record(0, answered(503))
        .tick(60)
        .record(100, answered(503))
        .tick(160);
    dojo.tick(100 + DAY)
        .check("active_tmp", Some((0, 100)), NOTE_503);
    dojo.tick(100 + DAY + 1)
        .check("active", None, Some("Reactivation from active_tmp"));
}

#[test]
fn t10_a_timer_that_comes_days_late_makes_both_steps() {
    let mut dojo = Dojo::new();
    dojo.record(0, answered(503));
    let decision = dojo.health.clone().tick(at(3 * DAY), &dojo.policy);
    assert_eq!(decision.next.contract_state(), "active");
    let moves = [
        (State::Suspended, State::Probation),
        (State::Probation, State::Active),
    ];
    assert_eq!(
        decision.notices,
        moves.map(|(from, to)| Notice::Moved { from, to })
    );
}

#[test]
fn t11_an_admin_activates_from_any_state_and_clears_errors_and_note() {
    let mut dojo = Dojo::new();
    dojo.record(0, answered(404));
    dojo.health = dojo.health.clone().activate().next;
    dojo.check("active", None, None);
    dojo.record(1, answered(503));
    dojo.health = dojo.health.clone().activate().next;
    dojo.check("active", None, None);
}

#[test]
fn t12_an_admin_deactivates_from_any_state_with_a_note_and_without_errors() {
    for outcome in [answered(200), answered(503), answered(404)] {
        let mut dojo = Dojo::new();
        dojo.record(0, outcome);
        dojo.health = dojo
            .health
            .clone()
            .deactivate(at(1), "Deactivate from UI")
            .next;
        dojo.check("inactive_permanent", None, Some("Deactivate from UI"));
    }
}

#[test]
fn results_that_arrive_while_it_is_inactive_change_nothing() {
    for (first, state) in [(503, "inactive_tmp"), (404, "inactive_permanent")] {
        let mut dojo = Dojo::new();
        dojo.record(0, answered(first));
        let before = dojo.health.clone();
        for status in [200, 404, 503] {
            dojo.record(30, answered(status));
            assert_eq!(
                (&dojo.health, dojo.health.contract_state()),
                (&before, state)
            );
        }
    }
}

#[test]
fn d14_what_we_could_not_send_never_disables() {
    let mut dojo = Dojo::new();
    let reason = SkipReason::RenderFailed;
    dojo.record(0, Outcome::Skipped { reason })
        .check("active", None, None);
}

#[test]
fn products_without_states_stay_active_whatever_happens() {
    let policy = policy("defense-com");
    let mut health = Health::default();
    for day in 0..60 {
        let decision = health.record(&answered(410), at(day * DAY), &policy);
        assert!(decision.notices.is_empty());
        health = decision.next;
    }
    assert_eq!(health.gate(&policy, at(61 * DAY)), Gate::Open);
    assert_eq!(policy.disable_after, Bound::Never);
}
