//! The section `webhook` of Website Defender's `config.yaml`.
//!
//! Each key means what the product's document says it means; what the document leaves open is
//! decided as the product does.

use std::time::Duration;

use watchfire_domain::limit;

use watchfire_contracts::yaml::{self, Fault, Node, Value};

/// What the document shows as the default.
const TIMEOUT: Duration = Duration::from_secs(5);
const KEYS: &str = "url, timeout and events";

/// What the section says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Webhook {
    /// The line the section begins on.
    pub(crate) line: usize,
    /// `None` if nothing is sent.
    pub(crate) url: Option<Located>,
    pub(crate) timeout: Duration,
    /// The events that are sent; `None` if the file does not say, which means all.
    pub(crate) events: Option<Vec<Located>>,
}

/// A text and the line it stands on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// Reads a whole configuration file; sections other than `webhook` are passed over.
pub(crate) fn read(text: &str) -> Result<Webhook, Fault> {
    let root = yaml::read(text)?;
    let missing = || Fault::new(1, "there is no section `webhook`; is it the right file?");
    let sections = match root.ok_or_else(missing)? {
        Node {
            value: Value::Mapping(sections),
            ..
        } => sections,
        other => {
            let problem = "expected sections such as `webhook:`";
            return Err(Fault::new(other.line, problem));
        }
    };
    let mut webhook = None;
    for (key, value) in &sections {
        if name_of(key) == Some("webhook") && webhook.replace((key.line, value)).is_some() {
            return Err(Fault::new(key.line, "`webhook` is there twice"));
        }
    }
    let (line, section) = webhook.ok_or_else(missing)?;
    read_section(line, section)
}

fn read_section(line: usize, section: &Node) -> Result<Webhook, Fault> {
    let mut webhook = Webhook {
        line,
        url: None,
        timeout: TIMEOUT,
        events: None,
    };
    if section.is_null() {
        return Ok(webhook);
    }
    let Value::Mapping(pairs) = &section.value else {
        let what = section.what();
        let problem = format!("webhook: expected the keys {KEYS}, not {what}");
        return Err(Fault::new(section.line, problem));
    };
    let mut seen: Vec<&str> = Vec::new();
    for (key, value) in pairs {
        let name = name_of(key).unwrap_or_default();
        if seen.contains(&name) {
            let problem = format!("webhook.{name} is there twice");
            return Err(Fault::new(key.line, problem));
        }
        seen.push(name);
        match name {
            "url" => webhook.url = url(value)?,
            "timeout" => webhook.timeout = timeout(value)?,
            "events" => webhook.events = events(value)?,
            _ => {
                let problem = format!("webhook.{}: unknown key; known are {KEYS}", key.what());
                return Err(Fault::new(key.line, problem));
            }
        }
    }
    Ok(webhook)
}

fn name_of(key: &Node) -> Option<&str> {
    match &key.value {
        Value::Plain(text) | Value::Quoted(text) => Some(text),
        Value::List(_) | Value::Mapping(_) | Value::Alias => None,
    }
}

/// "Webhook endpoint URL (empty = disabled)".
fn url(value: &Node) -> Result<Option<Located>, Fault> {
    let text = match &value.value {
        _ if value.is_null() => return Ok(None),
        Value::Plain(text) | Value::Quoted(text) => text.trim(),
        Value::List(_) | Value::Mapping(_) | Value::Alias => {
            let what = value.what();
            let problem = format!("webhook.url: expected one address in quotes, not {what}");
            return Err(Fault::new(value.line, problem));
        }
    };
    Ok((!text.is_empty()).then(|| Located {
        line: value.line,
        text: text.to_owned(),
    }))
}

/// "Request timeout in seconds"; where it is not above zero, the product takes its default.
fn timeout(value: &Node) -> Result<Duration, Fault> {
    if value.is_null() {
        return Ok(TIMEOUT);
    }
    let seconds = match &value.value {
        Value::Plain(text) => text.parse::<i64>().ok(),
        Value::Quoted(_) | Value::List(_) | Value::Mapping(_) | Value::Alias => None,
    };
    let max = limit::ATTEMPT_TIMEOUT_MAX.as_secs();
    match seconds {
        Some(..=0) => Ok(TIMEOUT),
        Some(seconds) if seconds.unsigned_abs() <= max => {
            Ok(Duration::from_secs(seconds.unsigned_abs()))
        }
        Some(seconds) => Err(Fault::new(
            value.line,
            format!("webhook.timeout: {seconds} seconds are too many; {max} is the most"),
        )),
        None => Err(Fault::new(
            value.line,
            format!(
                "webhook.timeout: expected whole seconds such as 5, not {}",
                value.what()
            ),
        )),
    }
}

