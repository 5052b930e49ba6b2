//! The list of deliveries.

use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};
use watchfire_domain::attempt::Attempt;
use watchfire_domain::health::Gate;
use watchfire_domain::id::{EndpointId, MessageId};
use watchfire_domain::limit;
use watchfire_domain::outcome::SkipReason;
use watchfire_domain::scope::Scope;
use watchfire_engine::service::deliveries::{self, Deliveries, Delivery, Place};
use watchfire_store::{EndpointKey, Owed, OwedReason};

use super::filter;
use crate::access::InApp;
use crate::failure::Answer;
use crate::params::{Fields, encoded};
use crate::ui::control::{self, Weight, csrf};
use crate::ui::status::{self, Tone};
use crate::ui::table::{Row, column, number, pickable};
use crate::ui::{Icon, Page, Section, block, icon, time};

/// What was done, in the address of the page after it.
pub(super) const DONE: &str = "done";

pub(crate) async fn page(at: InApp, fields: Fields) -> Answer {
    // Somebody who has an id wants to see what it names.
    if let Ok(id) = fields.text("q").parse::<MessageId>() {
        return Ok(Redirect::to(&at.path(&format!("/messages/{id}"))).into_response());
    }
    let query = filter::read(&fields, at.view.now);
    let from = fields.filled("from").and_then(|text| text.parse().ok());
    let page = (from, limit::DASHBOARD_PAGE_ITEMS);
    let found = deliveries::find(at.engine(), &at.app, query, page).await?;
    let list = html! {
        div.stack #deliveries data-live {
            (rows(&at, &fields, &found))
            (further(&fields, &found))
        }
    };
    let body = html! {
        @if let Some(done) = fields.filled(DONE) { (block::done(done)) }
        (filter::form(&at, &fields))
        @if at.view.may(Scope::Replay) {
            form method="post" action=(at.path("/deliveries/act")) {
                (csrf(&at.view))
                input type="hidden" name="back" value=(fields.with(DONE, None).query());
                (list)
            }
        } @else { (list) }
    };
    let mut shown =
        Page::new(Section::Deliveries, "Deliveries", body).actions(actions(&at, &fields));
    if from.is_none() {
        shown = shown.live(&at.path("/live"));
    }
    if !at.view.in_portal() {
        shown = shown.crumb("Applications", "/dashboard/apps").crumb(
            &at.app.stored.application.settings.name,
            &at.path("/endpoints"),
        );
    }
    Ok(shown.show_in(&at))
}

fn actions(at: &InApp, fields: &Fields) -> Markup {
    let query = fields.with(DONE, None).with("from", None).query();
    let export = |kind: &str| at.path(&format!("/deliveries/export.{kind}{query}"));
    html! {
        @if fields.filled("from").is_none() {
            button.button type="button" data-pause hidden {
                (icon(Icon::Pause)) span data-label { "Pause" }
            }
        }
        (control::link(Weight::Plain, None, "CSV", &export("csv")))
        (control::link(Weight::Plain, None, "JSON lines", &export("jsonl")))
    }
}

fn rows(at: &InApp, fields: &Fields, found: &Deliveries) -> Markup {
    if found.found.is_empty() {
        return nothing(at, fields, found);
    }
    let columns = [
        column("Event"),
        column("Status"),
        column("Endpoint"),
        column("Answer"),
        number("Took"),
        column("Record"),
        column("Accepted"),
    ];
    let rows: Vec<_> = found
        .found
        .iter()
        .map(|found| (name_of(found), row(at, found)))
        .collect();
    let may_replay = at.view.may(Scope::Replay);
    html! {
        section.panel.flush {
            (pickable("Deliveries", &columns, &rows, may_replay))
            @if may_replay {
                div.panel-foot {
                    span.muted { "With those that are ticked:" }
                    button.button type="submit" name="act" value="resend" {
                        (icon(Icon::Replay)) "Send again"
                    }
                    button.button type="submit" name="act" value="cancel" {
                        (icon(Icon::Cross)) "Cancel what waits"
                    }
                    span.keys.muted { kbd { "j" } " " kbd { "k" } " move, " kbd { "x" } " ticks, " kbd { "Enter" } " opens" }
                }
            }
        }
    }
}

/// As a form names a delivery.
fn name_of(found: &Delivery) -> String {
    format!("{}/{}", found.delivery.stored.message.id, found.endpoint)
}

fn row(at: &InApp, found: &Delivery) -> Row {
    let message = &*found.delivery.stored.message;
    let last = found.delivery.last_attempt.as_ref();
    let href = at.path(&format!("/messages/{}/{}", message.id, found.endpoint));
    Row {
        href: Some(href),
        cells: vec![
            html! { code { (message.event_type) } },
            html! {
                span.standing {
                    (status::delivery(found.delivery.view.status))
                    @if let Some(owed) = found.delivery.view.owed { span.hint { (waits(at, found.delivery.view.endpoint, &owed)) } }
                }
            },
            endpoint_name(at, found.endpoint),
            answer(last),
            html! { (last.map(|last| time::took(last.timing.total)).unwrap_or_default()) },
            html! {
                @if let Some(record) = &message.record_key {
                    a.clip.record href=(record_path(at, record)) { (record) }
                }
            },
            time::relative(message.accepted_at, at.view.now),
        ],
    }
}

