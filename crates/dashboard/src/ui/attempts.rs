//! Attempts over time: when they were made, to scale, and what each was spent on.

use std::time::Duration;

use maud::{Markup, html};
use watchfire_domain::attempt::Timing;
use watchfire_domain::outcome::Outcome;
use watchfire_domain::time::Timestamp;

use super::status::outcome_look;
use super::time;

const WIDTH: f64 = 720.0;
const EDGE: f64 = 14.0;

/// An attempt on the line.
pub(crate) struct Point<'a> {
    pub(crate) at: Timestamp,
    pub(crate) number: u32,
    pub(crate) outcome: &'a Outcome,
    pub(crate) href: String,
}

/// Attempts along a line, with the gaps between them to scale, and the next one if it is known.
pub(crate) fn line(attempts: &[Point<'_>], next: Option<Timestamp>, now: Timestamp) -> Markup {
    let Some(first) = attempts.first() else {
        return html! {};
    };
    let begin = first.at;
    let last = attempts.last().map_or(begin, |last| last.at);
    let end = next.map_or(last, |next| next.max(last));
    if end == begin {
        // One dot says nothing that the list below it does not.
        return html! {};
    }
    let span = end.since(begin).as_secs_f64().max(0.001);
    let x = |at: Timestamp| EDGE + (WIDTH - 2.0 * EDGE) * at.since(begin).as_secs_f64() / span;
    let words = match attempts.len() {
        1 => "One attempt".to_owned(),
        many => format!("{many} attempts in {}", time::long(last.since(begin))),
    };
    html! {
        figure.attempt-line {
            svg viewBox={ "0 0 " (WIDTH) " 44" } role="group" aria-label=(words) {
                line.attempt-axis x1=(EDGE) x2=(tidy(x(last))) y1="16" y2="16" {}
                @if let Some(next) = next.filter(|next| *next > last) {
                    line.attempt-axis.ahead x1=(tidy(x(last))) x2=(tidy(x(next))) y1="16" y2="16" {}
                    circle.attempt-dot.ahead cx=(tidy(x(next))) cy="16" r="6" {
                        title { "Next attempt " (time::absolute(next)) }
                    }
                }
                @for attempt in attempts {
                    @let (tone, _) = outcome_look(attempt.outcome);
                    a href=(attempt.href) {
                        circle class={ "attempt-dot " (tone.class()) } cx=(tidy(x(attempt.at))) cy="16" r="6" {
                            title { "Attempt " (attempt.number) ": " (attempt.outcome) ", " (time::absolute(attempt.at)) }
                        }
                    }
                }
                text.attempt-word x=(EDGE - 8.0) y="40" { (time::clock(begin)) }
                text.attempt-word.end x=(WIDTH - EDGE + 8.0) y="40" {
                    @if end > now { "in " (time::long(end.since(now))) } @else { (time::clock(end)) }
                }
            }
        }
    }
}

/// What an attempt was spent on, one bar for all parts.
pub(crate) fn timing(timing: &Timing) -> Markup {
    let parts = parts(timing);
    let total = timing.total.as_secs_f64().max(0.000_001);
    let mut begin = 0.0;
    let placed = parts.map(|(name, class, part)| {
        let width = WIDTH * part.as_secs_f64() / total;
        let place = (name, class, part, begin, width);
        begin += width;
        place
    });
    html! {
        figure.timing {
            svg viewBox={ "0 0 " (WIDTH) " 14" } preserveAspectRatio="none" aria-hidden="true" {
                @for (_, class, part, x, width) in &placed {
                    @if !part.is_zero() {
                        rect class=(class) x=(tidy(*x)) y="0" width=(tidy(width.max(2.0))) height="14" {}
                    }
                }
            }
            dl.timing-parts {
                @for (name, class, part, _, _) in &placed {
                    div {
                        dt { span class={ "swatch " (class) } aria-hidden="true" {} (name) }
                        dd.number {
                            @if part.is_zero() { span.muted { "–" } } @else { (time::took(*part)) }
                        }
                    }
                }
                div { dt { strong { "In all" } } dd.number { strong { (time::took(timing.total)) } } }
            }
        }
    }
}

fn parts(timing: &Timing) -> [(&'static str, &'static str, Duration); 5] {
    let part = |part: Option<Duration>| part.unwrap_or_default();
    let known = [
        timing.resolve,
        timing.connect,
        timing.tls,
        timing.first_byte,
    ];
    let known: Duration = known.into_iter().flatten().sum();
    [
        ("Resolve the name", "part-a", part(timing.resolve)),
        ("Connect", "part-b", part(timing.connect)),
        ("TLS", "part-c", part(timing.tls)),
        ("Wait for the answer", "part-d", part(timing.first_byte)),
        (
            "Send and read",
            "part-e",
            timing.total.saturating_sub(known),
        ),
    ]
}

fn tidy(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
