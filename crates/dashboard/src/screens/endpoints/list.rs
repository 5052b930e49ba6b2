//! All endpoints of an application: search, filters, order.

use std::collections::BTreeMap;
use std::time::Duration;

use maud::{Markup, html};
use watchfire_domain::id::EndpointId;
use watchfire_domain::scope::Scope;
use watchfire_engine::service::activity;
use watchfire_engine::service::endpoints::{self, Condition, EndpointQuery, ListedEndpoint, Sort};
use watchfire_store::{EndpointHour, EndpointKey, Step};

use super::{path_of, short};
use crate::access::InApp;
use crate::failure::Answer;
use crate::paging::Paging;
use crate::params::Fields;
use crate::ui::block::share;
use crate::ui::chart::{Cell, strip};
use crate::ui::control::{self, Weight};
use crate::ui::table::{Row, column, number, pager, table};
use crate::ui::{Icon, Page, Section, block, status, time};

/// Conditions to filter by, and their words.
const STATES: [(&str, &str); 7] = [
    ("", "Any health"),
    ("active", "Active"),
    ("failing", "Failing"),
    ("suspended", "Suspended"),
    ("probation", "On probation"),
    ("disabled", "Disabled"),
    ("off", "Switched off"),
];
/// Orders to choose from, and their words.
const SORTS: [(&str, &str); 3] = [
    ("", "Newest first"),
    ("failing", "Worst first"),
    ("lastDelivery", "Last delivery first"),
];
/// What a strip shows.
const STRIP: Duration = Duration::from_hours(24);

pub(crate) async fn page(at: InApp, query: Fields) -> Answer {
    let paging = Paging::<EndpointId>::of(&query);
    let wanted = EndpointQuery {
        state: Condition::named(query.text("state")),
        search: query.filled("q").map(ToOwned::to_owned),
        sort: Sort::named(query.text("sort")).unwrap_or_default(),
        ..EndpointQuery::default()
    };
    let found = endpoints::search(at.engine(), &at.app, &wanted, paging.range()).await?;
    let page = paging.cut(found, &query, |listed: &ListedEndpoint| id_of(listed));
    let keys: Vec<EndpointKey> = page
        .items
        .iter()
        .map(|listed| listed.endpoint.stored.key)
        .collect();
    let span = (at.view.now - STRIP, at.view.now);
    let hours = activity::by_endpoint(at.engine(), &at.app, keys, span).await?;
    let rows: Vec<_> = page
        .items
        .iter()
        .map(|listed| row(&at, listed, &hours))
        .collect();
    let columns = [
        column("Endpoint"),
        column("Health"),
        column("Last 24 hours"),
        number("Success"),
        number("Waiting"),
        column("Last attempt"),
    ];
    let body = html! {
        (done(query.text("done")))
        @if at.app.endpoints.is_empty() { (nothing_yet(&at)) } @else {
            (filters(&query))
            div.stack #endpoints data-live {
                @if rows.is_empty() { (no_match(&at)) } @else {
                    section.panel.flush { (table("Endpoints", &columns, &rows)) }
                }
                (pager(&page))
            }
        }
    };
    Ok(frame(&at, body).show_in(&at))
}

fn frame(at: &InApp, body: Markup) -> Page<'static> {
    let count = html! { span.muted.number { (at.app.endpoints.len()) } };
    let mut shown = Page::new(Section::Endpoints, "Endpoints", body)
        .live(&at.path("/live"))
        .beside(count);
    if !at.view.in_portal() {
        let name = &at.app.stored.application.settings.name;
        shown = shown
            .crumb("Applications", "/dashboard/apps")
            .crumb(name, &at.path("/endpoints"));
    }
    let actions = html! {
        @if at.view.may(Scope::Admin) && !at.view.in_portal() {
            (control::link(Weight::Plain, Some(Icon::Gear), "Settings", &at.path("/edit")))
        }
        @if at.view.may(Scope::EndpointsWrite) {
            (control::link(Weight::Primary, Some(Icon::Plus), "New endpoint", &at.path("/endpoints/new")))
        }
    };
    shown.actions(actions)
}

