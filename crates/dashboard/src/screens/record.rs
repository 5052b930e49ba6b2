//! All about one record, in order: for each endpoint what was sent, what is on its way, what waits
//! and behind what.

use std::collections::BTreeMap;

use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};
use watchfire_domain::id::{EndpointId, MessageId};
use watchfire_domain::limit;
use watchfire_domain::scope::Scope;
use watchfire_engine::service::heads::{self, HeadInput};
use watchfire_engine::service::records::{self, Record, RecordMessage};
use watchfire_store::{DeliveryView, EndpointRef, OwedReason, RecordHead};

use super::deliveries::list::{endpoint_name, record_path, short, waits};
use crate::access::InApp;
use crate::failure::{Answer, Failure};
use crate::form::Form;
use crate::paging::Paging;
use crate::params::{Fields, encoded};
use crate::ui::block::{self, flush_panel};
use crate::ui::control::{self, Ask, Weight};
use crate::ui::status::{self, Tone};
use crate::ui::table::pager;
use crate::ui::{Icon, Page, Section, time};

/// Messages on a page, however many endpoints there are.
const ROWS_MIN: usize = 5;
/// Endpoints whose stuck message can be dealt with on one page; the others follow when one of them
/// goes on.
const STUCK_SHOWN: usize = 5;

pub(crate) async fn page(at: InApp, fields: Fields) -> Answer {
    let Some(key) = fields.filled("key") else {
        return Ok(ask(&at));
    };
    let paging = Paging::<MessageId>::of(&fields).with_items(rows(at.app.endpoints.len()));
    let Record { messages, heads } =
        records::read(at.engine(), &at.app, key, paging.range()).await?;
    let page = paging.cut(messages, &fields, |found| found.stored.message.id);
    let body = html! {
        @if let Some(done) = fields.filled("done") { (block::done(done)) }
        @if page.items.is_empty() { (nothing(key)) } @else {
            div.stack.wide #record data-live {
                (stuck(&at, key, &heads))
                (lanes(&at, &page.items, &heads))
                (pager(&page))
            }
        }
    };
    Ok(Page::new(Section::Deliveries, key, body)
        .beside(html! { span.muted { "Record" } })
        .crumb("Deliveries", &at.path("/deliveries"))
        .live(&at.path("/live"))
        .show_in(&at))
}

/// Messages on a page: the more endpoints there are, the wider each is.
fn rows(endpoints: usize) -> usize {
    let fitting = limit::DASHBOARD_PAGE_CELLS / endpoints.max(1);
    fitting.clamp(ROWS_MIN, limit::DASHBOARD_PAGE_ITEMS)
}

fn ask(at: &InApp) -> axum::response::Response {
    let body = html! {
        section.panel.narrow {
            div.panel-body {
                form.form method="get" action=(at.path("/record")) {
                    label.field {
                        span { "Record" }
                        input.input type="text" name="key" placeholder="T-1042" required;
                        span.hint { "What events are about: the id of a threat, a ticket, an address." }
                    }
                    (control::submit(Weight::Primary, Some(Icon::Search), "Show"))
                }
            }
        }
    };
    Page::new(Section::Deliveries, "Find a record", body)
        .crumb("Deliveries", &at.path("/deliveries"))
        .show_in(at)
}

fn nothing(key: &str) -> Markup {
    let body = html! { p { "No message about " code { (key) } " is kept. Is it spelled as in the event?" } };
    block::empty(Icon::Record, "Nothing about this record", &body)
}

fn url_of(at: &InApp, endpoint: EndpointId) -> String {
    let known = at.app.endpoints.iter();
    let mut known = known.map(|endpoint| &endpoint.stored.endpoint);
    let known = known.find(|stored| stored.identity.id == endpoint);
    known.map_or_else(
        || "(deleted)".to_owned(),
        |stored| short(&stored.settings.url),
    )
}

/// What holds the record up, and what can be done about it.
fn stuck(at: &InApp, key: &str, heads: &BTreeMap<EndpointId, RecordHead>) -> Markup {
    let mut stuck = heads.iter().filter(|(_, head)| head.waiting > 0);
    let shown: Vec<_> = stuck.by_ref().take(STUCK_SHOWN).collect();
    let others = stuck.count();
    html! {
        @for (endpoint, head) in shown {
            @let more = head.waiting >= limit::RECORD_WAITING_MAX;
            (block::callout(Tone::Warn, &format!("{} waits for one message", url_of(at, *endpoint)), &html! {
                p {
                    (head.waiting) @if more { " or more" }
                    @if head.waiting == 1 { " later message stands behind it." }
                    @else { " later messages stand behind it." }
                    @if let Some(owed) = &head.view.owed { " " (waits(at, head.view.endpoint, owed)) "." }
                }
                div.row {
                    (control::link(Weight::Plain, Some(Icon::Eye), "Look at it", &at.path(&format!("/messages/{}/{endpoint}", head.message))))
                    @if at.view.may(Scope::Replay) { (retry(at, key, *endpoint, head.message)) }
                }
            }))
        }
        @if others > 0 { p.muted { (others) " more of the record's endpoints wait as well." } }
    }
}

