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

/// JSON with a line a member; any other text as it is.
pub(crate) fn pretty(bytes: &[u8]) -> String {
    match serde_json::from_slice::<serde_json::Value>(bytes) {
        Ok(json) => serde_json::to_string_pretty(&json).unwrap_or_default(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
