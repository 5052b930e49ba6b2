//! One message: what it says, whom it matched and why the others not, and its deliveries.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse as _;
use maud::{Markup, html};
use serde::Deserialize;
use watchfire_domain::filter::Mismatch;
use watchfire_domain::id::EndpointId;
use watchfire_domain::limit;
use watchfire_domain::message::{Message, Urgency};
use watchfire_domain::scope::Scope;
use watchfire_engine::service::matching::{self, Settings, Verdict};
use watchfire_engine::service::messages;
use watchfire_store::{DeliveryView, MessageRef, StoredMessage};

use super::deliveries::list::{endpoint_name, record_path, waits};
use crate::access::InApp;
use crate::failure::{Answer, Failure};
use crate::params::Fields;
use crate::ui::block::{self, facts, flush_panel, panel};
use crate::ui::control::{self, Weight};
use crate::ui::status::{self, Tone, badge};
use crate::ui::table::{Row, column, table};
use crate::ui::{Icon, Page, Section, code, time, tree};

/// A reason with more endpoints is folded away.
const REASON_OPEN: usize = 5;

/// The message a path names.
#[derive(Deserialize)]
pub(crate) struct MessagePath {
    msg_id: String,
}

impl MessagePath {
    pub(crate) fn reference(&self) -> Result<MessageRef, Failure> {
        let id = self.msg_id.parse();
        id.map(MessageRef::Id).map_err(|_| Failure::NotFound)
    }
}

pub(crate) async fn page(at: InApp, Path(path): Path<MessagePath>, fields: Fields) -> Answer {
    let stored = messages::find(at.engine(), &at.app, &path.reference()?).await?;
    let store = at.engine().store();
    let views = store.deliveries_of(at.app.stored.key, stored.seq).await?;
    let message = &*stored.message;
    let body = html! {
        @if let Some(done) = fields.filled("done") { (block::done(done)) }
        (faults(message))
        div.grid {
            div.stack.wide {
                div #deliveries data-live { (deliveries(&at, &stored, &views)) }
                (payload(&at, message))
            }
            div.stack.wide {
                (panel("Message", &html! {}, &about(&at, message)))
                (others(&at, &stored))
            }
        }
    };
    let title = message.event_type.to_string();
    Ok(Page::new(Section::Deliveries, &title, body)
        .crumb("Deliveries", &at.path("/deliveries"))
        .live(&at.path("/live"))
        .show_in(&at))
}

/// The payload as it was posted.
pub(crate) async fn payload_file(at: InApp, Path(path): Path<MessagePath>) -> Answer {
    let stored = messages::find(at.engine(), &at.app, &path.reference()?).await?;
    let payload = stored.message.payload.clone().ok_or(Failure::NotFound)?;
    let head = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (
            header::CONTENT_DISPOSITION,
            HeaderValue::from_static("attachment; filename=\"payload.json\""),
        ),
    ];
    Ok((head, payload).into_response())
}

fn about(at: &InApp, message: &Message) -> Markup {
    let list = |names: &[String]| html! { @for name in names { code { (name) } " " } };
    let mut known = vec![
        ("Id", code::id(&message.id.to_string())),
        ("Accepted", time::both(message.accepted_at, at.view.now)),
    ];
    if let Some(event_id) = &message.event_id {
        known.push(("Event id", html! { code { (event_id) } }));
    }
    if let Some(record) = &message.record_key {
        let link = html! { a href=(record_path(at, record)) { (record) } };
        known.push(("Record", link));
    }
    let details = &message.details;
    if !details.channels.is_empty() {
        known.push(("Channels", list(&details.channels)));
    }
    if !details.tags.is_empty() {
        known.push(("Tags", list(&details.tags)));
    }
    if message.urgency == Urgency::Urgent {
        known.push(("Urgency", badge(Tone::Warn, "Urgent")));
    }
    if let Some(deliver_at) = details.deliver_at {
        known.push(("Not before", time::both(deliver_at, at.view.now)));
    }
    facts(&known)
}

fn faults(message: &Message) -> Markup {
    let faults = &message.details.schema_faults;
    html! {
        @if !faults.is_empty() {
            (block::callout(Tone::Warn, "The payload breaks the schema of its event type", &html! {
                ul { @for fault in faults { li { (fault) } } }
            }))
        }
    }
}

fn payload(at: &InApp, message: &Message) -> Markup {
    let Some(payload) = &message.payload else {
        let gone = html! { p { "It was removed, or its retention has passed." } };
        return panel(
            "Payload",
            &html! {},
            &block::empty(Icon::Message, "The payload is gone", &gone),
        );
    };
    let file = at.path(&format!("/messages/{}/payload.json", message.id));
    let actions = control::link(Weight::Quiet, None, "Download", &file);
    let text = String::from_utf8_lossy(payload);
    let is_short = payload.len() <= limit::PAYLOAD_SHOWN_BYTES;
    let body = html! {
        (tree::tree(payload))
        @if is_short {
            details.raw { summary { "As it was posted" } (code::block("Payload", &text)) }
        } @else {
            p.hint { "It has " (payload.len()) " bytes; download it to see all of it." }
        }
    };
    panel("Payload", &actions, &body)
}

