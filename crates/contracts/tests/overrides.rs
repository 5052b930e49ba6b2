//! Every number and choice of a contract can be changed in the configuration, and a wrong one is
//! refused by its name, whatever the contract.

use std::time::Duration;

use toml::Table;
use watchfire_contracts::{Catalog, Contract, LoadError};
use watchfire_domain::endpoint::{Secrets, Settings};
use watchfire_domain::health::{Gate, Health, Notice, Policy};
use watchfire_domain::outcome::Outcome;
use watchfire_domain::secret::SigningKey;
use watchfire_domain::time::Timestamp;

/// A key, a value that no contract that ships has (or all there are, of which each has one), a
/// wrong value, and what is said about it.
const KEYS: &[(&str, &str, &str, &str)] = &[
    (
        "instance.instance_url",
        "\"https://a.example\"",
        "7",
        "expected a string",
    ),
    (
        "instance.product_version",
        "\"9.9\"",
        "[]",
        "expected a string",
    ),
    (
        "messages.record",
        "[\"/a\", \"/b\"]",
        "[\"a\"]",
        "begins with a slash",
    ),
    (
        "messages.recipients",
        "[\"/to\"]",
        "[\"to\"]",
        "begins with a slash",
    ),
    (
        "messages.urgent",
        "\"always\"",
        "\"often\"",
        "expected \"always\"",
    ),
    ("messages.ordered", "false", "\"no\"", "expected a boolean"),
    (
        "request.method",
        "\"PUT\"",
        "\"DELETE\"",
        "expected one of `POST`",
    ),
    (
        "request.methods",
        "[\"PUT\"]",
        "[\"FETCH\"]",
        "expected one of `POST`",
    ),
    (
        "request.content_type",
        "\"application/problem+json\"",
        "1",
        "expected a string",
    ),
    (
        "request.user_agent",
        "\"A/1\"",
        "\"{version}\"",
        "is unknown; use",
    ),
    (
        "request.headers",
        "[{ name = \"X-A\", value = \"{event_type}\" }]",
        "[{ name = \"webhook-id\", value = \"1\" }]",
        "is set by the server",
    ),
    (
        "request.body",
        "[{ key = \"a\", value = \"{payload}\" }]",
        "[{ key = \"a\", value = \"1\" }]",
        "exactly one member",
    ),
    (
        "endpoint.auth",
        "[\"header\", \"basic\"]",
        "[\"oauth\"]",
        "expected one of",
    ),
    (
        "endpoint.default_events",
        "[\"a.*\"]",
        "7",
        "expected a sequence",
    ),
    ("delivery.timeout", "\"7s\"", "\"0s\"", "must be 1ms to 2m"),
    (
        "delivery.timeout",
        "\"2m\"",
        "\"121s\"",
        "must be 1ms to 2m",
    ),
    (
        "delivery.success",
        "\"below400\"",
        "\"3xx\"",
        "expected one of",
    ),
    ("delivery.retry", "[\"1s\", \"7s\"]", "[\"soon\"]", "soon"),
    ("delivery.jitter_permille", "7", "1001", "must be 0 to 1000"),
    ("health.transient", "[\"418\"]", "[\"teapot\"]", "teapot"),
    ("health.permanent", "[\"418\"]", "[\"999\"]", "999"),
    ("health.neutral", "[\"418\"]", "[7]", "expected a string"),
    ("health.suspend_after", "3", "0", ""),
    ("health.cooldown", "\"3s\"", "\"-1s\"", "-1s"),
    ("health.cooldown_growth", "3", "\"much\"", "expected u32"),
    ("health.cooldown_max", "\"3h\"", "5", "expected a string"),
    (
        "health.safety_net",
        "\"7m\"",
        "\"always\"",
        "expected \"never\"",
    ),
    ("health.probation", "\"7m\"", "\"\"", ""),
    (
        "health.disable_after",
        "\"9d\"",
        "\"later\"",
        "expected \"never\"",
    ),
    ("health.drain_per_second", "7", "0", ""),
    (
        "health.suspended_messages",
        "\"attempt\"",
        "\"lose\"",
        "expected one of",
    ),
    (
        "health.disabled_messages",
        "\"hold\" \"skip\"",
        "\"attempt\"",
        "must be hold or skip",
    ),
    (
        "health.warn_after",
        "[\"7m\", \"8m\"]",
        "[\"8m\", \"7m\"]",
        "must rise",
    ),
    (
        "health.after_cooldown",
        "\"probe\" \"probation\"",
        "\"nothing\"",
        "expected `probe` or `probation`",
    ),
    (
        "health.probation_from",
        "\"start\" \"last_error\"",
        "\"first_error\"",
        "expected `start` or `last_error`",
    ),
    (
        "health.forget_errors",
        "\"on_success\" \"after_probation\"",
        "\"never\"",
        "expected `on_success` or `after_probation`",
    ),
    (
        "health.other_failures",
        "\"transient\" \"permanent\"",
        "\"success\"",
        "must be transient, permanent or neutral",
    ),
    (
        "messages.unlisted",
        "\"accept\" \"refuse\"",
        "\"warn\"",
        "expected `accept` or `refuse`",
    ),
    (
        "endpoint.https",
        "\"required\" \"optional\"",
        "true",
        "expected a string",
    ),
    (
        "notify.exhausted",
        "\"admins\" \"nobody\"",
        "[\"a@b.example\"]",
        "expected a string",
    ),
    (
        "notify.health",
        "\"admins\" \"nobody\"",
        "\"everybody\"",
        "expected `admins` or `nobody`",
    ),
];

