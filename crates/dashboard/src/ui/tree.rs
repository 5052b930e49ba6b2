//! JSON as a tree that opens and closes without a script.

use maud::{Markup, html};
use serde_json::Value;

/// Values shown; a payload may have a hundred thousand.
const VALUES_MAX: usize = 400;
/// Levels that are open at first.
const OPEN: usize = 2;
/// Characters shown of one text.
const TEXT_CHARS: usize = 300;

/// JSON as a tree; a text for whatever is no JSON.
pub(crate) fn tree(bytes: &[u8]) -> Markup {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => {
            let mut left = VALUES_MAX;
            let shown = node(None, &value, 0, &mut left);
            html! {
                div.tree { (shown) }
                @if left == 0 {
                    p.hint { "Only the first " (VALUES_MAX) " values are shown here; the raw text has all." }
                }
            }
        }
        Err(_) => super::code::block("Raw", &String::from_utf8_lossy(bytes)),
    }
}

fn node(name: Option<&str>, value: &Value, depth: usize, left: &mut usize) -> Markup {
    if *left == 0 {
        return html! {};
    }
    *left -= 1;
    match value {
        Value::Object(members) if !members.is_empty() => {
            let said = counted(members.len(), "member", "{}");
            let mut inner = Vec::new();
            for (name, value) in members {
                inner.push(node(Some(name), value, depth + 1, left));
            }
            branch(name, &said, depth, &inner)
        }
        Value::Array(items) if !items.is_empty() => {
            let said = counted(items.len(), "item", "[]");
            let mut inner = Vec::new();
            for (place, value) in items.iter().enumerate() {
                inner.push(node(Some(&place.to_string()), value, depth + 1, left));
            }
            branch(name, &said, depth, &inner)
        }
        leaf => {
            let (class, text) = leaf_text(leaf);
            html! {
                div.leaf {
                    @if let Some(name) = name { span.tree-name { (name) } }
                    span class={ "tree-value " (class) } { (text) }
                }
            }
        }
    }
}

fn branch(name: Option<&str>, said: &str, depth: usize, inner: &[Markup]) -> Markup {
    html! {
        details open[depth < OPEN] {
            summary {
                @if let Some(name) = name { span.tree-name { (name) } }
                span.muted { (said) }
            }
            div.tree-inner { @for inner in inner { (inner) } }
        }
    }
}

fn counted(count: usize, what: &str, sign: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{sign} {count} {what}{plural}")
}

fn leaf_text(value: &Value) -> (&'static str, String) {
    match value {
        Value::Null => ("is-null", "null".to_owned()),
        Value::Bool(value) => ("is-bool", value.to_string()),
        Value::Number(value) => ("is-number", value.to_string()),
        Value::String(text) => ("is-text", cut(text)),
        Value::Array(_) => ("is-null", "[]".to_owned()),
        Value::Object(_) => ("is-null", "{}".to_owned()),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_shown_escaped_and_bounded() {
        let shown = tree(br#"{"a":"<script>","b":[1,null]}"#).into_string();
        assert!(shown.contains("&lt;script&gt;") && !shown.contains("<script>"));
        let many = format!("[{}1]", "1,".repeat(5_000));
        let shown = tree(many.as_bytes()).into_string();
        assert!(shown.len() < 60_000, "{}", shown.len());
        assert!(shown.contains("Only the first"));
    }
}
