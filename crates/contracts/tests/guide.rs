//! The guide `docs/guides/write-a-contract.md` holds: its contract loads, sends what the page shows,
//! and no key is missing from its tables.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use watchfire_contracts::manifest::Instance;
use watchfire_contracts::render::{Destination, Event, Rendered, SignatureHeaders};
use watchfire_contracts::{Catalog, LoadError, Source, render};
use watchfire_domain::endpoint::{Secrets, Settings};
use watchfire_domain::message::Urgency;
use watchfire_domain::secret::SigningKey;
use watchfire_domain::time::Timestamp;

fn guide() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join("docs/guides/write-a-contract.md")).expect("the guide")
}

/// A fenced block of the guide.
struct Block {
    language: String,
    /// The file it shows, named in the line before.
    file: Option<String>,
    text: String,
}

fn blocks() -> Vec<Block> {
    let guide = guide();
    let mut blocks = Vec::new();
    let mut before = "";
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            let file = before
                .strip_prefix('`')
                .and_then(|rest| rest.strip_suffix("`:"));
            blocks.push(Block {
                language: language.to_owned(),
                file: file.map(str::to_owned),
                text: text.join("\n"),
            });
        }
        if !line.is_empty() {
            before = line;
        }
    }
    blocks
}

fn block(language: &str, begins: &str) -> String {
    let is_wanted = |block: &Block| block.language == language && block.text.starts_with(begins);
    blocks()
        .into_iter()
        .find(is_wanted)
        .expect("the block")
        .text
}

fn sources() -> Vec<Source> {
    let files = blocks().into_iter();
    files
        .filter_map(|block| Some(Source::new(block.file?, block.text)))
        .collect()
}

fn catalog() -> Catalog {
    Catalog::embedded()
        .with_sources(&sources())
        .expect("the guide's contract loads")
}

fn send(event_type: &str) -> Rendered {
    let catalog = catalog();
    let contract = catalog.contract("acme").expect("added");
    let sample = &contract.event_type(event_type).expect("listed").sample;
    let settings: Settings =
        serde_json::from_str(r#"{"url":"https://a.example/"}"#).expect("settings");
    let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("valid");
    let destination = Destination {
        contract,
        instance: &Instance::default(),
        settings: &settings,
        secrets: &Secrets::with_key(key),
        signature_headers: SignatureHeaders::Webhook,
    };
    let event = Event {
        message_id: "msg_000000000000000000000000000".parse().expect("id"),
        event_type: &event_type.parse().expect("name"),
        payload: &Bytes::from(sample.clone()),
        raw_body: None,
        now: Timestamp::EPOCH,
    };
    render(destination, &event).expect("renders")
}

#[test]
fn the_contract_of_the_guide_needs_no_code() {
    assert_eq!(sources().len(), 4);
    let rendered = send("leak.found");
    let mut text = format!("{}\n", rendered.method);
    for (name, value) in &rendered.headers {
        if !name.as_str().starts_with("webhook-") {
            let value = value.to_str().expect("text");
            writeln!(text, "{name}: {value}").expect("a string grows");
        }
    }
    text.push('\n');
    text.push_str(std::str::from_utf8(&rendered.body).expect("text"));
    assert_eq!(text, block("http", "POST"));
}

#[test]
fn records_and_urgency_are_as_the_guide_says() {
    let catalog = catalog();
    let contract = catalog.contract("acme").expect("added");
    for (event_type, urgency) in [
        ("leak.found", Urgency::Urgent),
        ("leak.closed", Urgency::Ordinary),
    ] {
        let sample = &contract.event_type(event_type).expect("listed").sample;
        let facts = contract.facts(event_type, &serde_json::from_str(sample).expect("JSON"));
        assert_eq!(facts.record_key.as_deref(), Some("7"));
        assert_eq!(facts.urgency, urgency);
    }
}

#[test]
fn the_overrides_of_the_guide_are_accepted() {
    let text = block("toml", "[contracts.acme.delivery]");
    let configuration: toml::Table = text.parse().expect("TOML");
    let overrides = configuration["contracts"]["acme"]
        .as_table()
        .expect("a table");
    let catalog = catalog()
        .with_overrides("watchfire.toml", "acme", overrides)
        .expect("valid");
    let manifest = catalog.contract("acme").expect("added").manifest();
    assert_eq!(manifest.delivery.timeout.as_secs(), 20);
}

#[test]
fn the_error_of_the_guide_is_the_one_people_see() {
    let mut sources = sources();
    let text = sources[0].text.replacen("user_agent", "methd", 1);
    sources[0] = Source::new("acme/contract.toml", text);
    let error = Catalog::embedded()
        .with_sources(&sources)
        .expect_err("refused");
    assert_eq!(error.to_string(), block("text", "acme/contract.toml:"));
}

#[test]
fn every_key_is_in_the_tables() {
    let guide = guide();
    let event = "[events.a]\ndescription = \"A\"\n";
    let ping = "[ping]\nevent_type = \"a\"\n";
    let tables = [
        "",
        "[instance]\n",
        "[messages]\n",
        "[request]\n",
        "[endpoint]\n",
        "[delivery]\n",
        "[health]\n",
        "[notify]\n",
        ping,
        event,
    ];
    for table in tables {
        let text = format!("title = \"A\"\nsummary = \"A\"\n{table}unknown_key = 1\n");
        let error = Catalog::embedded().with_sources(&[Source::new("a/contract.toml", text)]);
        let Err(LoadError::Key { problem, .. }) = error else {
            panic!("{error:?}");
        };
        let (_, keys) = problem.split_once("expected ").expect("lists the keys");
        let keys: Vec<_> = keys.split('`').skip(1).step_by(2).collect();
        assert!(!keys.is_empty(), "{table}");
        for key in keys {
            assert!(
                guide.contains(&format!("`{key}`")),
                "{key} of {table} is in no table"
            );
        }
    }
}
