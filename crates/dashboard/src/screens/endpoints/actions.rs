//! What people do to an endpoint, and the panels where they do it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect};
use maud::{Markup, html};
use watchfire_domain::health::State;
use watchfire_domain::id::EndpointId;
use watchfire_domain::scope::Scope;
use watchfire_domain::secret::SecretText;
use watchfire_engine::service::endpoints::{self, OpenEndpoint, Rotation};
use watchfire_engine::service::tasks::{self, TaskInput};
use watchfire_engine::service::{Edit, health};
use watchfire_store::{EndpointRef, TaskKind};

use super::{detail, named, path_of};
use crate::access::InApp;
use crate::failure::{Answer, explain};
use crate::form::Form;
use crate::ui::block::panel;
use crate::ui::control::{self, Ask, Text, Weight};
use crate::ui::status::Tone;
use crate::ui::{Draft, Icon, block, code, time};

/// How long a replaced secret goes on signing.
const OVERLAPS: [(&str, &str); 5] = [
    ("86400", "24 hours"),
    ("3600", "1 hour"),
    ("259200", "3 days"),
    ("604800", "7 days"),
    ("0", "Not at all: it leaked"),
];
/// How far back to send again.
const SPANS: [(&str, &str); 5] = [
    ("3600", "The last hour"),
    ("21600", "The last 6 hours"),
    ("86400", "The last 24 hours"),
    ("604800", "The last 7 days"),
    ("1209600", "The last 14 days"),
];

type Ids = Path<(String, String)>;

/// The switch between active and left alone.
pub(super) fn switch(at: &InApp, endpoint: &OpenEndpoint) -> Markup {
    let stored = &endpoint.stored;
    let id = stored.endpoint.identity.id;
    let off = stored.endpoint.settings.disabled || stored.health.state() != State::Active;
    if off {
        let action = path_of(at, id, "/activate");
        return control::act(&at.view, &action, Weight::Plain, Icon::Play, "Activate");
    }
    control::ask(
        &at.view,
        &Ask {
            id: "deactivate",
            weight: Weight::Plain,
            icon: Icon::Pause,
            text: "Deactivate",
            title: "Deactivate this endpoint?",
            action: &path_of(at, id, "/deactivate"),
            body: html! {
                p { "It gets nothing until somebody activates it. What becomes of events meanwhile "
                    "is said by its contract." }
                (control::text(&Draft::default(), Text { name: "note", label: "Why", ..Text::default() }))
            },
            confirm: "Deactivate",
        },
    )
}

pub(crate) async fn activate(at: InApp, Path(ids): Ids, Form(_): Form) -> Answer {
    let id = named(&at, &ids.1).await?.stored.endpoint.identity.id;
    let came = health::activate(at.engine(), &at.app, &EndpointRef::Id(id)).await?;
    if came.activated {
        return Ok(Redirect::to(&path_of(&at, id, "?done=activated")).into_response());
    }
    let attempt = came.ping.and_then(|ping| ping.attempt);
    let why = attempt.map_or_else(
        || "It did not answer in time.".to_owned(),
        |attempt| format!("The answer: {}.", attempt.outcome),
    );
    let known = detail::know(&at, came.endpoint).await?;
    let above = block::callout(
        Tone::Bad,
        "It did not pass its ping and stays as it was",
        &html! {
            p { (why) }
        },
    );
    Ok(detail::show(&at, &known, &above))
}

pub(crate) async fn deactivate(at: InApp, Path(ids): Ids, Form(fields): Form) -> Answer {
    let id = named(&at, &ids.1).await?.stored.endpoint.identity.id;
    let note = fields.filled("note");
    health::deactivate(at.engine(), &at.app, &EndpointRef::Id(id), note).await?;
    Ok(Redirect::to(&path_of(&at, id, "?done=deactivated")).into_response())
}

pub(crate) async fn ping(at: InApp, Path(ids): Ids, Form(_): Form) -> Answer {
    let id = named(&at, &ids.1).await?.stored.endpoint.identity.id;
    let message = health::ping(at.engine(), &at.app, &EndpointRef::Id(id), None).await?;
    let path = path_of(&at, id, &format!("/test/{}", message.id));
    Ok(Redirect::to(&path).into_response())
}

