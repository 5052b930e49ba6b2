//! The catalogue: what event types there are, what they look like, and trying one.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect};
use bytes::Bytes;
use maud::{Markup, html};
use serde::Deserialize;
use watchfire_domain::filter::pattern_matches;
use watchfire_domain::id::EventType;
use watchfire_domain::limit;
use watchfire_domain::scope::Scope;
use watchfire_engine::service::event_types::{self, Sight};
use watchfire_engine::service::messages::{self, MessageInput};
use watchfire_engine::service::{Error, activity};
use watchfire_store::{EventTypeHour, EventTypeRecord, Order, Range, Step};

use super::deliveries::list::endpoint_name;
use crate::access::InApp;
use crate::failure::{Answer, Failure, explain};
use crate::form::Form;
use crate::params::encoded;
use crate::ui::block::{self, facts, flush_panel, grouped, panel};
use crate::ui::chart::{self, Bar};
use crate::ui::control::{self, Weight, csrf};
use crate::ui::status::{Tone, badge};
use crate::ui::table::{Row, column, number, table};
use crate::ui::{Icon, Page, Section, code, time};

const DAY: Duration = Duration::from_hours(24);

pub(crate) async fn list(at: InApp) -> Answer {
    let range = Range::from_start(Order::Ascending, limit::PAGE_ITEMS_MAX);
    let sight = sight(&at);
    let mut found = event_types::list(at.engine(), at.org(), sight, false, range).await?;
    let is_full = found.len() >= limit::PAGE_ITEMS_MAX;
    // Another contract's event types are none of this application's.
    let own = |contract: &String| contract == at.app.contract.name();
    found.retain(|record| record.settings.contract.as_ref().is_none_or(own));
    let volumes = volumes(&at).await?;
    let contract = at.app.contract.manifest();
    let mut groups: Vec<(&str, Vec<&EventTypeRecord>)> = Vec::new();
    for record in &found {
        let group = record.settings.group_name.as_deref().unwrap_or("Others");
        match groups.iter_mut().find(|(known, _)| *known == group) {
            Some((_, records)) => records.push(record),
            None => groups.push((group, vec![record])),
        }
    }
    let body = html! {
        (panel("Contract", &html! {}, &html! {
            p { strong { (contract.title) } " " span.muted { (contract.summary) } }
            @if !contract.links.is_empty() {
                ul.row { @for link in &contract.links { li { a href=(link.url) rel="noreferrer noopener" { (link.title) } } } }
            }
        }))
        @if found.is_empty() {
            (block::empty(Icon::Catalogue, "No event types yet", &html! {
                p { "An event type is known as soon as it is created through the API, or comes with the application's contract." }
            }))
        }
        @for (group, records) in &groups { (flush_panel(group, &html! {}, &rows(&at, records, &volumes))) }
        (undescribed(&at, &found, &volumes))
        @if is_full {
            p.hint { "These are the first " (found.len()) "; the API has all of them." }
        }
    };
    Ok(Page::new(Section::Events, "Event types", body).show_in(&at))
}

/// A customer sees what is not behind a flag.
fn sight(at: &InApp) -> Sight<'_> {
    if at.view.in_portal() {
        Sight::Flags(&at.view.session.caller.feature_flags)
    } else {
        Sight::All
    }
}

/// Accepted messages of event types within the last day, by the hour.
type Volumes = BTreeMap<EventType, Vec<EventTypeHour>>;

async fn volumes(at: &InApp) -> Result<Volumes, Failure> {
    let span = (at.view.now - DAY, at.view.now);
    Ok(activity::by_event_type(at.engine(), &at.app, span).await?)
}

fn volume(volumes: &Volumes, name: &EventType) -> u64 {
    let hours = volumes.get(name).into_iter().flatten();
    hours.map(|hour| hour.accepted).sum()
}

