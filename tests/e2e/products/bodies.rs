//! Bodies of the shapes the products send: those their documents show, and others of the same
//! shapes that nobody wrote down.
//!
//! A generated body is text, not a tree: its numbers, escapes and white space are what a tidying
//! sender or receiver would change.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;
use watchfire_contracts::{Catalog, Contract};
use watchfire_domain::ambient::Entropy as _;
use watchfire_testkit::SeededEntropy;

use crate::harness::in_checkout;

/// Generated bodies for each event type.
const GENERATED: u64 = 5;
/// Lists and objects of our own invention are nested at most so deep.
const DEPTH: usize = 4;

/// A payload, and the event type it is posted as.
pub(super) struct Body {
    pub(super) event_type: String,
    pub(super) payload: String,
    /// Where it comes from, for people.
    pub(super) origin: String,
}

/// Every known body of a product, and generated ones of each of its event types.
pub(super) fn of(product: &str) -> Vec<Body> {
    let catalog = Catalog::embedded();
    let contract = catalog.contract(product).expect("it ships");
    let mut bodies = fixtures(contract);
    for event in contract.event_types() {
        bodies.push(Body {
            event_type: event.name.clone(),
            payload: event.sample.clone(),
            origin: format!("the sample of {}", event.name),
        });
        for seed in 0..GENERATED {
            bodies.push(Body {
                event_type: event.name.clone(),
                payload: Writer::new(&event.schema, seed).payload(),
                origin: format!("seed {seed} of {}", event.name),
            });
        }
    }
    bodies
}

/// What the product's documents, tests and releases show on the wire.
fn fixtures(contract: &Contract) -> Vec<Body> {
    let folder = in_checkout("crates/contracts/tests/fixtures").join(contract.name());
    let files = fs::read_dir(folder).expect("the fixtures are there");
    let files = files.map(|file| file.expect("readable").path());
    let body = |path: std::path::PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.expect("a text").to_owned();
        // `threat.update.note.json` is the variant `note` of `threat.update`.
        let begins = |event: &&str| name.starts_with(&format!("{event}."));
        let known = contract.event_types().map(|event| event.name.as_str());
        let event_type = known.filter(begins).max_by_key(|event| event.len());
        let wire = fs::read_to_string(&path).expect("readable");
        // The wrapper is the contract's; what the product posts is its event.
        let payload = match contract.name() {
            "dfend" => {
                let wire: Value = serde_json::from_str(&wire).expect("JSON");
                wire["event"].to_string()
            }
            _ => wire.trim().to_owned(),
        };
        Body {
            event_type: event_type
                .expect("an event type of the contract")
                .to_owned(),
            payload,
            origin: name,
        }
    };
    files.map(body).collect()
}

/// Texts that are spelled in ways a sender might tidy, as they stand in JSON.
const TEXTS: &[&str] = &[
    r#""""#,
    r#""plain""#,
    r#""two  spaces and a tab\t""#,
    r#""é, ß, 日本語, עברית and 🔥""#,
    r#""\u00e9 \u65e5 \ud83d\udd25 \u0041""#,
    r#""<script>alert('&amp;')<\/script>""#,
    r#""C:\\path\\\"quoted\" \/ \b\f\n\r""#,
    r#""{link} {payload} {{event_type}}""#,
    "\"a\u{2028}line\u{2029}break\u{feff}\u{7f}\"",
    r#""null""#,
    r#""1.10""#,
];

const INTEGERS: &[&str] = &[
    "0",
    "-0",
    "7",
    "9007199254740993",
    "18446744073709551615",
    "12345678901234567890",
    "123456789012345678901234567890",
];

const NUMBERS: &[&str] = &[
    "1.10",
    "1e400",
    "-1E-400",
    "3.14159265358979323846264338327950288",
    "1.0",
    "1E+2",
];

/// White space between two tokens.
const SPACES: &[&str] = &["", "", "", " ", "  ", "\n\t", "\r\n  "];

/// Writes a payload by a schema.
struct Writer<'a> {
    root: &'a Value,
    chance: SeededEntropy,
    text: String,
}

impl<'a> Writer<'a> {
    fn new(root: &'a Value, seed: u64) -> Self {
        Self {
            root,
            chance: SeededEntropy::new(seed),
            text: String::new(),
        }
    }