/// The same for the ping, which one contract has.
const PING: &[(&str, &str, &str, &str)] = &[
    (
        "ping.event_type",
        "\"other\"",
        "\"pong\"",
        "\"pong\" is not one of",
    ),
    (
        "ping.on",
        "[\"edit\"]",
        "[\"delete\"]",
        "expected one of `create`",
    ),
    ("ping.success", "\"2xx\"", "\"3xx\"", "expected one of"),
    (
        "ping.owner.pointer",
        "\"/title\"",
        "\"title\"",
        "begins with a slash",
    ),
    (
        "ping.owner.pointer",
        "\"/description\"",
        "\"/nowhere\"",
        "has no such member",
    ),
    ("ping.owner.name", "\"login\"", "7", "expected a string"),
    (
        "ping.owner.metadata",
        "\"person\"",
        "7",
        "expected a string",
    ),
];

fn overridden(name: &str, key: &str, value: &str) -> Result<Catalog, LoadError> {
    let (table, key) = key.rsplit_once('.').expect("a table and a key");
    let overrides: Table = format!("[{table}]\n{key} = {value}\n")
        .parse()
        .expect("TOML");
    Catalog::embedded().with_overrides("watchfire.toml", name, &overrides)
}

fn manifest(catalog: &Catalog, name: &str) -> String {
    format!("{:?}", catalog.contract(name).expect("it ships").manifest())
}

/// The values of a row: one, or words in quotes of which each contract has one.
fn values(good: &str) -> Vec<String> {
    if !good.starts_with('"') {
        return vec![good.to_owned()];
    }
    let words = good.trim_matches('"').split("\" \"");
    words.map(|word| format!("\"{word}\"")).collect()
}

/// A value of the row that is another than the contract's, laid over it.
fn changed(name: &str, key: &str, good: &str) -> Catalog {
    let before = manifest(&Catalog::embedded(), name);
    let mut catalogs = values(good).into_iter().map(|value| {
        let catalog = overridden(name, key, &value);
        catalog.unwrap_or_else(|error| panic!("{name}: {key} = {value}: {error}"))
    });
    catalogs
        .find(|catalog| manifest(catalog, name) != before)
        .unwrap_or_else(|| panic!("{name}: {key} = {good} changes nothing"))
}

