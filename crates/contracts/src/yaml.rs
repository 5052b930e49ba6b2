//! YAML as a tree that knows its lines, so that whoever reads a setting can say where it is wrong.
//!
//! Aliases are kept as such and never expanded, so a small file can't become a large tree.

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value as Json};

/// Levels of lists and mappings; configuration files of products have four or five.
const DEPTH_MAX: usize = 64;

/// A value, and the line it begins on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub line: usize,
    pub value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Without quotes: a number, a switch, nothing, or a text.
    Plain(String),
    Quoted(String),
    List(Vec<Node>),
    /// In the order of the file; a key may come twice.
    Mapping(Vec<(Node, Node)>),
    /// Something that is written elsewhere in the file.
    Alias,
}

impl Node {
    /// Whether it says nothing, as a key without a value does.
    pub fn is_null(&self) -> bool {
        match &self.value {
            Value::Plain(text) => matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"),
            Value::Quoted(_) | Value::List(_) | Value::Mapping(_) | Value::Alias => false,
        }
    }

    /// What it is, for people.
    pub fn what(&self) -> String {
        match &self.value {
            _ if self.is_null() => "nothing".to_owned(),
            Value::Plain(text) => text.clone(),
            Value::Quoted(text) => format!("{text:?}"),
            Value::List(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
            Value::Alias => "an alias; write the value itself".to_owned(),
        }
    }
}

impl Node {
    /// The same as JSON. What is without quotes is a number, a switch or nothing where the JSON
    /// schema of YAML 1.2 says so, and a text otherwise.
    ///
    /// # Errors
    ///
    /// For what JSON has no words for: aliases, keys that are no texts, keys that come twice.
    pub fn into_json(self) -> Result<Json, Fault> {
        let is_null = self.is_null();
        match self.value {
            _ if is_null => Ok(Json::Null),
            Value::Plain(text) => Ok(plain_json(text)),
            Value::Quoted(text) => Ok(Json::String(text)),
            Value::List(items) => items.into_iter().map(Self::into_json).collect(),
            Value::Mapping(pairs) => {
                let mut members = Map::new();
                for (key, value) in pairs {
                    let line = key.line;
                    let (Value::Plain(name) | Value::Quoted(name)) = key.value else {
                        return Err(Fault::new(line, "a key must be a text"));
                    };
                    if members.contains_key(&name) {
                        return Err(Fault::new(line, format!("{name:?} comes twice")));
                    }
                    members.insert(name, value.into_json()?);
                }
                Ok(Json::Object(members))
            }
            Value::Alias => Err(Fault::new(
                self.line,
                "an alias can't be followed; write the value itself",
            )),
        }
    }
}

fn plain_json(text: String) -> Json {
    match text.as_str() {
        "true" | "True" | "TRUE" => return Json::Bool(true),
        "false" | "False" | "FALSE" => return Json::Bool(false),
        _ => {}
    }
    // Anything else that JSON takes for a number is one.
    match serde_json::from_str::<Number>(&text) {
        Ok(number) => Json::Number(number),
        Err(_) => Json::String(text),
    }
}

/// Why a text can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct Fault {
    pub line: usize,
    pub problem: String,
}

impl Fault {
    pub fn new(line: usize, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self { line, problem }
    }
}

/// A list or mapping whose end was not read yet.
struct Open {
    line: usize,
    /// Keys and values of a mapping by turns.
    children: Vec<Node>,
    is_mapping: bool,
}

impl Open {
    fn closed(self) -> Node {
        let value = if self.is_mapping {
            let mut children = self.children.into_iter();
            let mut pairs = Vec::new();
            while let (Some(key), Some(value)) = (children.next(), children.next()) {
                pairs.push((key, value));
            }
            Value::Mapping(pairs)
        } else {
            Value::List(self.children)
        };
        Node {
            line: self.line,
            value,
        }
    }
}

