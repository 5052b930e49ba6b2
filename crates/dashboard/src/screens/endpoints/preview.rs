//! What an endpoint would get: the exact request, and when it is repeated.

use std::time::Duration;

use maud::{Markup, html};
use watchfire_contracts::Contract;
use watchfire_domain::retry::Schedule;
use watchfire_engine::service::endpoints::Preview;

use crate::ui::{block, code, time};

/// The request as it would go out, byte for byte apart from secrets.
pub(super) fn request(preview: &Preview) -> Markup {
    let line = (preview.method.as_str(), preview.url.as_str());
    let text = code::request(line, &preview.headers, &preview.body);
    let title = format!("{}, with its sample", preview.event_type);
    block::flush_panel(
        "The request",
        &html! {},
        &html! { div.panel-body { (code::block(&title, &text)) } },
    )
}

/// The attempts of a delivery on a line of time, the gaps drawn by their logarithm: seconds and
/// hours stand on one line.
pub(super) fn retries(contract: &Contract) -> Markup {
    let delivery = &contract.manifest().delivery;
    let schedule = &delivery.retry;
    let whole: Duration = schedule.delays().iter().sum();
    let body = html! {
        @if schedule.delays().is_empty() {
            p.muted { "There is one attempt, and no retry." }
        } @else {
            (line(schedule))
            p.muted {
                (schedule.attempts_max()) " attempts over " (time::long(whole)) ", each of at most "
                (time::long(delivery.timeout)) ". A receiver may ask for more time with Retry-After."
            }
        }
    };
    block::panel("When it is tried again", &html! {}, &body)
}

const WIDTH: f64 = 360.0;
/// Words that find room beside each other; more take turns in two lines.
const WORDS_IN_A_LINE: usize = 5;

fn line(schedule: &Schedule) -> Markup {
    let weight = |delay: &Duration| (1.0 + delay.as_secs_f64()).ln() + 2.0;
    let total: f64 = schedule.delays().iter().map(weight).sum();
    let mut at = 8.0;
    let mut points = Vec::new();
    for delay in schedule.delays() {
        let before = at;
        at += weight(delay) / total * (WIDTH - 16.0);
        points.push((at, f64::midpoint(before, at), time::long(*delay)));
    }
    let words: Vec<_> = schedule
        .delays()
        .iter()
        .map(|delay| time::long(*delay))
        .collect();
    let lines = if words.len() > WORDS_IN_A_LINE { 2 } else { 1 };
    let label = format!("Attempts: at once, then after {}", words.join(", "));
    html! {
        svg.retries viewBox={ "0 0 " (WIDTH) " 52" } role="img" aria-label=(label) {
            line.way x1="8" x2=(WIDTH - 8.0) y1="16" y2="16" {}
            circle.attempt.first cx="8" cy="16" r="5" {}
            @for (place, (x, middle, gap)) in points.iter().enumerate() {
                circle.attempt cx=(format!("{x:.1}")) cy="16" r="5" {}
                text x=(format!("{middle:.1}")) y=(38 + 10 * (place % lines)) text-anchor="middle" { (gap) }
            }
        }
    }
}