/// A wrong value is refused by its key, and it is said what would be right.
fn check_refusal(name: &str, key: &str, bad: &str, expect: &str) {
    match overridden(name, key, bad) {
        Err(LoadError::Key {
            file,
            key: said,
            problem,
        }) => {
            assert_eq!(file, "watchfire.toml");
            let table = key.split('.').next().expect("a table");
            let whole = format!("contracts.{name}.{table}");
            assert!(said.starts_with(&whole), "{said}: {problem}");
            assert!(problem.contains(expect), "{key} = {bad}: {problem}");
        }
        other => panic!("{name}: {key} = {bad}: {other:?}"),
    }
}

#[test]
fn every_key_of_every_contract_can_be_overridden() {
    let embedded = Catalog::embedded();
    for contract in embedded.iter() {
        let name = contract.name();
        for (key, good, _, _) in KEYS {
            let catalog = changed(name, key, good);
            // And nothing but that contract.
            for other in embedded.iter().filter(|other| other.name() != name) {
                let other = other.name();
                assert_eq!(manifest(&catalog, other), manifest(&embedded, other));
            }
        }
    }
    for (key, good, _, _) in PING {
        changed("defectdojo", key, good);
    }
}

#[test]
fn every_wrong_value_is_refused_by_its_name_and_says_what_is_right() {
    for contract in Catalog::embedded().iter() {
        for (key, _, bad, expect) in KEYS {
            check_refusal(contract.name(), key, bad, expect);
        }
    }
    for (key, _, bad, expect) in PING {
        check_refusal("defectdojo", key, bad, expect);
    }
}

/// No key is forgotten here: those of the guide are all that there are, which its own test holds.
#[test]
fn every_key_of_the_guide_is_overridden_here() {
    let guide = include_str!("../../../docs/guides/write-a-contract.md");
    let keys = guide.split("## Look up a key").nth(1).expect("the keys");
    let rows = KEYS.iter().chain(PING).map(|(key, ..)| *key);
    let known: Vec<_> = rows.collect();
    let mut table = String::new();
    for line in keys.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            table = heading.to_lowercase();
        }
        let is_row = line.starts_with("| `") && !matches!(table.as_str(), "at the top" | "events");
        let cell = line.split('|').nth(1).filter(|_| is_row);
        for key in cell.into_iter().flat_map(|cell| cell.split(',')) {
            let key = format!("{table}.{}", key.trim().trim_matches('`'));
            let is_known = known.iter().any(|row| row.starts_with(&key));
            assert!(is_known, "{key} has no row");
        }
    }
}

/// A contract with one key overridden.
fn with(name: &str, key: &str, value: &str) -> std::sync::Arc<Contract> {
    let catalog = overridden(name, key, value).expect("valid");
    catalog.contract(name).expect("it ships").clone()
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(1_800_000_000) + Duration::from_secs(seconds)
}

fn refused(status: u16) -> Outcome {
    Outcome::Refused {
        status,
        retry_after: None,
    }
}

/// An endpoint of DefectDojo's whose first request was answered 503.
fn suspended(key: &str, value: &str) -> (Health, Policy) {
    let policy = with("defectdojo", key, value).manifest().health.clone();
    let health = Health::default().record(&refused(503), at(0), &policy).next;
    (health, policy)
}

#[test]
fn what_the_cool_down_leads_to_is_as_overridden() {
    let (health, policy) = suspended("health.after_cooldown", "\"probe\"");
    let health = health.tick(at(60), &policy).next;
    assert_eq!(health.gate(&policy, at(60)), Gate::Probe);
    let (health, policy) = suspended("health.after_cooldown", "\"probation\"");
    let health = health.tick(at(60), &policy).next;
    assert_eq!(health.gate(&policy, at(60)), Gate::Open);
}

