use watchfire_domain::retry::Schedule;

use super::*;

const MANIFEST: &str = "title = \"Acme\"\nsummary = \"Acme\"\n";

fn with(files: &[(&str, &str)]) -> Result<Catalog, LoadError> {
    let files = files.iter();
    let sources: Vec<_> = files
        .map(|(path, text)| Source::new((*path).to_owned(), (*text).to_owned()))
        .collect();
    Catalog::embedded().with_sources(&sources)
}

/// Loads a manifest that goes on with these lines, beside a schema and a sample of `tested`.
fn load(lines: &str) -> Result<Catalog, LoadError> {
    let manifest = format!("{MANIFEST}{lines}");
    let files = [("acme/contract.toml", manifest.as_str())];
    let data = [
        ("acme/schemas/tested.json", "{\"type\":\"object\"}"),
        ("acme/samples/tested.json", "{\"a\":1}"),
    ];
    if lines.contains("[events.tested]") {
        with(&[files.as_slice(), &data].concat())
    } else {
        with(&files)
    }
}

#[track_caller]
fn check(lines: &str, key: &str, problem: &str) {
    match load(lines) {
        Err(LoadError::Key {
            file,
            key: found,
            problem: said,
        }) => {
            assert_eq!(
                (file.as_str(), found.as_str()),
                ("acme/contract.toml", key),
                "{said}"
            );
            assert!(said.contains(problem), "{said}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_embedded_contract_is_whole() {
    let catalog = Catalog::embedded();
    for contract in catalog.iter() {
        assert_eq!(contract.check(), Ok(()), "{}", contract.name());
    }
    assert_eq!(
        catalog.names(),
        "defectdojo, defense-com, defguard, dfend, envelope, standard, website-defender"
    );
    assert_eq!(catalog.standard().name(), Catalog::DEFAULT);
}

#[test]
fn a_folder_replaces_a_contract_of_the_same_name() {
    let catalog = with(&[("standard/contract.toml", MANIFEST)]).expect("valid");
    assert_eq!(catalog.standard().manifest().title, "Acme");
    assert!(!catalog.standard().accepts("threat.create"));
}

#[test]
fn files_outside_a_folder_or_in_one_without_a_manifest_are_named() {
    let path = "contract.toml".to_owned();
    assert_eq!(
        with(&[("contract.toml", MANIFEST)]).err(),
        Some(LoadError::Outside { path })
    );
    let name = "acme".to_owned();
    let alone = with(&[("acme/schemas/a.json", "{}")]);
    assert_eq!(alone.err(), Some(LoadError::NoManifest { name }));
    for name in ["Acme", "a_b", "", "a b", &"a".repeat(65)] {
        let error = with(&[(&format!("{name}/contract.toml"), MANIFEST)]).err();
        assert_eq!(
            error,
            Some(LoadError::Name {
                name: name.to_owned()
            })
        );
    }
}

#[test]
fn what_is_not_toml_or_not_json_is_named() {
    let error = with(&[("acme/contract.toml", "# A\ntitle = ")]).expect_err("refused");
    assert_eq!(
        error.to_string(),
        "acme/contract.toml: line 2: string values must be quoted, expected literal string"
    );
    let manifest = format!("{MANIFEST}[events.tested]\ndescription = \"A\"\n");
    let error = with(&[
        ("acme/contract.toml", &manifest),
        ("acme/schemas/tested.json", "{}"),
        ("acme/samples/tested.json", "{ username: \"jdoe\"}"),
    ]);
    let error = error.expect_err("refused");
    assert!(matches!(error, LoadError::Json { file, .. } if file == "acme/samples/tested.json"));
}

#[test]
fn unknown_and_wrong_keys_are_named_with_what_would_be_right() {
    check(
        "[requests]\n",
        "requests",
        "unknown field `requests`, expected one of",
    );
    check(
        "[request]\nmethd = \"GET\"\n",
        "request.methd",
        "expected one of `method`",
    );
    check(
        "[request]\nmethod = \"get\"\n",
        "request.method",
        "expected one of `POST`",
    );
    check(
        "[request]\nbody = \"event\"\n",
        "request.body",
        "expected \"payload\", or a list",
    );
    check(
        "[delivery]\ntimeout = \"1h\"\n",
        "delivery.timeout",
        "must be 1ms to 2m",
    );
    check(
        "[delivery]\ntimeout = \"0s\"\n",
        "delivery.timeout",
        "must be 1ms to 2m",
    );
    check(
        "[delivery]\ntimeout = 5\n",
        "delivery.timeout",
        "expected a string",
    );
    check(
        "[delivery]\nretry = [\"5\"]\n",
        "delivery.retry",
        "\"5\" is not a duration",
    );
    check(
        "[delivery]\njitter_permille = 1001\n",
        "delivery.jitter_permille",
        "must be 0 to 1000",
    );
    check(
        "[delivery]\nsuccess = \"3xx\"\n",
        "delivery.success",
        "expected one of `2xx`",
    );
}

#[test]
fn wrong_pointers_policies_and_texts_are_named_with_what_would_be_right() {
    check(
        "[messages]\nrecord = [\"id\"]\n",
        "messages.record[0]",
        "begins with a slash",
    );
    check(
        "[messages]\nurgent = \"yes\"\n",
        "messages.urgent",
        "expected \"always\"",
    );
    check(
        "[health]\ncooldown = \"1\"\n",
        "health.cooldown",
        "\"1\" is not a duration",
    );
    check(
        "[health]\ncool_down = \"1s\"\n",
        "health.cool_down",
        "unknown field",
    );
    check(
        "[health]\nsuspend_after = 0\n",
        "health",
        "suspend_after must be at least 1",
    );
    let (key, text) = (
        "request.headers[0].value",
        "{unknown} is unknown; use event_type",
    );
    check(
        "[request]\nheaders = [{ name = \"A\", value = \"{unknown}\" }]\n",
        key,
        text,
    );
}

#[test]
fn a_manifest_must_be_consistent() {
    let header = |name: &str, value: &str| {
        format!("[request]\nheaders = [{{ name = \"{name}\", value = \"{value}\" }}]\n")
    };
    check(
        &header("a b", "x"),
        "request.headers[0].name",
        "is not a header name",
    );
    check(
        &header("Content-Type", "x"),
        "request.headers[0].name",
        "set by the server",
    );
    check(
        &header("webhook-id", "x"),
        "request.headers[0].name",
        "set by the server",
    );
    check(
        &header("X-A", "{payload}"),
        "request.headers[0].value",
        "can't hold the payload",
    );
    check(
        &header("X-A", "{instance_url}"),
        "instance.instance_url",
        "a value for it is needed",
    );
    let body = "[request]\nbody = [{ key = \"a\", value = \"{event_type}\" }]\n";
    check(
        body,
        "request.body",
        "exactly one member must have the value {payload}",
    );
    let agent = "[request]\nuser_agent = \"A {product_version}\"\n";
    check(
        agent,
        "instance.product_version",
        "a value for it is needed",
    );
    check(
        "[ping]\nevent_type = \"ping\"\n",
        "ping.event_type",
        "is not one of [events]",
    );
    check(
        "[events.\"a b\"]\ndescription = \"A\"\n",
        "events.\"a b\"",
        "may hold only letters",
    );
}

#[test]
fn schemas_and_samples_must_be_there_and_fit() {
    let event = "[events.tested]\ndescription = \"A\"\n";
    assert!(load(event).is_ok());
    let missing = load(&format!("{event}schema = \"schemas/other.json\"\n"));
    assert_eq!(
        missing.err(),
        Some(LoadError::NoFile {
            file: "acme/contract.toml".to_owned(),
            key: "events.\"tested\".schema".to_owned(),
            wanted: "acme/schemas/other.json".to_owned(),
        })
    );
    let unfit = format!("{event}required = [\"b\"]\n");
    check(
        &unfit,
        "events.\"tested\".sample",
        "\"b\" is a required property",
    );
    let file = "acme/samples/left.json".to_owned();
    let unused = with(&[("acme/contract.toml", MANIFEST), (&file, "{}")]);
    assert_eq!(unused.err(), Some(LoadError::Unused { file: file.clone() }));
}

#[test]
fn numbers_are_overridden_one_by_one() {
    let overrides = |text: &str| text.parse().expect("TOML");
    let embedded = Catalog::embedded();
    let change = |text: &str| {
        embedded
            .clone()
            .with_overrides("watchfire.toml", "defectdojo", &overrides(text))
    };
    let catalog = change("health.cooldown = \"1s\"\ndelivery.timeout = \"3s\"").expect("valid");
    let changed = catalog.contract("defectdojo").expect("embedded").manifest();
    let before = embedded
        .contract("defectdojo")
        .expect("embedded")
        .manifest();
    assert_ne!(changed.health, before.health);
    assert_eq!(changed.delivery.timeout.as_secs(), 3);
    assert_eq!(changed.request, before.request);
    assert_eq!(changed.events.len(), before.events.len());

    let error = change("health.cooldwn = \"1s\"").expect_err("refused");
    let text = "watchfire.toml: contracts.defectdojo.health.cooldwn: unknown field `cooldwn`";
    assert!(error.to_string().starts_with(text), "{error}");
    let error = change("title = \"A\"").expect_err("refused");
    let text =
        "watchfire.toml: contracts.defectdojo.title: can't be overridden; known are variant, ";
    assert!(error.to_string().starts_with(text), "{error}");
    let error = embedded
        .clone()
        .with_overrides("watchfire.toml", "dojo", &overrides(""));
    let text = "watchfire.toml: contracts.dojo: there is no such contract; known are defectdojo, ";
    assert!(error.expect_err("refused").to_string().starts_with(text));
}

#[test]
fn the_share_of_chance_is_part_of_the_schedule() {
    let retry = |lines: &str| {
        let catalog = load(lines).expect("valid");
        let contract = catalog.contract("acme").expect("added");
        contract.manifest().delivery.retry.clone()
    };
    let written = "[delivery]\nretry = [\"10s\"]\n";
    let schedule: Schedule = "10s".parse().expect("valid");
    assert_eq!(retry(written), schedule);
    let calm = retry(&format!("{written}jitter_permille = 0\n"));
    assert_eq!(calm, schedule.with_jitter_permille(0));
}

#[test]
fn a_known_variant_is_chosen_by_name() {
    let choose = |text: &str| {
        let overrides = text.parse().expect("TOML");
        Catalog::embedded().with_overrides("watchfire.toml", "defguard", &overrides)
    };
    let method = |catalog: Catalog| {
        let contract = catalog.contract("defguard").expect("embedded");
        contract.manifest().request.method.as_str()
    };
    assert_eq!(method(Catalog::embedded()), "GET");
    assert_eq!(
        method(choose("variant = \"as-coded\"").expect("valid")),
        "POST"
    );
    let both = choose("variant = \"as-coded\"\nrequest.method = \"GET\"");
    assert_eq!(method(both.expect("valid")), "GET");
    let error = choose("variant = \"other\"")
        .expect_err("refused")
        .to_string();
    let text = "watchfire.toml: contracts.defguard.variant: must be one of documented, as-coded";
    assert_eq!(error, text);
}