/// The page about a record.
pub(crate) fn record_path(at: &InApp, record: &str) -> String {
    at.path(&format!("/record?key={}", encoded(record)))
}

/// An endpoint as people know it: its description, or its address.
pub(crate) fn endpoint_name(at: &InApp, id: EndpointId) -> Markup {
    let known = at.app.endpoints.iter();
    let mut known = known.map(|endpoint| &endpoint.stored.endpoint);
    let Some(stored) = known.find(|stored| stored.identity.id == id) else {
        return html! { span.muted { "(deleted)" } };
    };
    let settings = &stored.settings;
    let name = match settings.description.lines().next() {
        Some(first) if !first.trim().is_empty() => first.to_owned(),
        Some(_) | None => short(&settings.url),
    };
    html! { span.clip title=(settings.url) { (name) } }
}

/// An address without its scheme.
pub(crate) fn short(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.strip_suffix('/').unwrap_or(rest).to_owned()
}

fn answer(last: Option<&Attempt>) -> Markup {
    html! {
        @match last {
            Some(last) => {
                (status::outcome(&last.outcome))
                @if last.number > 1 { span.hint { "attempt " (last.number) } }
            }
            None => { span.muted { "–" } }
        }
    }
}

/// Why and until when a delivery waits.
pub(crate) fn waits(at: &InApp, endpoint: EndpointKey, owed: &Owed) -> Markup {
    if owed.reason == OwedReason::Turn {
        return html! { "Behind an earlier message" };
    }
    if let Some(held) = held(at, endpoint) {
        return held;
    }
    let what = match owed.reason {
        OwedReason::Retry => "Next attempt",
        OwedReason::Spilled | OwedReason::Requested | OwedReason::Turn => "In the queue",
        OwedReason::Held => "Held back, next look",
        OwedReason::Scheduled => "Not before its time,",
    };
    html! {
        (what)
        @if let Some(due_at) = owed.next_at() { " " (time::countdown(due_at, at.view.now)) }
    }
}

/// What an endpoint that is not sent to waits for: no due time of a delivery matters then.
pub(crate) fn held(at: &InApp, endpoint: EndpointKey) -> Option<Markup> {
    match at.app.endpoint(endpoint)?.allows(at.view.now) {
        Gate::Open => None,
        Gate::Probe => Some(html! { "Until its endpoint answers again" }),
        Gate::Hold { until: None } => Some(html! { "Until its endpoint is activated" }),
        Gate::Hold { until: Some(until) } => Some(html! {
            "Its endpoint rests; it is asked again " (time::countdown(until, at.view.now))
        }),
        Gate::Skip(SkipReason::EndpointDisabled) => {
            Some(html! { "Will be skipped: its endpoint is switched off" })
        }
        Gate::Skip(_) => Some(html! { "Will be skipped: its endpoint rests" }),
    }
}

/// How far the search came, and where it goes on.
fn further(fields: &Fields, found: &Deliveries) -> Markup {
    let link = |place: &Place| {
        let query = fields.with(DONE, None);
        query.with("from", Some(&place.to_string())).query()
    };
    html! {
        nav.pager aria-label="Pages" {
            @if fields.filled("from").is_some() {
                a.button href=(format!("?{}", fields.with("from", None).with(DONE, None).query().trim_start_matches('?'))) {
                    (icon(Icon::ArrowLeft)) "Newest"
                }
            }
            @if let Some(next) = &found.next {
                @let is_full = found.found.len() >= limit::DASHBOARD_PAGE_ITEMS;
                @if let (Some(at), false) = (found.searched_to, is_full) {
                    span.muted.searched {
                        "Looked at " (block::grouped(count(found.looked))) " so far, back to " (time::absolute(at))
                    }
                }
                a.button rel="next" href=(link(next)) {
                    (icon(Icon::ArrowRight))
                    @if is_full { "Older" } @else { "Go on searching" }
                }
            }
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn nothing(at: &InApp, fields: &Fields, found: &Deliveries) -> Markup {
    if found.next.is_some() {
        let body = html! {
            p { "So far nothing is like that. There is more to look at." }
        };
        return block::callout(Tone::Busy, "Nothing found yet", &body);
    }
    if filter::is_set(fields) {
        let body = html! {
            p { "No delivery is like that, or its retention has passed." }
            (control::link(Weight::Plain, None, "Show all", &at.path("/deliveries")))
        };
        return block::empty(Icon::Search, "Nothing matches", &body);
    }
    let body = html! {
        p { "As soon as an event is accepted, its way to each endpoint stands here." }
        (control::link(Weight::Primary, Some(Icon::Bolt), "Send a sample", &at.path("/events")))
    };
    block::empty(Icon::Delivery, "No deliveries yet", &body)
}