/// The secret: hidden, unless it was just asked for.
pub(super) fn secret_panel(at: &InApp, endpoint: &OpenEndpoint, shown: Option<&str>) -> Markup {
    let id = endpoint.stored.endpoint.identity.id;
    let old = &endpoint.secrets.old_keys;
    let live = old.iter().filter(|old| old.expires_at > at.view.now);
    let live: Vec<_> = live.map(|old| old.expires_at).collect();
    panel(
        "Signing secret",
        &html! {},
        &html! {
            div #secret {
                @match shown {
                    Some(secret) => { (code::block("whsec_", secret)) }
                    None => { code aria-label="Hidden" { "whsec_••••••••••••••••" } }
                }
            }
            @for until in live {
                p.muted { "The replaced one signs too, until " (time::both(until, at.view.now)) "." }
            }
            div.row {
                @if shown.is_none() && at.view.may(Scope::SecretsRead) {
                    (control::act(&at.view, &path_of(at, id, "/secret"), Weight::Plain, Icon::Eye, "Show"))
                }
                @if at.view.may(Scope::EndpointsWrite) { (rotation(at, id)) }
            }
        },
    )
}

/// The button that replaces the secret, and the picker of how long the old one goes on.
fn rotation(at: &InApp, id: EndpointId) -> Markup {
    control::ask(
        &at.view,
        &Ask {
            id: "rotate",
            weight: Weight::Plain,
            icon: Icon::Replay,
            text: "Rotate",
            title: "Replace the signing secret",
            action: &path_of(at, id, "/rotate"),
            body: html! {
                p { "Every delivery is signed with both secrets until the old one ends, so the "
                    "receiver can change over without losing one." }
                div.field {
                    label for="overlap" { "The old one goes on signing for" }
                    (control::select("86400", "overlap", &OVERLAPS))
                }
                (control::text(&Draft::default(), Text {
                    name: "key",
                    label: "Your own secret",
                    hint: "One is made if this is empty.",
                    placeholder: "whsec_…",
                    kind: "password",
                    is_code: true,
                    ..Text::default()
                }))
            },
            confirm: "Replace it",
        },
    )
}

pub(crate) async fn secret(at: InApp, Path(ids): Ids, Form(_): Form) -> Answer {
    let endpoint = named(&at, &ids.1).await?;
    let id = endpoint.stored.endpoint.identity.id;
    let secret = endpoints::secret(at.engine(), &at.app, &EndpointRef::Id(id)).await?;
    let above = html! {
        (block::callout(Tone::Busy, "Keep this secret to the receiver", &html! {
            p { "Whoever has it can sign events as if they came from here. That it was shown is "
                "in the audit log." }
        }))
        (secret_panel(&at, &endpoint, Some(&secret)))
    };
    let mut known = detail::know(&at, endpoint).await?;
    known.secret_is_shown = true;
    Ok(detail::show(&at, &known, &above))
}

pub(crate) async fn rotate(at: InApp, Path(ids): Ids, Form(fields): Form) -> Answer {
    let endpoint = named(&at, &ids.1).await?;
    let id = endpoint.stored.endpoint.identity.id;
    let overlap = fields.text("overlap").parse().unwrap_or(86_400);
    let rotation = Rotation {
        key: fields
            .filled("key")
            .map(|key| SecretText::new(key.to_owned())),
        overlap: Duration::from_secs(overlap),
    };
    let reference = EndpointRef::Id(id);
    match endpoints::rotate(at.engine(), &at.app, &reference, rotation, None).await {
        Ok(()) => Ok(Redirect::to(&path_of(&at, id, "?done=rotated")).into_response()),
        Err(error) => refused(&at, endpoint, "The secret was not replaced", error).await,
    }
}

/// The endpoint's page with what went wrong above it.
async fn refused(
    at: &InApp,
    endpoint: OpenEndpoint,
    title: &str,
    error: watchfire_engine::service::Error,
) -> Answer {
    let above = block::callout(Tone::Bad, title, &html! { p { (explain(&error)) } });
    let known = detail::know(at, endpoint).await?;
    Ok(detail::show(at, &known, &above))
}

pub(super) fn headers_panel(at: &InApp, endpoint: &OpenEndpoint) -> Markup {
    let id = endpoint.stored.endpoint.identity.id;
    let headers = &endpoint.secrets.headers;
    let action = path_of(at, id, "/headers");
    panel(
        "Headers of your own",
        &html! {},
        &html! {
            @if headers.is_empty() { p.muted { "None. They go out with every event." } }
            @for (name, value) in headers {
                div.split {
                    code { (name) ": " (detail::shown_header(name, value.expose())) }
                    @if at.view.may(Scope::EndpointsWrite) {
                        form.inline method="post" action=(action) {
                            (control::csrf(&at.view))
                            input type="hidden" name="remove" value=(name);
                            button.icon-button type="submit" aria-label={ "Remove " (name) } {
                                (crate::ui::icon(Icon::Trash))
                            }
                        }
                    }
                }
            }
            @if at.view.may(Scope::EndpointsWrite) {
                (control::ask(&at.view, &Ask {
                    id: "header",
                    weight: Weight::Plain,
                    icon: Icon::Plus,
                    text: "Add header",
                    title: "Add or replace a header",
                    action: &action,
                    body: html! {
                        (control::text(&Draft::default(), Text { name: "name", label: "Name", required: true, is_code: true, ..Text::default() }))
                        (control::text(&Draft::default(), Text { name: "value", label: "Value", required: true, is_code: true, ..Text::default() }))
                    },
                    confirm: "Save",
                }))
            }
        },
    )
}