/// The first document of a text; `None` if there is nothing in it.
pub fn read(text: &str) -> Result<Option<Node>, Fault> {
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| Fault::new(error.marker().line(), error.info()))?;
        let line = span.start.line();
        let node = match event {
            Event::Scalar(text, ScalarStyle::Plain, ..) => {
                let value = Value::Plain(text.into_owned());
                Some(Node { line, value })
            }
            Event::Scalar(text, ..) => {
                let value = Value::Quoted(text.into_owned());
                Some(Node { line, value })
            }
            Event::Alias(_) => {
                let value = Value::Alias;
                Some(Node { line, value })
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                if open.len() == DEPTH_MAX {
                    let problem = format!("more than {DEPTH_MAX} levels deep");
                    return Err(Fault::new(line, problem));
                }
                open.push(Open {
                    line,
                    children: Vec::new(),
                    is_mapping: matches!(event, Event::MappingStart(..)),
                });
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(Open::closed),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => None,
        };
        match (node, open.last_mut()) {
            (Some(node), Some(parent)) => parent.children.push(node),
            (Some(root), None) => return Ok(Some(root)),
            (None, _) => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain(line: usize, text: &str) -> Node {
        let value = Value::Plain(text.to_owned());
        Node { line, value }
    }

    #[test]
    fn values_know_their_lines() {
        let read = read("# c\na: 1\nb:\n  - x\n  - \"y\"\n").expect("YAML");
        let Value::Mapping(pairs) = read.expect("a document").value else {
            panic!("a mapping");
        };
        assert_eq!(pairs[0], (plain(2, "a"), plain(2, "1")));
        let quoted = Value::Quoted("y".to_owned());
        assert_eq!(
            pairs[1].1.value,
            Value::List(vec![
                plain(4, "x"),
                Node {
                    line: 5,
                    value: quoted
                }
            ])
        );
    }

    #[test]
    fn nothing_is_told_from_a_text() {
        for (text, is_null) in [("~", true), ("null", true), ("\"\"", false), ("a", false)] {
            let node = read(text).expect("YAML").expect("a document");
            assert_eq!(node.is_null(), is_null, "{text}");
        }
        assert_eq!(read("# nothing\n"), Ok(None));
    }

    #[test]
    fn plain_values_become_what_json_calls_them() {
        let text = "{a: 1, b: 1.5, c: true, d: ~, e: 1.2.3, f: '1', 200: [x, 2026-01-01]}";
        let read = read(text).expect("YAML").expect("a document");
        let expected = serde_json::json!({
            "a": 1, "b": 1.5, "c": true, "d": null, "e": "1.2.3", "f": "1",
            "200": ["x", "2026-01-01"],
        });
        assert_eq!(read.into_json(), Ok(expected));
    }

    #[test]
    fn what_json_has_no_words_for_is_refused_with_its_line() {
        for (text, line) in [
            ("a: &a 1\nb: *a\n", 2),
            ("a: 1\na: 2\n", 2),
            ("[a]: 1\n", 1),
        ] {
            let fault = read(text).expect("YAML").expect("a document").into_json();
            assert_eq!(fault.expect_err(text).line, line, "{text}");
        }
    }

    #[test]
    fn what_is_not_yaml_is_refused_with_its_line() {
        for (text, line) in [("a: 1\nb: [\n", 3), ("a: 'x\n", 1), ("a: b: c\n", 1)] {
            assert_eq!(read(text).expect_err(text).line, line, "{text}");
        }
    }

    #[test]
    fn depth_has_a_limit() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(DEPTH_MAX)).is_ok());
        assert!(read(&nested(DEPTH_MAX + 1)).is_err());
        assert!(read(&"[".repeat(1_000_000)).is_err());
    }

    #[test]
    fn aliases_stay_small() {
        let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
        let Some(Node {
            value: Value::Mapping(pairs),
            ..
        }) = read(bomb).expect("YAML")
        else {
            panic!("a mapping");
        };
        let Value::List(list) = &pairs[2].1.value else {
            panic!("a list");
        };
        assert_eq!(list[0].value, Value::Alias);
    }

    /// A caller of the API may send such a text.
    #[test]
    fn a_megabyte_of_anything_ends() {
        for part in [
            "[", "{", "- ", "? ", ": ", "a: ", "&a ", "*a ", "!!a ", "'", "\"", "|\n", "#", "a\n",
            "\n", "- a\n", "a: [\n", "[],", "{a: ", "%\n", "---\n", "\t", "\u{feff}", "a,", "\\",
            " ",
        ] {
            let text = part.repeat(1_000_000 / part.len());
            if let Ok(Some(node)) = read(&text) {
                drop(node.into_json());
            }
        }
    }

    proptest! {
        #[test]
        fn a_text_is_read_or_refused_with_a_line_of_its_own(
            text in r#"([\[\]{}"':,#&*!|>%@?\-~\\ \n\ta-e0-2é]|: |- |\n {1,3}|---\n){0,40}"#,
        ) {
            let lines = text.lines().count() + 1;
            let fault = match read(&text) {
                Ok(node) => node.and_then(|node| node.into_json().err()),
                Err(fault) => Some(fault),
            };
            if let Some(fault) = fault {
                prop_assert!(fault.line <= lines, "{fault} of {lines} in {text:?}");
            }
        }
    }
}
