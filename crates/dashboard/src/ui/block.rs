//! What pages are made of: panels, figures, lists of facts, callouts, empty states.

use maud::{Markup, html};

use super::icon::{Icon, icon};
use super::status::Tone;

/// A titled part of a page.
pub(crate) fn panel(title: &str, actions: &Markup, body: &Markup) -> Markup {
    html! {
        section.panel {
            header.panel-head { h2 { (title) } (actions) }
            div.panel-body { (body) }
        }
    }
}

/// A part of a page whose content reaches its edges: a table, code.
pub(crate) fn flush_panel(title: &str, actions: &Markup, body: &Markup) -> Markup {
    html! {
        section.panel.flush {
            header.panel-head { h2 { (title) } (actions) }
            (body)
        }
    }
}

/// A number with its name; `more` stands below it.
pub(crate) struct Figure<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: String,
    pub(crate) more: Markup,
    /// Where the list behind the number is.
    pub(crate) href: Option<String>,
    pub(crate) tone: Option<Tone>,
}

/// Numbers side by side.
pub(crate) fn figures(figures: &[Figure<'_>]) -> Markup {
    html! {
        dl.figures {
            @for figure in figures {
                div.figure {
                    dt { (figure.name) }
                    dd class={ "figure-value number " (figure.tone.map_or("", Tone::class)) } {
                        @match &figure.href {
                            Some(href) => { a href=(href) { (figure.value) } }
                            None => { (figure.value) }
                        }
                    }
                    dd.figure-more { (figure.more) }
                }
            }
        }
    }
}

/// Facts: names on the left, values on the right.
pub(crate) fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in facts {
                div { dt { (name) } dd { (value) } }
            }
        }
    }
}

/// Something people should read before they go on.
pub(crate) fn callout(tone: Tone, title: &str, body: &Markup) -> Markup {
    let role = matches!(tone, Tone::Bad | Tone::Warn).then_some("alert");
    html! {
        div class={ "callout " (tone.class()) } role=[role] {
            (icon(match tone { Tone::Busy | Tone::Quiet => Icon::Info, tone => tone.icon() }))
            div {
                strong { (title) }
                div.callout-body { (body) }
            }
        }
    }
}

/// What stands where there is nothing yet: what it would be, and what to do next.
pub(crate) fn empty(shape: Icon, title: &str, body: &Markup) -> Markup {
    html! {
        div.empty {
            span.empty-icon { (icon(shape)) }
            strong { (title) }
            div { (body) }
        }
    }
}

/// What was just done, at the head of the next page.
pub(crate) fn done(text: &str) -> Markup {
    html! {
        div.callout.good role="status" { (icon(Icon::Check)) div { (text) } }
    }
}

/// Work that takes a while: so much of so much.
pub(crate) fn progress(name: &str, done: u64, of: Option<u64>) -> Markup {
    html! {
        div.progress {
            @match of {
                Some(of) => {
                    progress max=(of.max(1)) value=(done.min(of)) aria-label=(name) {}
                    span.number.muted { (grouped(done)) " of " (grouped(of)) }
                }
                None => {
                    progress aria-label=(name) {}
                    span.number.muted { (grouped(done)) }
                }
            }
        }
    }
}

/// Work that takes a while, of which a share is done, 0 to 1, if that is known.
pub(crate) fn progress_share(name: &str, share: Option<f64>) -> Markup {
    html! {
        div.progress {
            @match share {
                Some(share) => {
                    progress max="1" value=(format!("{share:.3}")) aria-label=(name) {}
                    span.number.muted { (format!("{:.0} %", (share * 100.0).floor())) }
                }
                None => { progress aria-label=(name) {} }
            }
        }
    }
}

/// `12 345`, with thin spaces.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A size as people say it: `12.4 MB`.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if number < 1_000 {
        return format!("{number} B");
    }
    let (mut tenths, mut unit) = (number / 100, 0);
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1_000, unit + 1);
    }
    let unit = UNITS[unit];
    if tenths >= 1_000 {
        return format!("{} {unit}", tenths / 10);
    }
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// A share in percent that never rounds a failure away; a dash if there is nothing to share.
pub(crate) fn share(part: u64, of: u64) -> String {
    if of == 0 {
        return "–".to_owned();
    }
    if part >= of {
        return "100 %".to_owned();
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "a share needs no sixteenth digit"
    )]
    let share = part as f64 * 100.0 / of as f64;
    let floored = (share * 100.0).floor() / 100.0;
    let text = format!("{floored:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_never_rounded_away() {
        assert_eq!(share(0, 0), "–");
        assert_eq!(share(5, 5), "100 %");
        assert_eq!(share(999_999, 1_000_000), "99.99 %");
        assert_eq!(share(1, 3), "33.33 %");
        assert_eq!(share(1, 2), "50 %");
        assert_eq!(share(0, 7), "0 %");
    }

    #[test]
    fn sizes_are_said_in_three_digits() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_000), "1.0 kB");
        assert_eq!(bytes(99_949), "99.9 kB");
        assert_eq!(bytes(123_456), "123 kB");
        assert_eq!(bytes(12_400_000), "12.4 MB");
        assert_eq!(bytes(2_000_000_000_000_000), "2000 TB");
    }

    #[test]
    fn digits_stand_in_groups() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