/// What came within the last day and nobody has described. A customer does not see it: it may be
/// behind a flag.
fn undescribed(at: &InApp, found: &[EventTypeRecord], volumes: &Volumes) -> Markup {
    let is_known = |name: &EventType| found.iter().any(|record| record.name == *name);
    let rows: Vec<_> = volumes
        .keys()
        .filter(|name| !is_known(name))
        .take(limit::DASHBOARD_PAGE_ITEMS)
        .map(|name| Row {
            href: Some(at.path(&format!("/deliveries?type={name}"))),
            cells: vec![
                html! { code { (name) } },
                html! { (grouped(volume(volumes, name))) },
                html! { (subscribers(at, name).count()) },
            ],
        })
        .collect();
    let columns = [
        column("Event type"),
        number("Last 24 hours"),
        number("Subscribed"),
    ];
    html! {
        @if !rows.is_empty() && !at.view.in_portal() {
            (flush_panel("Sent, but not described", &html! {}, &html! {
                (table("Event types that are not described", &columns, &rows))
                div.panel-foot { span.muted { "Create them through the API, with a description and a schema, and they stand in the catalogue." } }
            }))
        }
    }
}

fn rows(at: &InApp, records: &[&EventTypeRecord], volumes: &Volumes) -> Markup {
    let columns = [
        column("Event type"),
        column("What happened"),
        number("Last 24 hours"),
        number("Subscribed"),
    ];
    let rows: Vec<_> = records
        .iter()
        .map(|record| Row {
            href: Some(at.path(&format!("/events/{}", record.name))),
            cells: vec![
                html! {
                    code { (record.name) }
                    @if record.settings.deprecated { " " (badge(Tone::Quiet, "Deprecated")) }
                },
                html! { (record.settings.description) },
                html! {
                    @match volume(volumes, &record.name) {
                        0 => { span.muted { "–" } }
                        accepted => { (grouped(accepted)) }
                    }
                },
                html! { (subscribers(at, &record.name).count()) },
            ],
        })
        .collect();
    table("Event types", &columns, &rows)
}

fn subscribers<'a>(
    at: &'a InApp,
    name: &'a EventType,
) -> impl Iterator<Item = &'a std::sync::Arc<watchfire_engine::Endpoint>> {
    at.app.endpoints.iter().filter(move |endpoint| {
        let settings = &endpoint.stored.endpoint.settings;
        let types = &settings.subscription.event_types;
        let asks = |pattern: &String| pattern_matches(pattern, name.as_str());
        !settings.disabled && (types.is_empty() || types.iter().any(asks))
    })
}

/// The event type a path names.
#[derive(Deserialize)]
pub(crate) struct EventPath {
    event_type: String,
}

async fn found(at: &InApp, path: &EventPath) -> Result<EventTypeRecord, Failure> {
    let name: EventType = path.event_type.parse().map_err(|_| Failure::NotFound)?;
    Ok(event_types::find(at.engine(), at.org(), sight(at), &name).await?)
}

pub(crate) async fn page(at: InApp, Path(path): Path<EventPath>) -> Answer {
    let record = found(&at, &path).await?;
    let sample = sample(&at, &record);
    shown(&at, &record, &sample, None).await
}

/// The newest schema and its version.
fn schema(record: &EventTypeRecord) -> Option<(&String, &serde_json::Value)> {
    let schemas = record.settings.schemas.as_ref()?.as_object()?;
    schemas
        .iter()
        .max_by_key(|(version, _)| version.parse::<u32>().unwrap_or(0))
}

fn sample(at: &InApp, record: &EventTypeRecord) -> String {
    if let Some(listed) = at.app.contract.event_type(record.name.as_str()) {
        return code::pretty(listed.sample.as_bytes());
    }
    let example = schema(record).and_then(|(_, schema)| schema.get("examples")?.get(0));
    let example = example.map(serde_json::to_string_pretty);
    example
        .and_then(Result::ok)
        .unwrap_or_else(|| "{\n  \n}".to_owned())
}

async fn shown(at: &InApp, record: &EventTypeRecord, sample: &str, fault: Option<&str>) -> Answer {
    let volumes = volumes(at).await?;
    let hours = volumes.get(&record.name).map(Vec::as_slice);
    let body = html! {
        div.grid {
            div.stack.wide {
                @if at.view.may(Scope::EventsWrite) {
                    (panel("Try it", &html! {}, &trial(at, record, sample, fault)))
                } @else {
                    (panel("Example", &html! {}, &code::block("Payload", sample)))
                }
                (panel("Last 24 hours", &html! {}, &day(at, &record.name, hours.unwrap_or_default())))
                @if let Some((version, schema)) = schema(record) {
                    (panel(&format!("Schema, version {version}"), &html! {}, &code::block("JSON Schema", &short_schema(schema))))
                }
            }
            div.stack.wide {
                (panel("About", &html! {}, &facts(&[
                    ("Event type", code::id(record.name.as_str())),
                    ("Description", html! { (record.settings.description) }),
                    ("Group", html! { (record.settings.group_name.as_deref().unwrap_or("–")) }),
                    ("From", html! { (record.settings.contract.as_deref().map_or("made here", |name| name)) }),
                ])))
                (panel("Who gets it", &html! {}, &who(at, &record.name)))
            }
        }
    };
    Ok(Page::new(Section::Events, record.name.as_str(), body)
        .crumb("Event types", &at.path("/events"))
        .show_in(at))
}