    fn payload(mut self) -> String {
        self.value(self.root);
        self.text
    }

    fn below(&mut self, end: usize) -> usize {
        let mut bytes = [0; 8];
        self.chance.fill(&mut bytes);
        let end = u64::try_from(end).expect("a small number");
        usize::try_from(u64::from_le_bytes(bytes) % end).expect("a small number")
    }

    fn one_of<'b, T: ?Sized>(&mut self, choices: &[&'b T]) -> &'b T {
        choices[self.below(choices.len())]
    }

    fn space(&mut self) {
        let space = self.one_of(SPACES);
        self.text.push_str(space);
    }

    fn put(&mut self, choices: &[&'static str]) {
        let chosen = self.one_of(choices);
        self.text.push_str(chosen);
    }

    fn value(&mut self, schema: &'a Value) {
        let schema = self.resolved(schema);
        if let Some(constant) = schema.get("const") {
            return self.literal(constant);
        }
        if let Some(values) = schema["enum"].as_array() {
            let chosen = self.below(values.len());
            return self.literal(&values[chosen]);
        }
        let kinds: Vec<&str> = match &schema["type"] {
            Value::String(kind) => vec![kind],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => return self.anything(DEPTH),
        };
        match self.one_of(&kinds) {
            "object" => self.object(schema),
            "array" => self.array(schema),
            "string" => self.put(TEXTS),
            "integer" if schema.get("minimum").is_some() => self.put(&["0", "7", "4294967296"]),
            "integer" => self.put(INTEGERS),
            "number" => self.put(NUMBERS),
            "boolean" => self.put(&["true", "false"]),
            "null" => self.text.push_str("null"),
            other => panic!("unknown type {other}"),
        }
    }

    fn resolved(&self, schema: &'a Value) -> &'a Value {
        let Some(reference) = schema["$ref"].as_str() else {
            return schema;
        };
        let path = reference.strip_prefix('#').expect("a place in the schema");
        self.root.pointer(path).expect("it is there")
    }

    fn literal(&mut self, value: &Value) {
        write!(self.text, "{value}").expect("a string grows");
    }

    /// What is required, some of what is not, in any order, and something nobody knows of.
    fn object(&mut self, schema: &'a Value) {
        let required = schema["required"].as_array();
        let mut members: Vec<(&str, Option<&Value>)> = Vec::new();
        for (name, member) in schema["properties"].as_object().into_iter().flatten() {
            let is_required = required.is_some_and(|list| list.iter().any(|key| key == name));
            if is_required || self.below(2) == 0 {
                let place = self.below(members.len() + 1);
                members.insert(place, (name, Some(member)));
            }
        }
        let place = self.below(members.len() + 1);
        members.insert(place, ("x-new in a later version", None));
        self.text.push('{');
        for (index, (name, member)) in members.into_iter().enumerate() {
            self.separated(index);
            self.literal(&Value::String(name.to_owned()));
            self.space();
            self.text.push(':');
            self.space();
            match member {
                Some(member) => self.value(member),
                None => self.anything(DEPTH),
            }
        }
        self.space();
        self.text.push('}');
    }

    fn array(&mut self, schema: &'a Value) {
        self.text.push('[');
        for index in 0..self.below(3) {
            self.separated(index);
            self.value(&schema["items"]);
        }
        self.space();
        self.text.push(']');
    }

    /// Any value at all, with the same key twice where it is an object.
    fn anything(&mut self, depth: usize) {
        match self.below(if depth == 0 { 4 } else { 6 }) {
            0 => self.put(TEXTS),
            1 => self.put(NUMBERS),
            2 => self.put(INTEGERS),
            3 => self.put(&["null", "true", "false"]),
            4 => {
                self.text.push('[');
                for index in 0..self.below(3) {
                    self.separated(index);
                    self.anything(depth - 1);
                }
                self.text.push(']');
            }
            _ => {
                self.text.push('{');
                for (index, name) in ["\"z\":", "\"a\" :", "\"z\": "].into_iter().enumerate() {
                    self.separated(index);
                    self.text.push_str(name);
                    self.anything(depth - 1);
                }
                self.text.push('}');
            }
        }
    }

    fn separated(&mut self, index: usize) {
        if index > 0 {
            self.text.push(',');
        }
        self.space();
    }
}