/// What was just done, by its name in the address.
fn done(name: &str) -> Markup {
    let text = match name {
        "created" => "The application was created. Add its first endpoint.",
        "saved" => "The application was saved.",
        "deleted" => "The endpoint was deleted.",
        _ => return html! {},
    };
    block::done(text)
}

fn id_of(listed: &ListedEndpoint) -> EndpointId {
    listed.endpoint.stored.endpoint.identity.id
}

fn filters(query: &Fields) -> Markup {
    html! {
        form.filters method="get" data-apply role="search" {
            (control::search("q", "Address, description or id", query.text("q")))
            label { span.unseen { "Health" } (control::select(query.text("state"), "state", &STATES)) }
            label { span.unseen { "Order" } (control::select(query.text("sort"), "sort", &SORTS)) }
            (control::submit(Weight::Plain, Some(Icon::Filter), "Apply"))
        }
    }
}

fn no_match(at: &InApp) -> Markup {
    block::empty(
        Icon::Search,
        "No endpoint matches",
        &html! {
            p { "None of the " (at.app.endpoints.len()) " endpoints is like that." }
            (control::link(Weight::Plain, None, "Show all", &at.path("/endpoints")))
        },
    )
}

fn nothing_yet(at: &InApp) -> Markup {
    block::empty(
        Icon::Endpoint,
        "No endpoints yet",
        &html! {
            p { "An endpoint is an address that events are sent to: signed, retried, and in order." }
            @if at.view.may(Scope::EndpointsWrite) {
                (control::link(Weight::Primary, Some(Icon::Plus), "New endpoint", &at.path("/endpoints/new")))
            }
        },
    )
}

fn row(
    at: &InApp,
    listed: &ListedEndpoint,
    hours: &BTreeMap<EndpointId, Vec<EndpointHour>>,
) -> Row {
    let id = id_of(listed);
    let stored = &listed.endpoint.stored;
    let settings = &stored.endpoint.settings;
    let hours = hours.get(&id).map(Vec::as_slice).unwrap_or_default();
    let delivered: u64 = hours.iter().map(|hour| hour.delivered).sum();
    let failed: u64 = hours.iter().map(|hour| hour.failed).sum();
    Row {
        href: Some(path_of(at, id, "")),
        cells: vec![
            html! {
                strong.clip { (short(&settings.url)) }
                @if !settings.description.is_empty() { span.hint { (settings.description) } }
            },
            status::health(&stored.health, settings.disabled),
            strip("Last 24 hours", &cells(at, hours)),
            html! { (share(delivered, delivered + failed)) },
            html! {
                @if listed.standing.owed == 0 { span.muted { "–" } } @else {
                    (block::grouped(listed.standing.owed))
                }
            },
            html! {
                @match &listed.standing.last_attempt {
                    Some(attempt) => {
                        span.row {
                            (status::outcome(&attempt.outcome))
                            span.muted { (time::relative(attempt.attempted_at, at.view.now)) }
                        }
                    }
                    None => { span.muted { "none yet" } }
                }
            },
        ],
    }
}

/// A cell for each of the last 24 hours.
pub(super) fn cells(at: &InApp, hours: &[EndpointHour]) -> Vec<Cell> {
    let last = Step::Hour.slot_of(at.view.now);
    let cell = |slot: i64| {
        let begins_at = Step::Hour.begin_of(slot);
        let hour = hours.iter().find(|hour| hour.begins_at == begins_at);
        Cell {
            label: time::hour(begins_at),
            begins_at,
            good: hour.map_or(0, |hour| hour.delivered),
            bad: hour.map_or(0, |hour| hour.failed),
        }
    };
    (last - 23..=last).map(cell).collect()
}