fn deliveries(at: &InApp, stored: &StoredMessage, views: &[DeliveryView]) -> Markup {
    let shown = views.iter().take(limit::DASHBOARD_PAGE_ITEMS);
    let rows: Vec<_> = shown.map(|view| delivery(at, stored, view)).collect();
    let columns = [column("Endpoint"), column("Status"), column("")];
    let none = html! { p { "No endpoint asked for it when it was accepted." } };
    html! {
        @if rows.is_empty() {
            (panel("Deliveries", &html! {}, &block::empty(Icon::Delivery, "Nobody was to get it", &none)))
        } @else {
            (flush_panel("Deliveries", &html! {}, &table("Deliveries", &columns, &rows)))
            @if views.len() > rows.len() {
                p.hint { "And " (views.len() - rows.len()) " more." }
            }
        }
    }
}

fn delivery(at: &InApp, stored: &StoredMessage, view: &DeliveryView) -> Row {
    let live = at.app.endpoints.iter();
    let mut live = live.filter(|endpoint| endpoint.stored.key == view.endpoint);
    let endpoint = live.next().map(|endpoint| &endpoint.stored.endpoint);
    let base = format!("/messages/{}", stored.message.id);
    let path = endpoint.map(|known| at.path(&format!("{base}/{}", known.identity.id)));
    let may = at.view.may(Scope::Replay) && stored.message.payload.is_some();
    let resend = path.as_deref().filter(|_| may).map(|path| {
        let action = format!("{path}/resend");
        control::act(&at.view, &action, Weight::Quiet, Icon::Replay, "Send again")
    });
    Row {
        cells: vec![
            endpoint.map_or_else(
                || html! { span.muted { "(deleted)" } },
                |known| endpoint_name(at, known.identity.id),
            ),
            html! {
                (status::delivery(view.status))
                @if let Some(owed) = &view.owed { span.hint { (waits(at, view.endpoint, owed)) } }
            },
            resend.unwrap_or_else(|| html! {}),
        ],
        href: path,
    }
}

/// Endpoints that did not get it, and why.
fn others(at: &InApp, stored: &StoredMessage) -> Markup {
    let verdicts = matching::of(&at.app, stored);
    let mut by_reason: BTreeMap<&str, Vec<EndpointId>> = BTreeMap::new();
    for verdict in verdicts.iter().filter(|verdict| !verdict.matched) {
        let id = verdict.endpoint.stored.endpoint.identity.id;
        by_reason.entry(why(verdict)).or_default().push(id);
    }
    let body = html! {
        @if by_reason.is_empty() {
            p.muted { "Every endpoint of the application asked for it." }
        } @else {
            @for (reason, endpoints) in &by_reason {
                details.branch open[endpoints.len() <= REASON_OPEN] {
                    summary { (reason) " " span.muted { (endpoints.len()) } }
                    ul.reasons {
                        @for id in endpoints.iter().take(limit::DASHBOARD_PAGE_ITEMS) {
                            li { (endpoint_name(at, *id)) }
                        }
                    }
                }
            }
            p.hint { "Judged by the endpoints' settings of today; where those were changed since, it is said." }
        }
    };
    panel("Who did not get it", &html! {}, &body)
}

/// Why an endpoint did not get a message.
fn why(verdict: &Verdict) -> &'static str {
    match (verdict.settings, verdict.today) {
        (Settings::Younger, _) => "It was created after the message was accepted.",
        (Settings::ChangedSince, Ok(())) => {
            "Its settings were changed since. Today it asks for such messages."
        }
        (Settings::ChangedSince, Err(Mismatch::EventType)) => {
            "It does not ask for this event type (its settings were changed since)."
        }
        (Settings::ChangedSince, Err(Mismatch::Channel)) => {
            "It asks for other channels (its settings were changed since)."
        }
        (Settings::ChangedSince, Err(Mismatch::Disabled)) => {
            "It is switched off (its settings were changed since)."
        }
        (Settings::ChangedSince, Err(Mismatch::Recipient)) => {
            "The message is not for the user it belongs to (its settings were changed since)."
        }
        (Settings::Same, Err(Mismatch::Recipient)) => {
            "The message names whom it is for, and this endpoint is not theirs."
        }
        (Settings::Same, Err(Mismatch::EventType)) => "It does not ask for this event type.",
        (Settings::Same, Err(Mismatch::Channel)) => "It asks for other channels.",
        (Settings::Same, Err(Mismatch::Disabled)) => "It was switched off.",
        (Settings::Same, Ok(())) => "The message was addressed to another endpoint alone.",
    }
}
