//! Every number and choice of a contract can be changed in the configuration, and a wrong one is
//! refused by its name, whatever the contract.

use toml::Table;
use watchfire_contracts::{Catalog, LoadError};

/// A key, a value that no contract that ships has, a wrong value, and what is said about it.
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
    ("health.disabled_messages", "\"attempt\"", "\"attempt\"", ""),
];

fn overridden(name: &str, key: &str, value: &str) -> Result<Catalog, LoadError> {
    let (table, key) = key.split_once('.').expect("a table and a key");
    let overrides: Table = format!("[{table}]\n{key} = {value}\n")
        .parse()
        .expect("TOML");
    Catalog::embedded().with_overrides("watchfire.toml", name, &overrides)
}

fn manifest(catalog: &Catalog, name: &str) -> String {
    format!("{:?}", catalog.contract(name).expect("it ships").manifest())
}

#[test]
fn every_key_of_every_contract_can_be_overridden() {
    let embedded = Catalog::embedded();
    for contract in embedded.iter() {
        let name = contract.name();
        let before = manifest(&embedded, name);
        for (key, good, _, _) in KEYS {
            // Its only other value is the one that the contracts have.
            if *key == "health.disabled_messages" {
                continue;
            }
            let catalog = overridden(name, key, good);
            let catalog = catalog.unwrap_or_else(|error| panic!("{name}: {key} = {good}: {error}"));
            assert_ne!(manifest(&catalog, name), before, "{name}: {key} = {good}");
            // And nothing but that contract.
            for other in embedded.iter().filter(|other| other.name() != name) {
                let other = other.name();
                assert_eq!(manifest(&catalog, other), manifest(&embedded, other));
            }
        }
    }
}

#[test]
fn every_wrong_value_is_refused_by_its_name_and_says_what_is_right() {
    for contract in Catalog::embedded().iter() {
        let name = contract.name();
        for (key, _, bad, expect) in KEYS {
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
    }
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
