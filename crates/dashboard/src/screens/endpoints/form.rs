//! The form that creates and edits an endpoint: from fields to the service's input, and back.

use maud::{Markup, html};
use watchfire_contracts::manifest::{AuthKind, Https};
use watchfire_domain::endpoint::{Auth, Method};
use watchfire_domain::secret::SecretText;
use watchfire_engine::service::Edit;
use watchfire_engine::service::endpoints::{EndpointInput, Extras, OpenEndpoint};

use super::events::{self, Choice};
use crate::access::InApp;
use crate::params::Fields;
use crate::ui::Draft;
use crate::ui::control::{self, Text};

const METHODS: [Method; 4] = [Method::Post, Method::Put, Method::Patch, Method::Get];
const SHOWN: [&str; 8] = [
    "url",
    "description",
    "eventTypes",
    "channels",
    "method",
    "auth",
    "throttleRate",
    "uid",
];

/// A new endpoint's form before anything was typed.
pub(super) fn blank() -> Draft {
    Draft::of(&[("events", "all"), ("auth", "none")])
}

/// An endpoint as the form shows it; secrets stay where they are.
pub(super) fn of(endpoint: &OpenEndpoint, choices: &[Choice]) -> Draft {
    let stored = &endpoint.stored.endpoint;
    let settings = &stored.settings;
    let rate = settings.throttle_rate.map(|rate| rate.to_string());
    let channels = settings.subscription.channels.join(", ");
    let (kind, user, header) = match &endpoint.secrets.auth {
        Auth::None => ("none", "", ""),
        Auth::Basic { username, .. } => ("basic", username.as_str(), ""),
        Auth::Bearer { .. } => ("bearer", "", ""),
        Auth::Header { name, .. } => ("header", "", name.as_str()),
    };
    let values = events::values(&settings.subscription.event_types, choices);
    let mut all = vec![
        ("url", settings.url.as_str()),
        ("description", settings.description.as_str()),
        (
            "uid",
            stored.identity.uid.as_ref().map_or("", |uid| uid.as_str()),
        ),
        ("rate", rate.as_deref().unwrap_or_default()),
        ("channels", &channels),
        ("method", settings.method.map_or("", Method::as_str)),
        ("auth", kind),
        ("username", user),
        ("header_name", header),
    ];
    all.extend(values.iter().map(|(name, value)| (*name, value.as_str())));
    Draft::of(&all)
}

/// What was typed; `old` is the endpoint that is edited, whose secrets an empty field keeps.
pub(super) fn input(
    fields: &Fields,
    old: Option<&OpenEndpoint>,
) -> Result<EndpointInput, Box<Draft>> {
    let wrong = |field, reason: &str| Box::new(Draft::wrong(fields.clone(), field, reason));
    let rate = fields.filled("rate").map(str::parse).transpose();
    let rate = rate.map_err(|_| wrong("throttleRate", "must be a whole number"))?;
    let method = fields.filled("method");
    let method = METHODS
        .into_iter()
        .find(|known| Some(known.as_str()) == method);
    let auth = auth(fields, old).ok_or_else(|| wrong("auth", "needs all its fields"))?;
    let event_types = events::chosen(fields);
    if fields.text("events") == "some" && event_types.is_empty() {
        return Err(wrong("eventTypes", "choose one at least, or all events"));
    }
    let settings = old.map(|old| &old.stored.endpoint.settings);
    let channels = fields.text("channels").split(',').map(str::trim);
    Ok(EndpointInput {
        url: fields.text("url").to_owned(),
        description: fields.text("description").to_owned(),
        disabled: settings.is_some_and(|settings| settings.disabled),
        event_types,
        channels: channels
            .filter(|channel| !channel.is_empty())
            .map(ToOwned::to_owned)
            .collect(),
        uid: fields.filled("uid").map(ToOwned::to_owned),
        throttle_rate: rate,
        metadata: settings.map_or_else(Default::default, |settings| settings.metadata.clone()),
        extras: Extras {
            method: Edit::replace(method),
            auth,
            ..Extras::default()
        },
        ..EndpointInput::default()
    })
}

