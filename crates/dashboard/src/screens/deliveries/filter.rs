//! The filters of the list: they stand in the address, so a search can be kept and shared.

use std::time::Duration;

use maud::{Markup, html};
use watchfire_domain::id::EndpointId;
use watchfire_domain::time::Timestamp;
use watchfire_engine::service::deliveries::DeliveryQuery;
use watchfire_store::{DeliveryStatus, EndpointRef};

use crate::access::InApp;
use crate::params::Fields;
use crate::ui::control::{self, Weight};
use crate::ui::{Icon, icon};

/// Names of the filters in an address.
pub(super) const NAMES: [&str; 9] = [
    "q", "status", "code", "endpoint", "type", "record", "within", "since", "until",
];

const STATUSES: [(&str, &str); 6] = [
    ("", "Any status"),
    ("delivered", "Delivered"),
    ("failed", "Failed"),
    ("waiting", "Waiting"),
    ("sending", "Sending"),
    ("cancelled", "Cancelled"),
];
const CODES: [(&str, &str); 6] = [
    ("", "Any answer"),
    ("2", "2xx"),
    ("3", "3xx"),
    ("4", "4xx"),
    ("5", "5xx"),
    ("0", "No answer"),
];
const SPANS: [(&str, &str, u64); 6] = [
    ("15m", "Last 15 minutes", 15 * 60),
    ("1h", "Last hour", 3_600),
    ("24h", "Last 24 hours", 24 * 3_600),
    ("7d", "Last 7 days", 7 * 24 * 3_600),
    ("30d", "Last 30 days", 30 * 24 * 3_600),
    ("90d", "Last 90 days", 90 * 24 * 3_600),
];

/// What an address asks for. What can't be meant counts as not said.
pub(super) fn read(fields: &Fields, now: Timestamp) -> DeliveryQuery {
    let at = |name| fields.filled(name).and_then(moment);
    let within = SPANS
        .iter()
        .find(|(name, ..)| *name == fields.text("within"))
        .map(|(_, _, seconds)| now - Duration::from_secs(*seconds));
    let endpoint = fields.filled("endpoint");
    let endpoint = endpoint.and_then(|text| text.parse::<EndpointId>().ok());
    let types = fields.text("type").split([',', ' ']);
    DeliveryQuery {
        status: status(fields.text("status")),
        status_class: fields.filled("code").and_then(|code| code.parse().ok()),
        endpoint: endpoint.map(EndpointRef::Id),
        event_types: types
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        record_key: fields.filled("record").map(str::to_owned),
        since: at("since").or(within),
        until: at("until"),
        text: fields.filled("q").map(str::to_owned),
    }
}

fn status(name: &str) -> Option<DeliveryStatus> {
    Some(match name {
        "delivered" => DeliveryStatus::Delivered,
        "failed" => DeliveryStatus::Failed,
        "waiting" => DeliveryStatus::Pending,
        "sending" => DeliveryStatus::Sending,
        "cancelled" => DeliveryStatus::Cancelled,
        _ => return None,
    })
}

/// An instant as browsers write one, in UTC, or as RFC 3339.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    let seconds = if text.matches(':').count() == 1 {
        ":00"
    } else {
        ""
    };
    let read = |text: &str| Timestamp::parse(text).ok();
    read(text).or_else(|| read(&format!("{text}{seconds}Z")))
}

/// Whether anything is asked for.
pub(super) fn is_set(fields: &Fields) -> bool {
    NAMES.iter().any(|name| fields.filled(name).is_some())
}

/// The form above the list. Texts apply on Enter, choices at once.
pub(super) fn form(at: &InApp, fields: &Fields) -> Markup {
    let endpoints = endpoints(at);
    let endpoints: Vec<_> = endpoints
        .iter()
        .map(|(id, text)| (id.as_str(), text.as_str()))
        .collect();
    let spans: Vec<_> = std::iter::once(("", "Any time"))
        .chain(SPANS.iter().map(|(name, text, _)| (*name, *text)))
        .collect();
    let further = ["type", "record", "since", "until"];
    let further = further.iter().any(|name| fields.filled(name).is_some());
    html! {
        form.filters method="get" action=(at.path("/deliveries")) data-apply role="search" {
            (control::search("q", "Text in the payload, or an id", fields.text("q")))
            (chosen("Status", "status", fields, &STATUSES))
            (chosen("Answer", "code", fields, &CODES))
            (chosen("Endpoint", "endpoint", fields, &endpoints))
            (chosen("Time", "within", fields, &spans))
            details.more open[further] {
                summary.button { (icon(Icon::Filter)) "More" }
                div.more-body {
                    (text("Event type", "type", "threat.* or ticket.created", fields))
                    (text("Record", "record", "T-1042", fields))
                    (text("From (UTC)", "since", "2026-11-21T15:00", fields))
                    (text("Until (UTC)", "until", "2026-11-21T16:00", fields))
                }
            }
            (control::submit(Weight::Plain, Some(Icon::Search), "Search"))
            @if is_set(fields) {
                (control::link(Weight::Quiet, None, "Clear", &at.path("/deliveries")))
            }
        }
    }
}

fn chosen(label: &str, name: &str, fields: &Fields, options: &[(&str, &str)]) -> Markup {
    html! {
        label { span.unseen { (label) } (control::select(fields.text(name), name, options)) }
    }
}

fn text(label: &str, name: &str, placeholder: &str, fields: &Fields) -> Markup {
    html! {
        label.field {
            span { (label) }
            input.input type="text" name=(name) value=(fields.text(name)) placeholder=(placeholder)
                spellcheck="false" autocomplete="off";
        }
    }
}

/// Endpoints to choose from, by their addresses.
fn endpoints(at: &InApp) -> Vec<(String, String)> {
    let any = (String::new(), "Any endpoint".to_owned());
    let known = at.app.endpoints.iter().map(|endpoint| {
        let stored = &endpoint.stored.endpoint;
        (
            stored.identity.id.to_string(),
            super::list::short(&stored.settings.url),
        )
    });
    std::iter::once(any).chain(known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> DeliveryQuery {
        let now = Timestamp::parse("2026-11-21T15:30:00Z").expect("valid");
        read(&Fields::read(text.as_bytes()).expect("few"), now)
    }

    #[test]
    fn an_address_says_what_is_asked_for() {
        let read = query("status=waiting&code=5&type=a.*,b&record=T-1&q=x&within=1h");
        assert_eq!(read.status, Some(DeliveryStatus::Pending));
        assert_eq!(read.status_class, Some(5));
        assert_eq!(read.event_types, ["a.*", "b"]);
        assert_eq!(read.record_key.as_deref(), Some("T-1"));
        assert_eq!(read.text.as_deref(), Some("x"));
        let since = Timestamp::parse("2026-11-21T14:30:00Z").ok();
        assert_eq!(read.since, since);
    }

    #[test]
    fn what_cannot_be_meant_counts_as_not_said() {
        let read = query("status=great&code=x&endpoint=y&since=soon&within=1y");
        assert_eq!((read.status, read.status_class), (None, None));
        assert!(read.endpoint.is_none() && read.since.is_none());
    }

    #[test]
    fn moments_are_read_as_browsers_write_them() {
        let expected = Timestamp::parse("2026-11-21T15:30:00Z").ok();
        for text in [
            "2026-11-21T15:30",
            "2026-11-21T15:30:00",
            "2026-11-21T15:30:00Z",
        ] {
            assert_eq!(moment(text), expected, "{text}");
        }
        assert_eq!(moment("today"), None);
    }
}
