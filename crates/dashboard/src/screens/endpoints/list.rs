//! All endpoints of an application: search, filters, order.
//!
//! An application has at most [`limit::ENDPOINTS_PER_APPLICATION_MAX`] endpoints, and the engine
//! holds them in memory; so they are filtered and sorted here, and no query is asked.

use std::sync::Arc;

use maud::{Markup, html};
use watchfire_domain::health::State;
use watchfire_domain::limit;
use watchfire_domain::scope::Scope;
use watchfire_engine::Endpoint;

use crate::access::InApp;
use crate::failure::Answer;
use crate::paging::PageOf;
use crate::params::Fields;
use crate::ui::control::{self, Weight};
use crate::ui::table::{Row, column, pager, table};
use crate::ui::{Icon, Page, Section, block, status, time};

/// States to filter by, and their words.
const STATES: [(&str, &str); 6] = [
    ("", "Any state"),
    ("active", "Active"),
    ("failing", "Failing"),
    ("suspended", "Suspended"),
    ("probation", "On probation"),
    ("disabled", "Disabled"),
];

const ORDERS: [(&str, &str); 3] = [
    ("", "Newest first"),
    ("url", "By address"),
    ("state", "Worst first"),
];

pub(crate) async fn page(at: InApp, query: Fields) -> Answer {
    let found = found(&at, &query);
    let count = found.len();
    let page = cut(found, &query);
    let rows: Vec<_> = page
        .items
        .iter()
        .map(|endpoint| row(&at, endpoint))
        .collect();
    let columns = [
        column("Endpoint"),
        column("Health"),
        column("Events"),
        column("Created"),
    ];
    let body = html! {
        @if at.app.endpoints.is_empty() { (nothing_yet()) } @else {
            (filters(&query))
            div.stack #endpoints data-live {
                @if rows.is_empty() { (no_match(&at)) } @else {
                    section.panel.flush { (table("Endpoints", &columns, &rows)) }
                }
                (pager(&page))
            }
        }
    };
    let name = &at.app.stored.application.settings.name;
    let counted = html! { span.muted.number { (count) } };
    let mut shown = Page::new(Section::Endpoints, "Endpoints", body)
        .live(&at.path("/live"))
        .beside(counted);
    if !at.view.in_portal() {
        shown = shown
            .crumb("Applications", "/dashboard/apps")
            .crumb(name, &at.path("/endpoints"));
    }
    if at.view.may(Scope::Admin) {
        let edit = control::link(
            Weight::Plain,
            Some(Icon::Gear),
            "Settings",
            &at.path("/edit"),
        );
        shown = shown.actions(edit);
    }
    Ok(shown.show_in(&at))
}

/// The endpoints that are asked for, in the order asked for.
fn found(at: &InApp, query: &Fields) -> Vec<Arc<Endpoint>> {
    let wanted = query.text("q").to_lowercase();
    let states: Vec<_> = query.all("state").collect();
    let matches = |endpoint: &&Arc<Endpoint>| {
        let settings = &endpoint.stored.endpoint.settings;
        let texts = [&settings.url, &settings.description];
        let named = texts
            .iter()
            .any(|text| text.to_lowercase().contains(&wanted));
        let id = endpoint.stored.endpoint.identity.id.to_string();
        let state = state_of(endpoint);
        (named || id.to_lowercase() == wanted) && (states.is_empty() || states.contains(&state))
    };
    let mut found: Vec<_> = at.app.endpoints.iter().filter(matches).cloned().collect();
    match query.text("order") {
        "url" => found.sort_by(|a, b| url(a).cmp(url(b))),
        "state" => found.sort_by_key(|endpoint| severity(endpoint)),
        _ => found.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.stored.endpoint.identity.id)),
    }
    found
}

fn url(endpoint: &Endpoint) -> &str {
    &endpoint.stored.endpoint.settings.url
}

/// The name of an endpoint's state in the filter.
fn state_of(endpoint: &Endpoint) -> &'static str {
    let health = endpoint.health();
    if endpoint.stored.endpoint.settings.disabled {
        return "disabled";
    }
    match (health.state(), health.trouble()) {
        (State::Active, Some(_)) => "failing",
        (state, _) => state.as_str(),
    }
}

fn severity(endpoint: &Endpoint) -> usize {
    let order = ["disabled", "suspended", "failing", "probation", "active"];
    let state = state_of(endpoint);
    order
        .iter()
        .position(|known| *known == state)
        .unwrap_or(order.len())
}

/// One page of what was found; the query counts pages, since the list is short and in memory.
fn cut(found: Vec<Arc<Endpoint>>, query: &Fields) -> PageOf<Arc<Endpoint>> {
    let items = limit::DASHBOARD_PAGE_ITEMS;
    let pages = found.len().div_ceil(items).max(1);
    let page = query.text("page").parse().unwrap_or(1).clamp(1, pages);
    let link = |page: usize| query.with("page", Some(&page.to_string())).query();
    PageOf {
        newer: (page > 1).then(|| link(page - 1)),
        older: (page < pages).then(|| link(page + 1)),
        items: found
            .into_iter()
            .skip((page - 1) * items)
            .take(items)
            .collect(),
    }
}

fn filters(query: &Fields) -> Markup {
    html! {
        form.filters method="get" data-apply role="search" {
            (control::search("q", "Search address, description or id", query.text("q")))
            label { span.unseen { "State" } (control::select(query.text("state"), "state", &STATES)) }
            label { span.unseen { "Order" } (control::select(query.text("order"), "order", &ORDERS)) }
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

fn nothing_yet() -> Markup {
    block::empty(
        Icon::Endpoint,
        "No endpoints yet",
        &html! { p { "An endpoint is an address that events are sent to." } },
    )
}

fn row(at: &InApp, endpoint: &Endpoint) -> Row {
    let stored = &endpoint.stored.endpoint;
    let settings = &stored.settings;
    let events = &settings.subscription.event_types;
    Row {
        href: None,
        cells: vec![
            html! {
                span.clip { (settings.url) }
                @if !settings.description.is_empty() { span.hint { (settings.description) } }
            },
            status::health(&endpoint.health(), settings.disabled),
            html! {
                @match events.as_slice() {
                    [] => { span.muted { "All" } }
                    [one] => { code { (one) } }
                    [first, rest @ ..] => { code { (first) } span.muted { " +" (rest.len()) } }
                }
            },
            time::relative(stored.identity.created_at, at.view.now),
        ],
    }
}