#[test]
fn probation_counts_and_ends_as_overridden() {
    for (value, end) in [("\"last_error\"", 86_400), ("\"start\"", 86_460)] {
        let (health, policy) = suspended("health.probation_from", value);
        let health = health.tick(at(60), &policy).next;
        let just_after = at(end) + Duration::from_micros(1);
        assert_eq!(health.next_tick_at(&policy), Some(just_after), "{value}");
    }
    let accepted = Outcome::Accepted { status: 200 };
    for (value, remembers) in [("\"after_probation\"", true), ("\"on_success\"", false)] {
        let (health, policy) = suspended("health.forget_errors", value);
        let health = health.tick(at(60), &policy).next;
        let health = health.record(&accepted, at(61), &policy).next;
        assert_eq!(health.first_error_at().is_some(), remembers, "{value}");
    }
}

#[test]
fn failures_in_no_list_and_warnings_are_as_overridden() {
    for (value, state) in [
        ("permanent", "disabled"),
        ("transient", "suspended"),
        ("neutral", "active"),
    ] {
        let contract = with(
            "defectdojo",
            "health.other_failures",
            &format!("\"{value}\""),
        );
        let policy = &contract.manifest().health;
        let next = Health::default().record(&refused(404), at(0), policy).next;
        assert_eq!(next.state_name(), state);
    }
    for (value, warnings) in [("[]", 0), ("[\"30s\", \"45s\"]", 2)] {
        let contract = with("defense-com", "health.warn_after", value);
        let policy = &contract.manifest().health;
        let mut health = Health::default();
        let mut told = 0;
        for seconds in [0, 31, 32, 46] {
            let decision = health.record(&refused(503), at(seconds), policy);
            let is_warning = |notice: &&Notice| matches!(notice, Notice::Failing { .. });
            told += decision.notices.iter().filter(is_warning).count();
            health = decision.next;
        }
        assert_eq!(told, warnings, "{value}");
    }
}

#[test]
fn what_is_accepted_asked_and_told_is_as_overridden() {
    assert!(!with("dfend", "messages.unlisted", "\"refuse\"").accepts("A_NEW_TYPE"));
    let open = with("dfend", "messages.unlisted", "\"accept\"");
    assert!(open.accepts("A_NEW_TYPE"));
    assert_eq!(open.validate("A_NEW_TYPE", &serde_json::json!({})), []);

    let plain = r#"{"url":"http://a.example/","owner":"ann"}"#;
    let plain: Settings = serde_json::from_str(plain).expect("settings");
    let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("valid");
    let secrets = Secrets::with_key(key);
    for (name, value, is_allowed) in [
        ("dfend", "\"optional\"", true),
        ("dfend", "\"required\"", false),
        ("defguard", "\"required\"", false),
    ] {
        let checked = with(name, "endpoint.https", value).check_endpoint(&plain, &secrets);
        assert_eq!(checked.is_ok(), is_allowed, "{name} {value}: {checked:?}");
    }

    let ping = |key: &str, value: &str| {
        let contract = with("defectdojo", key, value);
        let payload = contract.ping_payload(&plain).expect("it pings");
        String::from_utf8(payload.to_vec()).expect("a text")
    };
    assert!(!ping("ping.event_type", "\"other\"").contains("Test webhook notification"));
    assert!(ping("ping.owner.name", "\"login\"").contains(r#""user":{"login":"ann"}"#));
    assert!(ping("ping.owner.pointer", "\"/title\"").contains(r#""title":{"username":"ann"}"#));
}

#[test]
fn what_makes_a_contract_itself_is_not_overridden() {
    for key in [
        "title", "summary", "links", "events", "variants", "nonsense",
    ] {
        let overrides = Table::from_iter([(key.to_owned(), toml::Value::Integer(1))]);
        let error = Catalog::embedded().with_overrides("watchfire.toml", "dfend", &overrides);
        let Err(LoadError::Key {
            key: said, problem, ..
        }) = error
        else {
            panic!("{error:?}");
        };
        assert_eq!(said, format!("contracts.dfend.{key}"));
        assert!(problem.contains("known are variant, delivery"), "{problem}");
    }
    let unknown = Catalog::embedded().with_overrides("watchfire.toml", "dfendd", &Table::new());
    let error = unknown.expect_err("there is none").to_string();
    assert!(
        error.contains("known are defectdojo, defense-com"),
        "{error}"
    );
}