/// "Only events matching the configured types will be sent."
fn events(value: &Node) -> Result<Option<Vec<Located>>, Fault> {
    if value.is_null() {
        return Ok(None);
    }
    let expected = |node: &Node| {
        let what = node.what();
        let problem = format!("webhook.events: expected a list such as [auto_ban], not {what}");
        Fault::new(node.line, problem)
    };
    let Value::List(items) = &value.value else {
        return Err(expected(value));
    };
    let mut events: Vec<Located> = Vec::new();
    for item in items {
        let text = name_of(item).filter(|text| !text.is_empty());
        let text = text.ok_or_else(|| expected(item))?;
        if events.iter().all(|known| known.text != text) {
            events.push(Located {
                line: item.line,
                text: text.to_owned(),
            });
        }
    }
    Ok(Some(events))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the product's document, under "Configuration".
    const DOCUMENTED: &str = "webhook:
  # Webhook endpoint URL (empty = disabled)
  url: \"\"
  # Request timeout in seconds
  timeout: 5
  # Which events trigger notifications
  events:
    - auto_ban
    - brute_force
    - scan_detected
";

    fn names(webhook: &Webhook) -> Option<Vec<&str>> {
        let events = webhook.events.as_ref()?;
        Some(events.iter().map(|event| event.text.as_str()).collect())
    }

    #[test]
    fn the_documents_example_is_read() {
        let webhook = read(DOCUMENTED).expect("valid");
        assert_eq!(webhook.url, None);
        assert_eq!(webhook.timeout, TIMEOUT);
        let all = ["auto_ban", "brute_force", "scan_detected"];
        assert_eq!(names(&webhook).as_deref(), Some(all.as_slice()));
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        for text in [
            "webhook:",
            "webhook: {}",
            "webhook:\n  url:\n  timeout:\n  events:\n",
        ] {
            let webhook = read(text).expect(text);
            assert_eq!((webhook.url, webhook.timeout), (None, TIMEOUT), "{text}");
            assert_eq!(webhook.events, None, "{text}");
        }
    }

    #[test]
    fn other_sections_are_passed_over() {
        let text = "server: &s {port: 9999}\nother: *s\nwebhook:\n  url: http://h/x\n  timeout: 7\n  events: [scan_detected, scan_detected]\nlast: 1\n";
        let webhook = read(text).expect("valid");
        let url = webhook.url.clone().expect("a url");
        assert_eq!((url.line, url.text.as_str()), (4, "http://h/x"));
        assert_eq!(webhook.timeout, Duration::from_secs(7));
        assert_eq!(
            names(&webhook).as_deref(),
            Some(["scan_detected"].as_slice())
        );
    }

    #[test]
    fn an_empty_list_is_told_from_none() {
        let webhook = read("webhook:\n  events: []\n").expect("valid");
        assert_eq!(names(&webhook).as_deref(), Some([].as_slice()));
    }

    #[test]
    fn timeouts_that_are_not_above_zero_are_the_default() {
        for (text, seconds) in [("0", 5), ("-3", 5), ("1", 1), ("120", 120)] {
            let webhook = read(&format!("webhook:\n  timeout: {text}\n")).expect(text);
            assert_eq!(webhook.timeout.as_secs(), seconds, "{text}");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_line_and_what_is_right() {
        let cases = [
            (
                "",
                "line 1: there is no section `webhook`; is it the right file?",
            ),
            (
                "a: 1\n",
                "line 1: there is no section `webhook`; is it the right file?",
            ),
            (
                "- webhook\n",
                "line 1: expected sections such as `webhook:`",
            ),
            (
                "webhook: on\n",
                "line 1: webhook: expected the keys url, timeout and events, not on",
            ),
            (
                "webhook:\n  ur: x\n",
                "line 2: webhook.ur: unknown key; known are url, timeout and events",
            ),
            (
                "webhook:\n  url: [a]\n",
                "line 2: webhook.url: expected one address in quotes, not a list",
            ),
            (
                "webhook:\n  url: a\n  url: b\n",
                "line 3: webhook.url is there twice",
            ),
            (
                "webhook: {}\nwebhook: {}\n",
                "line 2: `webhook` is there twice",
            ),
            (
                "webhook:\n  timeout: 5s\n",
                "line 2: webhook.timeout: expected whole seconds such as 5, not 5s",
            ),
            (
                "webhook:\n  timeout: \"5\"\n",
                "line 2: webhook.timeout: expected whole seconds such as 5, not \"5\"",
            ),
            (
                "webhook:\n  timeout: 2.5\n",
                "line 2: webhook.timeout: expected whole seconds such as 5, not 2.5",
            ),
            (
                "webhook:\n  timeout: 121\n",
                "line 2: webhook.timeout: 121 seconds are too many; 120 is the most",
            ),
            (
                "webhook:\n  events: auto_ban\n",
                "line 2: webhook.events: expected a list such as [auto_ban], not auto_ban",
            ),
            (
                "webhook:\n  events:\n    - auto_ban\n    - [x]\n",
                "line 4: webhook.events: expected a list such as [auto_ban], not a list",
            ),
            (
                "a: &a [x]\nwebhook:\n  events: *a\n",
                "line 3: webhook.events: expected a list such as [auto_ban], not an alias; write the value itself",
            ),
        ];
        for (text, expect) in cases {
            let fault = read(text).expect_err(text);
            assert_eq!(fault.to_string(), expect, "{text}");
        }
    }
}