pub(crate) async fn headers(at: InApp, Path(ids): Ids, Form(fields): Form) -> Answer {
    let endpoint = named(&at, &ids.1).await?;
    let id = endpoint.stored.endpoint.identity.id;
    let change = match fields.filled("remove") {
        Some(name) => (name.to_owned(), Edit::Clear),
        None => (
            fields.text("name").to_owned(),
            Edit::Set(fields.text("value").to_owned()),
        ),
    };
    let changes = BTreeMap::from([change]);
    let reference = EndpointRef::Id(id);
    match endpoints::patch_headers(at.engine(), &at.app, &reference, changes).await {
        Ok(()) => Ok(Redirect::to(&path_of(&at, id, "?done=headers")).into_response()),
        Err(error) => refused(&at, endpoint, "The header was not saved", error).await,
    }
}

/// Sending again what failed or was missed.
pub(super) fn again_panel(at: &InApp, id: EndpointId) -> Markup {
    if !at.view.may(Scope::Replay) {
        return html! {};
    }
    let span = |name| {
        html! {
            div.field {
                label for=(name) { "From" }
                (control::select("86400", name, &SPANS))
            }
        }
    };
    panel(
        "Send again",
        &html! {},
        &html! {
            p.muted { "Events keep their id, so a receiver that got one before can tell." }
            div.row {
                (control::ask(&at.view, &Ask {
                    id: "recover",
                    weight: Weight::Plain,
                    icon: Icon::Replay,
                    text: "Recover failed",
                    title: "Send again what failed",
                    action: &path_of(at, id, "/recover"),
                    body: html! {
                        p { "What was given up or skipped is sent again, at a bounded rate." }
                        (span("recover-since"))
                    },
                    confirm: "Recover",
                }))
                (control::ask(&at.view, &Ask {
                    id: "replay",
                    weight: Weight::Plain,
                    icon: Icon::Record,
                    text: "Send missed",
                    title: "Send what it never got",
                    action: &path_of(at, id, "/replay-missing"),
                    body: html! {
                        p { "Events from before the endpoint existed, or that it did not subscribe to "
                            "then and does now." }
                        (span("replay-since"))
                    },
                    confirm: "Send them",
                }))
            }
        },
    )
}

pub(crate) async fn recover(at: InApp, ids: Ids, form: Form) -> Answer {
    again(
        at,
        ids,
        form,
        (TaskKind::Recover, "recover-since", "recovering"),
    )
    .await
}

pub(crate) async fn replay_missing(at: InApp, ids: Ids, form: Form) -> Answer {
    again(
        at,
        ids,
        form,
        (TaskKind::ReplayMissing, "replay-since", "replaying"),
    )
    .await
}

async fn again(
    at: InApp,
    Path(ids): Ids,
    Form(fields): Form,
    (kind, field, done): (TaskKind, &str, &str),
) -> Answer {
    let endpoint = named(&at, &ids.1).await?;
    let id = endpoint.stored.endpoint.identity.id;
    let seconds = fields.text(field).parse().unwrap_or(86_400);
    let input = TaskInput {
        since: Some(at.view.now - Duration::from_secs(seconds)),
        ..TaskInput::default()
    };
    let reference = EndpointRef::Id(id);
    match tasks::create(at.engine(), &at.app, &reference, (kind, input), None).await {
        Ok(_) => {
            let path = path_of(&at, id, &format!("?done={done}"));
            Ok(Redirect::to(&path).into_response())
        }
        Err(error) => refused(&at, endpoint, "It was not begun", error).await,
    }
}

pub(super) fn delete_panel(at: &InApp, id: EndpointId) -> Markup {
    if !at.view.may(Scope::EndpointsWrite) {
        return html! {};
    }
    html! {
        div.row {
            (control::ask(&at.view, &Ask {
                id: "delete",
                weight: Weight::Danger,
                icon: Icon::Trash,
                text: "Delete endpoint",
                title: "Delete this endpoint?",
                action: &path_of(at, id, "/delete"),
                body: html! {
                    p { "It gets nothing any more, and what it is owed is dropped. Its history "
                        "stays until its retention ends." }
                },
                confirm: "Delete it",
            }))
        }
    }
}

pub(crate) async fn delete(at: InApp, Path(ids): Ids, Form(_): Form) -> Answer {
    let id = named(&at, &ids.1).await?.stored.endpoint.identity.id;
    endpoints::delete(at.engine(), &at.app, &EndpointRef::Id(id)).await?;
    Ok(Redirect::to(&at.path("/endpoints?done=deleted")).into_response())
}
