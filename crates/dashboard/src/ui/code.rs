//! Texts for machines: shown as they are, easy to copy.

use maud::{Markup, html};

use super::icon::{Icon, icon};

/// A button that copies a text; hidden without a script.
pub(crate) fn copy(text: &str, label: &str) -> Markup {
    html! {
        button.icon-button type="button" data-copy=(text) aria-label=(label) title=(label) hidden {
            (icon(Icon::Copy))
        }
    }
}

/// An id or another short text that people copy.
pub(crate) fn id(text: &str) -> Markup {
    html! {
        span.id { code { (text) } (copy(text, "Copy")) }
    }
}

/// A block of text, with a button to copy it.
pub(crate) fn block(title: &str, text: &str) -> Markup {
    html! {
        figure.code {
            figcaption { span { (title) } (copy(text, "Copy")) }
            pre tabindex="0" { code { (text) } }
        }
    }
}

/// Several texts of which one is shown; the browser switches without a script.
pub(crate) fn tabs(name: &str, texts: &[(&str, String)]) -> Markup {
    html! {
        div.code-tabs {
            @for (place, (title, text)) in texts.iter().enumerate() {
                details name=(name) open[place == 0] {
                    summary { (title) }
                    (block(title, text))
                }
            }
        }
    }
}

/// A request as it goes over the wire; a value is absent where it is a secret.
pub(crate) fn request(
    (method, url): (&str, &str),
    headers: &[(String, Option<String>)],
    body: &[u8],
) -> String {
    let lines = headers.iter().map(|(name, value)| {
        let value = value.as_deref().unwrap_or("••••••••");
        format!("{name}: {value}\n")
    });
    let lines: String = lines.collect();
    format!("{method} {url}\n{lines}\n{}", pretty(body))
}

/// JSON with a line a member, and nothing else changed: its members stay in their order, and its
/// texts and numbers as they are written. Any other text as it is.
pub(crate) fn pretty(bytes: &[u8]) -> String {
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    match std::str::from_utf8(bytes) {
        Ok(text) if is_json => indented(text),
        Ok(_) | Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Valid JSON with its white space replaced.
fn indented(json: &str) -> String {
    let mut lines = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for token in json.chars() {
        if in_text {
            in_text = escaped || token != '"';
            escaped = !escaped && token == '\\';
            lines.push(token);
            continue;
        }
        match token {
            ' ' | '\t' | '\n' | '\r' => continue,
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                if !lines.ends_with(['{', '[']) {
                    break_line(&mut lines, depth);
                }
            }
            _ if lines.ends_with(['{', '[', ',']) => break_line(&mut lines, depth),
            _ => {}
        }
        lines.push(token);
        match token {
            '"' => in_text = true,
            '{' | '[' => depth += 1,
            ':' => lines.push(' '),
            _ => {}
        }
    }
    lines
}

fn break_line(lines: &mut String, depth: usize) {
    lines.push('\n');
    lines.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::pretty;

    #[test]
    fn json_is_broken_into_lines_and_not_changed() {
        let text = r#" {"z":1.10,"a" : [1e400,{"b":"x, {y}: \"[\\"}],"e":{ },"f":[ ],
            "z":12345678901234567890, "u":"\u00e9  é"}"#;
        let expect = r#"{
  "z": 1.10,
  "a": [
    1e400,
    {
      "b": "x, {y}: \"[\\"
    }
  ],
  "e": {},
  "f": [],
  "z": 12345678901234567890,
  "u": "\u00e9  é"
}"#;
        assert_eq!(pretty(text.as_bytes()), expect);
        assert_eq!(pretty(br#"["a,","b"]"#), "[\n  \"a,\",\n  \"b\"\n]");
    }

    #[test]
    fn what_is_no_json_stays_as_it_is() {
        for text in ["", "{", "a: 1", "{\"a\":1}}"] {
            assert_eq!(pretty(text.as_bytes()), text);
        }
        assert_eq!(pretty(b"\xff"), "\u{fffd}");
    }
}