/// What can be done about the head: not wait for its time, or go on without it.
fn retry(at: &InApp, key: &str, endpoint: EndpointId, message: MessageId) -> Markup {
    let named = html! {
        input type="hidden" name="key" value=(key);
        input type="hidden" name="endpoint" value=(endpoint);
        input type="hidden" name="message" value=(message);
    };
    let (action, id) = (at.path("/record/skip"), format!("skip-{endpoint}"));
    html! {
        form.inline method="post" action=(at.path("/record/retry")) {
            (control::csrf(&at.view))
            (named)
            (control::submit(Weight::Plain, Some(Icon::Replay), "Try it now"))
        }
        (control::ask(&at.view, &Ask {
            id: &id,
            weight: Weight::Danger,
            icon: Icon::ArrowRight,
            text: "Skip it",
            title: "Go on without this message?",
            action: &action,
            body: html! {
                p { "The endpoint will not get it, and the next message of the record goes on. It stays in the history and can be sent again." }
                (named)
            },
            confirm: "Skip it",
        }))
    }
}

/// The head that a form names.
fn head(fields: &Fields) -> Result<(EndpointRef, HeadInput), Failure> {
    let endpoint: EndpointId = fields
        .text("endpoint")
        .parse()
        .map_err(|_| Failure::NotFound)?;
    let message = fields
        .text("message")
        .parse()
        .map_err(|_| Failure::NotFound)?;
    let input = HeadInput {
        record_key: fields.text("key").to_owned(),
        message: Some(message),
    };
    Ok((EndpointRef::Id(endpoint), input))
}

fn back(at: &InApp, fields: &Fields, done: &str) -> axum::response::Response {
    let back = record_path(at, fields.text("key"));
    Redirect::to(&format!("{back}&done={}", encoded(done))).into_response()
}

/// Does not wait for the next attempt's time.
pub(crate) async fn retry_head(at: InApp, Form(fields): Form) -> Answer {
    let (endpoint, input) = head(&fields)?;
    heads::retry(at.engine(), &at.app, &endpoint, &input).await?;
    Ok(back(&at, &fields, "It is tried now."))
}

/// Settles the head as skipped; the next message goes on.
pub(crate) async fn skip_head(at: InApp, Form(fields): Form) -> Answer {
    let (endpoint, input) = head(&fields)?;
    heads::skip(at.engine(), &at.app, &endpoint, &input).await?;
    Ok(back(&at, &fields, "It was skipped; the record goes on."))
}

/// A lane for each endpoint, the messages in their order from left to right; on a phone from top
/// to bottom.
fn lanes(
    at: &InApp,
    messages: &[RecordMessage],
    heads: &BTreeMap<EndpointId, RecordHead>,
) -> Markup {
    let mut endpoints: Vec<EndpointId> = Vec::new();
    for message in messages {
        for endpoint in message.deliveries.keys() {
            if !endpoints.contains(endpoint)
                && endpoints.len() < limit::DASHBOARD_PAGE_CELLS / ROWS_MIN
            {
                endpoints.push(*endpoint);
            }
        }
    }
    let body = html! {
        div.table-frame {
            table.table.record-lanes {
                caption.unseen { "Messages about the record, the newest first, by endpoint" }
                thead {
                    tr {
                        th scope="col" { "Event" }
                        @for endpoint in &endpoints { th scope="col" { (endpoint_name(at, *endpoint)) } }
                    }
                }
                tbody { @for message in messages { (line(at, message, &endpoints, heads)) } }
            }
        }
    };
    flush_panel("In order, the newest first", &html! {}, &body)
}

fn line(
    at: &InApp,
    message: &RecordMessage,
    endpoints: &[EndpointId],
    heads: &BTreeMap<EndpointId, RecordHead>,
) -> Markup {
    let about = &*message.stored.message;
    html! {
        tr {
            th scope="row" {
                a href=(at.path(&format!("/messages/{}", about.id))) { code { (about.event_type) } }
                span.hint { (time::relative(about.accepted_at, at.view.now)) }
            }
            @for endpoint in endpoints {
                td data-label=(url_of(at, *endpoint)) {
                    @match message.deliveries.get(endpoint) {
                        None => { span.muted { "–" } }
                        Some(view) => {
                            a.row-link href=(at.path(&format!("/messages/{}/{endpoint}", about.id))) {
                                (status::delivery(view.status))
                            }
                            span.hint { (standing(at, view, heads.get(endpoint), message)) }
                        }
                    }
                }
            }
        }
    }
}

fn standing(
    at: &InApp,
    view: &DeliveryView,
    head: Option<&RecordHead>,
    message: &RecordMessage,
) -> Markup {
    let is_head = head.is_some_and(|head| head.seq == message.stored.seq);
    html! {
        // That one waits for its turn is what the lane shows.
        @if let Some(owed) = view.owed.as_ref().filter(|owed| owed.reason != OwedReason::Turn) {
            (waits(at, view.endpoint, owed))
            @if is_head && head.is_some_and(|head| head.waiting > 0) { " · holds up the others" }
        }
    }
}