/// `None` if a field that is needed is empty.
fn auth(fields: &Fields, old: Option<&OpenEndpoint>) -> Option<Edit<Auth>> {
    let filled = |name| fields.filled(name);
    let secret = |name| filled(name).map(|text| SecretText::new(text.to_owned()));
    let old = old.map(|old| &old.secrets.auth);
    let made = match fields.text("auth") {
        "basic" => Auth::Basic {
            username: filled("username")?.to_owned(),
            password: match (secret("password"), old) {
                (Some(password), _) => password,
                (None, Some(Auth::Basic { password, .. })) => password.clone(),
                (None, _) => return None,
            },
        },
        "bearer" => Auth::Bearer {
            token: match (secret("bearer"), old) {
                (Some(token), _) => token,
                (None, Some(Auth::Bearer { token })) => token.clone(),
                (None, _) => return None,
            },
        },
        "header" => Auth::Header {
            name: filled("header_name")?.to_owned(),
            value: match (secret("header_value"), old) {
                (Some(value), _) => value,
                (None, Some(Auth::Header { value, .. })) => value.clone(),
                (None, _) => return None,
            },
        },
        _ => Auth::None,
    };
    Some(Edit::Set(made))
}

/// The fields.
pub(super) fn fields(at: &InApp, draft: &Draft, choices: &[Choice], is_new: bool) -> Markup {
    let check = at.path("/endpoints/check-url");
    let https = at.app.contract.manifest().endpoint.https == Https::Required;
    html! {
        (control::faults(draft, &SHOWN))
        (control::text(draft, Text {
            name: "url",
            label: "Address",
            hint: if https { "Where events are sent to; it must begin with https://." }
                else { "Where events are sent to." },
            placeholder: "https://example.com/webhooks",
            kind: "url",
            required: true,
            check: Some(&check),
            is_code: true,
            ..Text::default()
        }))
        (control::text(draft, Text {
            name: "description",
            label: "Description",
            placeholder: "Ticket system of the SOC",
            ..Text::default()
        }))
        (events::tree(draft, choices))
        (authentication(at, draft, is_new))
        details.more open[draft.is_refused()] {
            summary { "More settings" }
            div.form { (more(at, draft)) }
        }
    }
}

fn authentication(at: &InApp, draft: &Draft, is_new: bool) -> Markup {
    let allowed = &at.app.contract.manifest().endpoint.auth;
    let kinds = [
        (AuthKind::None, "none", "None: the signature is enough"),
        (AuthKind::Basic, "basic", "User name and password"),
        (AuthKind::Bearer, "bearer", "Bearer token"),
        (AuthKind::Header, "header", "A header of your own"),
    ];
    let kinds: Vec<_> = kinds
        .iter()
        .filter(|(kind, _, _)| allowed.contains(kind))
        .map(|(_, value, text)| (*value, *text))
        .collect();
    let keep = if is_new {
        ""
    } else {
        "Leave it empty to keep the present one."
    };
    let secret = |name, label| {
        control::text(
            draft,
            Text {
                name,
                label,
                hint: keep,
                kind: "password",
                needed: true,
                ..Text::default()
            },
        )
    };
    let plain = |name, label| {
        control::text(
            draft,
            Text {
                name,
                label,
                needed: true,
                ..Text::default()
            },
        )
    };
    html! {
        @if kinds.len() > 1 {
            (control::choice(draft, "auth", "Authentication",
                "What tells the receiver who is calling, beside the signature.", &kinds))
            div.auth-fields {
                div data-when="basic" { (plain("username", "User name")) (secret("password", "Password")) }
                div data-when="bearer" { (secret("bearer", "Token")) }
                div data-when="header" { (plain("header_name", "Header")) (secret("header_value", "Value")) }
            }
        }
    }
}

fn more(at: &InApp, draft: &Draft) -> Markup {
    let request = &at.app.contract.manifest().request;
    let mut methods = vec![("", "As the contract says")];
    methods.extend(
        request
            .methods
            .iter()
            .map(|method| (method.as_str(), method.as_str())),
    );
    html! {
        @if methods.len() > 1 {
            (control::choice(draft, "method", "Method", "", &methods))
        }
        (control::text(draft, Text {
            name: "rate",
            fault: Some("throttleRate"),
            label: "Rate limit",
            hint: "Deliveries a second at most; the rest waits.",
            kind: "number",
            ..Text::default()
        }))
        (control::text(draft, Text {
            name: "channels",
            label: "Channels",
            hint: "Only messages in one of these, separated by commas.",
            ..Text::default()
        }))
        (control::text(draft, Text {
            name: "uid",
            label: "Your own id",
            hint: "Lets your programs name it without storing ours.",
            is_code: true,
            ..Text::default()
        }))
    }
}