/// Its messages by the hour; a bar leads to their deliveries.
fn day(at: &InApp, name: &EventType, hours: &[EventTypeHour]) -> Markup {
    let last = Step::Hour.slot_of(at.view.now);
    let bar = |slot: i64| {
        let begins_at = Step::Hour.begin_of(slot);
        let end = Step::Hour.begin_of(slot + 1);
        let hour = hours.iter().find(|hour| hour.begins_at == begins_at);
        Bar {
            label: time::hour(begins_at),
            parts: vec![hour.map_or(0, |hour| hour.accepted)],
            href: Some(at.path(&format!(
                "/deliveries?type={name}&since={begins_at}&until={end}"
            ))),
            failed: None,
        }
    };
    let bars: Vec<_> = (last - 23..=last).map(bar).collect();
    chart::bars("Messages", &[("Accepted", "busy")], &bars)
}

/// The form that sends a sample.
fn trial(at: &InApp, record: &EventTypeRecord, sample: &str, fault: Option<&str>) -> Markup {
    html! {
        @if let Some(fault) = fault { (block::callout(Tone::Bad, "It was not accepted", &html! { p { (fault) } })) }
        p.muted { "A sample, to be changed as you like. It goes to every endpoint that asks for this event type, like any other event." }
        form.form method="post" action=(at.path(&format!("/events/{}/try", record.name))) {
            (csrf(&at.view))
            label.field {
                span { "Payload" }
                textarea.input.code-face name="payload" rows="14" spellcheck="false" { (sample) }
            }
            (control::submit(Weight::Primary, Some(Icon::Bolt), "Send it"))
        }
    }
}

fn short_schema(schema: &serde_json::Value) -> String {
    let mut text = serde_json::to_string_pretty(schema).unwrap_or_default();
    let most = limit::PAYLOAD_SHOWN_BYTES;
    if text.len() > most {
        let end = text.floor_char_boundary(most);
        text.truncate(end);
        text.push_str("\n… (the API answers all of it)");
    }
    text
}

fn who(at: &InApp, name: &EventType) -> Markup {
    let who: Vec<_> = subscribers(at, name).collect();
    html! {
        @if who.is_empty() { p.muted { "No endpoint asks for it." } } @else {
            ul.reasons {
                @for endpoint in who.iter().take(limit::DASHBOARD_PAGE_ITEMS) {
                    li { (endpoint_name(at, endpoint.stored.endpoint.identity.id)) }
                }
            }
        }
    }
}

/// Sends the sample as an event of its own.
pub(crate) async fn attempt(at: InApp, Path(path): Path<EventPath>, Form(fields): Form) -> Answer {
    let record = found(&at, &path).await?;
    let payload = fields.get("payload").unwrap_or_default().trim().to_owned();
    if let Err(error) = serde_json::from_str::<serde_json::Value>(&payload) {
        let fault = format!("The payload is no JSON: {error}.");
        return shown(&at, &record, &payload, Some(&fault)).await;
    }
    let input = MessageInput::new(record.name.clone(), Bytes::from(payload.clone()));
    match messages::create(at.engine(), &at.app, input, None).await {
        Ok(message) => {
            let done = encoded("The event was accepted. Its way to each endpoint stands below.");
            let page = at.path(&format!("/messages/{}?done={done}", message.id));
            Ok(Redirect::to(&page).into_response())
        }
        Err(error @ (Error::Invalid(_) | Error::TooLarge)) => {
            shown(&at, &record, &payload, Some(&explain(&error))).await
        }
        Err(error) => Err(error.into()),
    }
}
